/**
 * A fetch takes as long as its data. What others see of it is a count that rises: as long as it
 * does, the candidate is left alone; when it stops, it is like any other that does nothing.
 */

import type { PeerView } from '../state/messages.js'
import type { CoreState, Peer, Round } from '../state/state.js'
import { heard } from './liveness.js'

/** Notes what a member says of its fetch; called before its view is replaced. */
export function noteProgress(core: CoreState, peer: Peer, view: PeerView): void {
  const before = peer.fetching
  const count = view.fetching
  if (view.round === undefined) {
    peer.fetching = undefined
  } else if (count !== undefined) {
    // The count of a process never falls, so that a new attempt is not taken for progress.
    const moved = before === undefined || count > before.count
    peer.fetching = { count, atMs: moved ? core.nowMs : before.atMs }
  } else if (before !== undefined && peer.view?.fetching !== undefined) {
    // It has all, and goes on to the next step.
    peer.fetching = { ...before, atMs: core.nowMs }
  }
}

/** Whether a candidate brought something in within `deadMs`. */
export function isFetching(core: CoreState, peer: Peer | undefined): boolean {
  if (peer?.fetching === undefined || !heard(core, peer)) return false
  return core.nowMs - peer.fetching.atMs < core.options.deadMs
}

/** Something of what this node fetches came in. */
export function fetchProgressed(core: CoreState, id: number, count: number): void {
  const { round } = core
  if (round?.phase !== 'fetching' || round.waitId !== id || count <= core.fetchedCount) return
  core.fetchedCount = count
  round.fetchedAtMs = core.nowMs
}

/** Whether the own round brings in what it lacks, so that nobody else need begin one. */
export function ownFetchMoves(core: CoreState, round: Round): boolean {
  const { fetchedAtMs, phase } = round
  if (phase !== 'fetching' || fetchedAtMs === undefined) return false
  return core.nowMs - fetchedAtMs < core.options.deadMs
}
