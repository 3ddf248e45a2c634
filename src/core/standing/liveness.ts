/**
 * Which peers are alive, judged in both directions, and whether this node itself is on time.
 *
 * A peer is silent when no message has arrived for `deadMs`. It is gone when the connection that
 * this node dialled was reset or closed, the next dial was refused, and no connection that it
 * dialled is open. A reset alone proves nothing while its listener answers, and a refused dial
 * alone shows only that nothing listens at the configured address. A refused handshake proves that
 * a process is alive there, but not which one.
 */

import { arm, emit, running } from '../state/acts.js'
import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import type { CoreInput, LinkCause } from '../state/types.js'

/**
 * The shortest pause that is reported, in milliseconds. Shorter ones are normal for a process and
 * only shift the deadlines.
 */
const lateMsMin = 250

/** Whether a message of the peer arrived within `deadMs`. */
export function heard(core: CoreState, peer: Peer): boolean {
  if (peer.gone || peer.stopped || peer.heardAtMs === undefined) return false
  return core.nowMs - peer.heardAtMs < core.options.deadMs
}

/** The ids of the members that are heard. */
export function heardIds(core: CoreState): string[] {
  return peersOf(core)
    .filter((peer) => heard(core, peer))
    .map(({ id }) => id)
}

/** Whether the peer is heard and can be sent messages. */
export function reachable(core: CoreState, peer: Peer): boolean {
  return peer.link && heard(core, peer)
}

/** Whether the peer is reachable and reports that it hears this node. */
export function twoWay(core: CoreState, peer: Peer): boolean {
  return reachable(core, peer) && (peer.view?.hears.includes(core.options.nodeId) ?? false)
}

/** Whether no process of the peer can answer. */
export function cannotAnswer(peer: Peer): boolean {
  return peer.gone || peer.stopped || nobodyListens(peer)
}

/** Whether dials to the peer are refused and it has not dialled this node either. */
export function nobodyListens(peer: Peer): boolean {
  return peer.refused && !peer.link
}

/**
 * Whether this node's dials to the peer fail, or have not succeeded within the time of a search.
 */
export function cannotDial(core: CoreState, peer: Peer): boolean {
  if (peer.dialled) return false
  const sinceMs = peer.undialledSinceMs ?? core.nowMs
  return (
    peer.undialled || core.nowMs - sinceMs >= Math.max(core.options.discoveryMs, dialTimeMs(core))
  )
}

/** The time for one more dial, which is tried with each heartbeat, and for an answer. */
export function dialTimeMs(core: CoreState): number {
  return 1.5 * core.options.heartbeatMs
}

/** Whether the peer has certainly ended, as opposed to being silent. */
export function provenEnd(peer: Peer): boolean {
  return peer.gone || peer.stopped
}

/**
 * Whether this node was paused a moment ago. Its reports about other members do not count then, and
 * it accuses none.
 */
export function isLate(core: CoreState): boolean {
  return running(core, 'late')
}

/**
 * Advances the time, and returns by how much this input is later than due. Ticks come at least once
 * per heartbeat, so a longer gap means that this process or machine was paused: messages were not
 * read meanwhile, and no peer may be accused for it. Monotonic clocks stop while a machine is
 * suspended, but the wall clock shows it.
 */
export function advance(core: CoreState, input: CoreInput): number {
  const { heartbeatMs, deadMs } = core.options
  const gapMs = input.nowMs - core.nowMs
  const wallGapMs = input.wallMs - core.wallMs
  core.nowMs = input.nowMs
  core.wallMs = input.wallMs
  if (!core.started) return 0
  const paused = gapMs > 2 * heartbeatMs
  if (paused) shift(core, gapMs)
  const stalled = paused && gapMs > lateMsMin
  const suspended = wallGapMs - gapMs > deadMs
  if (!stalled && !suspended) return 0
  arm(core, 'late', heartbeatMs)
  const lateMs = suspended ? wallGapMs : gapMs
  emit(core, { name: 'late', lateMs })
  return lateMs
}

/** Extends every deadline by the time in which this node could notice nothing. */
function shift(core: CoreState, gapMs: number): void {
  for (const [name, atMs] of core.timers) {
    if (name !== 'heartbeat') core.timers.set(name, atMs + gapMs)
  }
  for (const peer of peersOf(core)) {
    if (peer.heardAtMs !== undefined) peer.heardAtMs += gapMs
    if (peer.deafSinceMs !== undefined) peer.deafSinceMs += gapMs
    if (peer.fetching !== undefined)
      peer.fetching = { ...peer.fetching, atMs: peer.fetching.atMs + gapMs }
    if (peer.unfetchableSinceMs !== undefined) peer.unfetchableSinceMs += gapMs
    if (peer.undialledSinceMs !== undefined) peer.undialledSinceMs += gapMs
    if (peer.refusal !== undefined) {
      peer.refusal = { ...peer.refusal, atMs: peer.refusal.atMs + gapMs }
    }
  }
  for (const [id, rival] of core.tenure?.rivals ?? []) {
    const deafSinceMs = rival.deafSinceMs === undefined ? undefined : rival.deafSinceMs + gapMs
    core.tenure?.rivals.set(id, { ...rival, sinceMs: rival.sinceMs + gapMs, deafSinceMs })
  }
}

