/**
 * What keeps a node that starts from serving however long it waits: a member that answers, and be
 * it with a refusal, and an order to join. Neither touches a standby that has followed: a refusal
 * proves nothing about whoever sent it.
 */

import { type CoreState, type Peer, peersOf } from '../state/state.js'
import type { Standing } from './candidates.js'
import { heard } from './liveness.js'
import { hold, missingAtStart } from './needed.js'

/** Members that live and are not heard, since one side refuses the other. */
export function refusingMembers(core: CoreState): Peer[] {
  if (core.wasReplica) return []
  const { startupWaitMs, deadMs } = core.options
  // Silence for as long as a start waits for a member lets it go on without one.
  const sinceMs = core.nowMs - Math.max(startupWaitMs, deadMs)
  return peersOf(core).filter(
    (peer) =>
      peer.promotable &&
      peer.refusal !== undefined &&
      peer.refusal.atMs > sinceMs &&
      !heard(core, peer) &&
      !core.withoutPeers.has(peer.id),
  )
}

/**
 * True when a member answers that would not have this node, or be had by it: its process may be
 * active.
 */
export function holdForRefusing(core: CoreState): boolean {
  const refusing = refusingMembers(core)
  if (refusing.length === 0) return false
  const why = refusing.map(({ id, refusal }) => `${id}: ${refusal?.reason}`).join('; ')
  const reason =
    'a member that answers lives and may be active, but refuses this node or is refused by it: check the secret, ' +
    'the name of the cluster, the addresses in members, the certificates and the versions on both sides, or serve ' +
    `without it by takeOver({ withoutPeers }) (${why})`
  hold(
    core,
    reason,
    refusing.map(({ id }) => id),
  )
  return true
}

/** True when this node joins and nobody else may take the role. */
export function holdForJoin(core: CoreState, best: Standing | undefined): boolean {
  if (!core.joining || best !== undefined) return false
  const reason =
    'this node was started with join, and serves nothing before it was restored from a member; start a member that ' +
    'has the data, or serve with the copy that is here by takeOver({ withoutPeers })'
  hold(core, reason, missingAtStart(core))
  return true
}
