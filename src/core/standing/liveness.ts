/**
 * Who is alive, in both directions, and whether we ourselves are on time.
 *
 * A peer is silent when no message came for `deadMs`; it is gone when our own connection to it was
 * reset or closed, the next dial was refused, and none that it dialled stands. A reset with the
 * listener still up is no death, and a refused dial alone says only that nothing listens at the
 * address that we have for it. A refusal proves that a process lives there, and nothing else.
 */

import { arm, emit, running } from '../state/acts.js'
import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import type { CoreInput, LinkCause } from '../state/types.js'

/**
 * A shorter pause, in milliseconds, is nothing unusual for a process; it moves the deadlines and is
 * not reported.
 */
const lateMsMin = 250

/** A message came from it within `deadMs`. */
export function heard(core: CoreState, peer: Peer): boolean {
  if (peer.gone || peer.stopped || peer.heardAtMs === undefined) return false
  return core.nowMs - peer.heardAtMs < core.options.deadMs
}

/** The members that are heard now. */
export function heardIds(core: CoreState): string[] {
  return peersOf(core)
    .filter((peer) => heard(core, peer))
    .map(({ id }) => id)
}

/** Heard, and we have a connection to speak to it. */
export function reachable(core: CoreState, peer: Peer): boolean {
  return peer.link && heard(core, peer)
}

/** Reachable, and it says that it hears us. */
export function twoWay(core: CoreState, peer: Peer): boolean {
  return reachable(core, peer) && (peer.view?.hears.includes(core.options.nodeId) ?? false)
}

/** Nobody can answer there now. */
export function cannotAnswer(peer: Peer): boolean {
  return peer.gone || peer.stopped || nobodyListens(peer)
}

/** Our dials of it are refused, and it has not dialled us either. */
export function nobodyListens(peer: Peer): boolean {
  return peer.refused && !peer.link
}

/**
 * Our own connection to it does not stand, and could not be made, or not in the time that a search
 * takes.
 */
export function cannotDial(core: CoreState, peer: Peer): boolean {
  if (peer.dialled) return false
  const sinceMs = peer.undialledSinceMs ?? core.nowMs
  return (
    peer.undialled || core.nowMs - sinceMs >= Math.max(core.options.discoveryMs, dialTimeMs(core))
  )
}

/** Long enough for another dial, which is tried with each heartbeat, and for an answer. */
export function dialTimeMs(core: CoreState): number {
  return 1.5 * core.options.heartbeatMs
}

/** Ended for certain, as opposed to silent. */
export function provenEnd(peer: Peer): boolean {
  return peer.gone || peer.stopped
}

/** Whether we were late a moment ago and should not be believed about others, nor accuse them. */
export function isLate(core: CoreState): boolean {
  return running(core, 'late')
}

/**
 * Moves the time on, and says by how much this input is later than any that was due. Ticks come
 * at least once per heartbeat, so a longer gap means that this process or machine stood still:
 * whatever came meanwhile was not read, and nobody may be accused for it. Monotonic clocks stand
 * still while a machine is suspended; the wall clock shows it.
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

/** Extends every deadline by the time in which we could not have noticed anything. */
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
  // What was lost was a connection to the process before this one: it proves nothing about this
  // one.
  if (!accepted || peer.linkBootId !== bootId) peer.lostLink = false
  peer.linkBootId = bootId
  if (!accepted) peer.refused = false
  peer.refusedSinceMs = undefined
  peer.undialled = false
  peer.undialledSinceMs = peer.dialled ? undefined : core.nowMs
  peer.refusal = undefined
  peer.gone = false
  peer.stopped = false
  // Another process than the one that was heard: what that one said is void, and it is proven
  // ended.
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
  // After a pause the answer may be older than it: the next dial tells.
  peer.refused = cause === 'refused' && !isLate(core)
  peer.refusedSinceMs = peer.refused ? (peer.refusedSinceMs ?? core.nowMs) : undefined
  proveGone(core, peer)
}

/** Its process answers, and one side does not take the other in. */
export function refusal(core: CoreState, peer: Peer, reason: string, dialled: boolean): void {
  const before = peer.refusal
  // Where both dial, both are refused, in different words: what our own dial was told is kept.
  const kept = before?.dialled === true && !dialled ? before : { reason, dialled }
  peer.refusal = { ...kept, atMs: core.nowMs }
}

function proveGone(core: CoreState, peer: Peer): void {
  // A connection that it dialled and that stands says that it lives, whatever the address we dial
  // says.
  if (!peer.refused || !peer.lostLink || peer.accepted) return
  // A message since the connection ended says that the process lived on: then only silence
  // makes the refused dial a proof (its last words may still have been under way).
  const silentMs = core.nowMs - (peer.heardAtMs ?? Number.NEGATIVE_INFINITY)
  if (!peer.heardSinceLost || silentMs >= 2 * core.options.heartbeatMs) peer.gone = true
}

/** Takes note of a message from a peer, and of the view in it. */
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
  // A forgotten peer is one whose process was replaced by another.
  const gone = peer.gone || peer.heardAtMs === undefined
  const cause = peer.stopped ? 'stopped' : gone ? 'gone' : 'silent'
  emit(core, { name: 'peerDown', peer: peer.id, cause })
}