export function linkUp(core: CoreState, peer: Peer, bootId: string, accepted: boolean): void {
  peer.link = true
  if (accepted) peer.accepted = true
  else peer.dialled = true
  // The lost connection led to an earlier process, so it proves nothing about this one.
  if (!accepted || peer.linkBootId !== bootId) peer.lostLink = false
  peer.linkBootId = bootId
  if (!accepted) peer.refused = false
  peer.refusedSinceMs = undefined
  peer.undialled = false
  peer.undialledSinceMs = peer.dialled ? undefined : core.nowMs
  peer.refusal = undefined
  peer.gone = false
  peer.stopped = false
  // A new process: the last view is void, and the earlier process has certainly ended.
  if (peer.view !== undefined && peer.view.bootId !== bootId) forget(core, peer)
}

function forget(core: CoreState, peer: Peer): void {
  peer.view = undefined
  peer.heardAtMs = undefined
  peer.unfetchableSinceMs = undefined
  peer.fetching = undefined
  reportPeer(core, peer)
}

export function linkDown(core: CoreState, peer: Peer, cause: LinkCause, accepted: boolean): void {
  if (accepted) peer.accepted = false
  else peer.dialled = false
  peer.link = peer.dialled || peer.accepted
  peer.undialledSinceMs = peer.accepted && !peer.dialled ? core.nowMs : undefined
  if (accepted) {
    proveGone(core, peer)
  } else if (cause === 'reset' || cause === 'closed') {
    peer.lostLink = true
    peer.heardSinceLost = false
  }
}

export function dialFailed(
  core: CoreState,
  peer: Peer,
  cause: 'refused' | 'unreachable' | 'rejected',
  reason: string,
): void {
  peer.dialled = false
  peer.link = peer.accepted
  peer.undialled = true
  if (cause === 'rejected') refusal(core, peer, reason, true)
  // After a pause the refusal may be older than the pause; the next dial tells.
  peer.refused = cause === 'refused' && !isLate(core)
  peer.refusedSinceMs = peer.refused ? (peer.refusedSinceMs ?? core.nowMs) : undefined
  peer.refusedAtMs = peer.refused ? core.nowMs : undefined
  proveGone(core, peer)
}

/** Records that a process of the peer is alive and that one side refused the other. */
export function refusal(core: CoreState, peer: Peer, reason: string, dialled: boolean): void {
  const before = peer.refusal
  // If both nodes dial, both are refused, in different words. The answer to this node's dial is
  // kept.
  const kept = before?.dialled === true && !dialled ? before : { reason, dialled }
  peer.refusal = { ...kept, atMs: core.nowMs }
}

function proveGone(core: CoreState, peer: Peer): void {
  // An open connection that the peer dialled proves that it lives, whatever the configured address
  // answers.
  if (!peer.refused || !peer.lostLink || peer.accepted) return
  // A message after the end of the connection means that the process lived on. The refused dial
  // proves its end only after a silence, because its last messages may still have been in flight.
  const silentMs = core.nowMs - (peer.heardAtMs ?? Number.NEGATIVE_INFINITY)
  if (!peer.heardSinceLost || silentMs >= 2 * core.options.heartbeatMs) peer.gone = true
}

/** Records a message of a peer, and the view in it. */
export function noteHeard(core: CoreState, peer: Peer, view: PeerView | undefined): void {
  peer.heardAtMs = core.nowMs
  peer.heardSinceLost = true
  peer.gone = false
  peer.stopped = false
  peer.refused = false
  peer.refusedSinceMs = undefined
  if (view !== undefined) peer.view = view
}

/** Emits `peerUp` and `peerDown`, once per change. */
export function reportPeers(core: CoreState): void {
  for (const peer of peersOf(core)) reportPeer(core, peer)
}

function reportPeer(core: CoreState, peer: Peer): void {
  const up = heard(core, peer)
  if (up === (peer.up ?? false)) return
  peer.up = up
  if (up) {
    emit(core, { name: 'peerUp', peer: peer.id })
    return
  }
  // A peer without a time was replaced by a new process.
  const gone = peer.gone || peer.heardAtMs === undefined
  const cause = peer.stopped ? 'stopped' : gone ? 'gone' : 'silent'
  emit(core, { name: 'peerDown', peer: peer.id, cause })
}
