/**
 * Who may have acknowledged in our place. An active takes a standby that it does not hear out of
 * the in-sync set by itself, and goes on with another one; the standby that was taken out still
 * finds itself in the set of its own journal. And an active that gave up the role may have a
 * successor that it does not hear.
 */

import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import { lastOwner, lastTerm } from './stands.js'

/**
 * Notes a sign that the active that we follow hears us, and has us in its set; called with each
 * view.
 */
export function noteCounted(core: CoreState, peer: Peer, view: PeerView): void {
  if (core.role !== 'standby' || core.followed?.id !== peer.id) return
  const { nodeId } = core.options
  const isCounted = view.hears.includes(nodeId) && view.copy.inSync?.includes(nodeId) === true
  if (isCounted && view.activeTerm !== undefined)
    core.counted = { atMs: core.nowMs, hears: view.hears }
}

/**
 * Promotable members that may have acknowledged what we lack, though no set that we know has them.
 */
export function standIns(core: CoreState): Peer[] {
  if (!core.wasReplica) return []
  const term = lastTerm(core)
  const { nodeId, bootId } = core.options
  const isOwn = term?.nodeId === nodeId && term.bootId === bootId
  return isOwn ? successors(core) : replacements(core)
}

/**
 * Members outside the set that we know, with which the active may have gone on since it last
 * counted on us. None while that was so short a time ago that it can only have ended; nor one that
 * is proven to have been no process since then.
 */
function replacements(core: CoreState): Peer[] {
  const { copy, options, counted } = core
  const { inSync = [] } = copy
  if (!copy.inSyncKnown || !inSync.includes(options.nodeId)) return []
  const sinceMs = counted?.atMs ?? Number.NEGATIVE_INFINITY
  if (core.nowMs - sinceMs < Math.min(options.deadMs, options.degradeAfterMs)) return []
  const owner = lastOwner(core)
  return peersOf(core).filter(
    (peer) => !inSync.includes(peer.id) && peer.id !== owner && mayHaveLived(peer, sinceMs),
  )
}

/** Members that may have taken the role since we gave it up ourselves. */
function successors(core: CoreState): Peer[] {
  const { served } = core
  if (served === undefined) return []
  return peersOf(core).filter(
    (peer) => mayHaveLived(peer, served.atMs) && !onlyDeclined(core, peer),
  )
}

/**
 * Whether all that a process did since we gave up the role is to decline it: it ended before
 * `deadMs` was over since the offer that it answered, and could have taken the role by itself only
 * after as long a silence, or with our promise.
 */
function onlyDeclined({ served, options }: CoreState, { id, gone, refusedSinceMs }: Peer): boolean {
  if (served?.declinedBy !== id || !gone || refusedSinceMs === undefined) return false
  return refusedSinceMs - served.atMs < options.deadMs
}

function mayHaveLived(peer: Peer, sinceMs: number): boolean {
  return peer.promotable && !(peer.refusedSinceMs !== undefined && peer.refusedSinceMs <= sinceMs)
}

/**
 * Whether a member is one only in theory: it was not heard either when the role was last known to
 * be in its place.
 */
export function isUnlikely(core: CoreState, id: string): boolean {
  const seen = core.served ?? core.counted
  return seen !== undefined && !seen.hears.includes(id)
}
