/**
 * Finds members outside the known in-sync set that may have acknowledged writes. An active removes
 * a standby that it does not hear from the in-sync set and may continue with another one, while the
 * removed standby still finds itself in the set of its own journal. And an active that gave up the
 * role may have a successor that it does not hear.
 */

import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import { lastOwner, lastTerm } from './stands.js'

/**
 * Records each sign that the active hears this node and has it in the in-sync set; called with each
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
 * Promotable members that may have acknowledged changes which this node lacks, although no known
 * set contains them.
 */
export function standIns(core: CoreState): Peer[] {
  if (!core.wasReplica) return []
  const term = lastTerm(core)
  const { nodeId, bootId } = core.options
  const isOwn = term?.nodeId === nodeId && term.bootId === bootId
  return isOwn ? successors(core) : replacements(core)
}

/**
 * Members outside the known set with which the active may have continued since it last counted on
 * this node. There are none if that was so recently that the active can only have ended, and none
 * of those whose processes had provably ended by then.
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

/** Members that may have taken the role since this node gave it up. */
function successors(core: CoreState): Peer[] {
  const { served } = core
  if (served === undefined) return []
  return peersOf(core).filter(
    (peer) => mayHaveLived(peer, served.atMs) && !onlyDeclined(core, peer),
  )
}

/**
 * Whether a process did nothing since this node gave up the role but decline it. That is so if it
 * ended within `deadMs` after the offer, because it could have taken the role by itself only after
 * as long a silence, or with this node's promise.
 */
function onlyDeclined({ served, options }: CoreState, { id, gone, refusedSinceMs }: Peer): boolean {
  if (served?.declinedBy !== id || !gone || refusedSinceMs === undefined) return false
  return refusedSinceMs - served.atMs < options.deadMs
}

function mayHaveLived(peer: Peer, sinceMs: number): boolean {
  return peer.promotable && !(peer.refusedSinceMs !== undefined && peer.refusedSinceMs <= sinceMs)
}

/**
 * Whether a member is a stand-in only in theory, because it was not heard either when this node
 * last had the role, or was last counted on.
 */
export function isUnlikely(core: CoreState, id: string): boolean {
  const seen = core.served ?? core.counted
  return seen !== undefined && !seen.hears.includes(id)
}
