/**
 * Finds members outside the known in-sync set that may have acknowledged writes. An active removes
 * a standby that it does not hear from the in-sync set and may continue with another one, while the
 * removed standby still finds itself in the set of its own journal. And an active that gave up the
 * role may have a successor that it does not hear.
 */

import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import { dialTimeMs } from './liveness.js'
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

/** Members that may have had a part in acknowledgements, if they have lived since then. */
interface Possible {
  readonly peers: readonly Peer[]
  readonly sinceMs: number
}

/**
 * Promotable members that may have acknowledged changes which this node lacks, although no known
 * set contains them.
 */
export function standIns(core: CoreState): Peer[] {
  const { peers, sinceMs } = possible(core)
  return peers.filter((peer) => !hadEnded(peer, sinceMs) || !isConfirmed(core, peer))
}

/**
 * Whether a member is no stand-in only because of a refusal from before this round. The next dial
 * shows whether a process has started there since.
 */
export function awaitsRefusal(core: CoreState): boolean {
  const { peers, sinceMs } = possible(core)
  return peers.some((peer) => hadEnded(peer, sinceMs) && !isConfirmed(core, peer))
}

function possible(core: CoreState): Possible {
  if (!core.wasReplica) return { peers: [], sinceMs: 0 }
  const term = lastTerm(core)
  const { nodeId, bootId } = core.options
  const isOwn = term?.nodeId === nodeId && term.bootId === bootId
  return isOwn ? successors(core) : replacements(core)
}

/**
 * Members outside the known set with which the active may have continued since it last counted on
 * this node; none if that was so recently that the active can only have ended.
 */
function replacements(core: CoreState): Possible {
  const { copy, options, counted } = core
  const { inSync = [] } = copy
  const sinceMs = counted?.atMs ?? Number.NEGATIVE_INFINITY
  const isRecent = core.nowMs - sinceMs < Math.min(options.deadMs, options.degradeAfterMs)
  const isMember = copy.inSyncKnown && inSync.includes(options.nodeId)
  if (isRecent || !isMember) return { peers: [], sinceMs }
  const owner = lastOwner(core)
  const peers = peersOf(core).filter(
    (peer) => peer.promotable && !inSync.includes(peer.id) && peer.id !== owner,
  )
  return { peers, sinceMs }
}

/** Members that may have taken the role since this node gave it up. */
function successors(core: CoreState): Possible {
  const { served } = core
  if (served === undefined) return { peers: [], sinceMs: 0 }
  const peers = peersOf(core).filter((peer) => peer.promotable && !onlyDeclined(core, peer))
  return { peers, sinceMs: served.atMs }
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

/** Whether a process had ended by then, and all dials were refused since. */
function hadEnded({ refusedSinceMs }: Peer, sinceMs: number): boolean {
  return refusedSinceMs !== undefined && refusedSinceMs <= sinceMs
}

/**
 * Whether a dial was refused so recently that no process can have started since and acknowledged
 * something: during the round, or before it not longer ago than a dial takes.
 */
function isConfirmed(core: CoreState, { refusedAtMs }: Peer): boolean {
  const fromMs = core.round?.beganMs ?? core.nowMs - dialTimeMs(core)
  return refusedAtMs !== undefined && refusedAtMs >= fromMs
}

/**
 * Whether a member is a stand-in only in theory, because it was not heard either when this node
 * last had the role, or was last counted on.
 */
export function isUnlikely(core: CoreState, id: string): boolean {
  const seen = core.served ?? core.counted
  return seen !== undefined && !seen.hears.includes(id)
}
