/**
 * Holds that keep a starting node from serving for any time: a member that answers, even with a
 * refusal, and the option `join`. Neither affects a standby that has followed an active, because a
 * refusal proves nothing about its sender.
 */

import { type CoreState, type Peer, peersOf } from '../state/state.js'
import type { Standing } from './candidates.js'
import { heard } from './liveness.js'
import { hold, missingAtStart } from './needed.js'

/** Members that are alive but not heard, because one side refuses the other. */
export function refusingMembers(core: CoreState): Peer[] {
  if (core.wasReplica) return []
  const { startupWaitMs, deadMs } = core.options
  // A refusal counts for as long as a start waits for a silent member.
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
 * Holds while a member answers that refuses this node or is refused by it, because its process may
 * be active. Answers true when there is one.
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

/** Holds a joining node while no other member may take the role. Answers true when it holds. */
export function holdForJoin(core: CoreState, best: Standing | undefined): boolean {
  if (!core.joining || best !== undefined) return false
  const reason =
    'this node was started with join, and serves nothing before it was restored from a member; start a member that ' +
    'has the data, or serve with the copy that is here by takeOver({ withoutPeers })'
  hold(core, reason, missingAtStart(core))
  return true
}
