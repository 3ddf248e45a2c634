/**
 * The progress of fetches. The others see it as a rising count, and leave the candidate alone as
 * long as it rises. A candidate whose count stands still is treated like any other that does
 * nothing.
 */

import type { PeerView } from '../state/messages.js'
import type { CoreState, Peer, Round } from '../state/state.js'
import { heard } from './liveness.js'

/** Records the progress that a member reports; called before its view is replaced. */
export function noteProgress(core: CoreState, peer: Peer, view: PeerView): void {
  const before = peer.fetching
  const count = view.fetching
  if (view.round === undefined) {
    peer.fetching = undefined
  } else if (count !== undefined) {
    // The count of a process never falls, so that a new attempt does not count as progress.
    const moved = before === undefined || count > before.count
    peer.fetching = { count, atMs: moved ? core.nowMs : before.atMs }
  } else if (before !== undefined && peer.view?.fetching !== undefined) {
    // The fetch is complete, and the candidate continues with the next step.
    peer.fetching = { ...before, atMs: core.nowMs }
  }
}

/** Whether a candidate has fetched something within `deadMs`. */
export function isFetching(core: CoreState, peer: Peer | undefined): boolean {
  if (peer?.fetching === undefined || !heard(core, peer)) return false
  return core.nowMs - peer.fetching.atMs < core.options.deadMs
}

/** Records that data of this node's fetch has arrived. */
export function fetchProgressed(core: CoreState, id: number, count: number): void {
  const { round } = core
  if (round?.phase !== 'fetching' || round.waitId !== id || count <= core.fetchedCount) return
  core.fetchedCount = count
  round.fetchedAtMs = core.nowMs
}

/** Whether the fetch of this node's round makes progress, so that no other round need begin. */
export function ownFetchMoves(core: CoreState, round: Round): boolean {
  const { fetchedAtMs, phase } = round
  if (phase !== 'fetching' || fetchedAtMs === undefined) return false
  return core.nowMs - fetchedAtMs < core.options.deadMs
}
