/**
 * Whose frozen copy a takeover needs, so that no acknowledged write is left behind: the in-sync set
 * that was journaled last, or, where that is not known, every promotable member.
 */
import { decide } from './explain.js'
import { heard, nobodyListens, provenEnd } from './liveness.js'
import { type CoreState, emitOnce, type Peer, peersOf } from './state.js'

/** Why it is held, in words for people. */
export const missingReason = 'missing members may hold acknowledged writes'
export const unfetchedReason = 'what a member in reach has cannot be fetched from it'
export const outdatedReason = 'a later position is known than any copy in reach has'

/** The node that wrote the last term of our history, or that we followed in a later one. */
export function lastOwner(core: CoreState): string | undefined {
  const last = core.copy.history.at(-1)
  const followed = core.followed
  if (followed === undefined) return last?.nodeId
  return followed.term.epoch >= (last?.epoch ?? 0) ? followed.term.nodeId : last?.nodeId
}

/**
 * The other members whose copies count. A member of the set need not ask the lost active: what was
 * acknowledged is on some member of the set. One outside the set does, for it may lack what the
 * active alone had.
 */
export function neededMembers(core: CoreState): Peer[] {
  const { copy, options } = core
  const owner = lastOwner(core)
  if (owner === options.nodeId && core.wasReplica) return []
  const known = copy.inSyncKnown && copy.inSync !== undefined && !core.setDoubted
  const inSync = known ? copy.inSync : undefined
  return peersOf(core).filter((peer) => {
    if (inSync === undefined) return peer.promotable
    if (peer.id === owner) return !inSync.includes(options.nodeId)
    return inSync.includes(peer.id)
  })
}

/**
 * The needed members that are not heard: those still waited for, and those for which `hold` holds.
 */
export function silentNeeded(core: CoreState, proven: boolean): { wait: string[]; hold: string[] } {
  const wait: string[] = []
  const hold: string[] = []
  if (!core.wasReplica) {
    const holds = core.options.onMissingPeer === 'hold' && !proven
    return { wait, hold: holds ? missingAtStart(core) : hold }
  }
  if (ownerAnswers(core)) return { wait, hold }
  for (const peer of neededMembers(core)) {
    if (heard(core, peer) || core.withoutPeers.has(peer.id)) continue
    if (!provenEnd(peer) && !nobodyListens(peer) && core.nowMs < silentUntilMs(core, peer))
      wait.push(peer.id)
    if (core.options.onMissingPeer === 'hold') hold.push(peer.id)
  }
  return { wait, hold }
}

/** The durable copy of the last term's owner stands for the whole set. */
function ownerAnswers(core: CoreState): boolean {
  const owner = core.peers.get(lastOwner(core) ?? '')
  return owner !== undefined && heard(core, owner) && owner.view?.copy.complete === true
}

/**
 * Counted from when it was last heard, but not from before the active was lost: a member that was
 * silent for long before gets its time to come back, and one that fell silent together with the
 * active costs no more.
 */
function silentUntilMs(core: CoreState, peer: Peer): number {
  const activeLostMs = core.timers.get('activeLost') ?? core.nowMs
  return Math.max(peer.heardAtMs ?? 0, activeLostMs) + core.options.deadMs
}

/**
 * Promotable members that are not heard; observers hold nothing that is acknowledged nowhere else.
 */
export function missingAtStart(core: CoreState): string[] {
  return peersOf(core)
    .filter((peer) => peer.promotable && !heard(core, peer) && !core.withoutPeers.has(peer.id))
    .map((peer) => peer.id)
}

/** Whether what a peer has beyond our copy could not be fetched for as long as a silent member is waited for. */
export function triedLongEnough(core: CoreState, peer: Peer): boolean {
  const sinceMs = peer.unfetchableSinceMs
  return sinceMs !== undefined && core.nowMs - sinceMs >= core.options.deadMs
}

/** Nobody serves until these members are back, or an operator decides; said once. */
export function hold(core: CoreState, reason: string, missing: readonly string[]): void {
  decide(core, 'takeover', 'hold', { reason, missing })
  emitOnce(core, `holding ${reason} ${missing.join()}`, { name: 'holding', missing, reason })
}
