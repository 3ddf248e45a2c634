/**
 * Who may have acknowledged in our place. An active takes a standby that it does not hear out of the in-sync set by itself,
 * and goes on with another one; the standby that was taken out still finds itself in the set of its own journal.
 */
import { lastOwner, lastTerm } from './stands.js'
import { type CoreState, type Peer, peersOf } from './state.js'
import type { PeerView } from './types.js'

/** Notes a sign that the active that we follow hears us, and has us in its set; called with each view. */
export function noteCounted(core: CoreState, peer: Peer, view: PeerView): void {
  if (core.role !== 'standby' || core.followed?.id !== peer.id) return
  const { nodeId } = core.options
  const isCounted = view.hears.includes(nodeId) && view.copy.inSync?.includes(nodeId) === true
  if (isCounted && view.activeTerm !== undefined)
    core.counted = { atMs: core.nowMs, hears: view.hears }
}

/**
 * Promotable members outside the set that we know, with which the active may have gone on since it last counted on us. None
 * while that was so short a time ago that it can only have ended; nor one that is proven to have been no process since then.
 */
export function standIns(core: CoreState): Peer[] {
  const { copy, options, counted } = core
  const { inSync = [] } = copy
  const { nodeId, bootId, deadMs, degradeAfterMs } = options
  const term = lastTerm(core)
  const isOwn = term?.nodeId === nodeId && term.bootId === bootId
  if (!core.wasReplica || isOwn || !copy.inSyncKnown || !inSync.includes(nodeId)) return []
  const sinceMs = counted?.atMs ?? Number.NEGATIVE_INFINITY
  if (core.nowMs - sinceMs < Math.min(deadMs, degradeAfterMs)) return []
  return peersOf(core).filter((peer) => {
    if (!peer.promotable || inSync.includes(peer.id) || peer.id === lastOwner(core)) return false
    return (peer.refusedSinceMs ?? core.nowMs) > sinceMs
  })
}

/** Whether a member is one only in theory: the active did not hear it either when it last counted on us. */
export function isUnlikely(core: CoreState, id: string): boolean {
  return core.counted !== undefined && !core.counted.hears.includes(id)
}
