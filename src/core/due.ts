/** When the core has something to decide although nothing happens, so that nobody has to wake it in between. */
import type { CoreState } from './state.js'

/**
 * The next time at which a deadline passes, never later than the next heartbeat: a node that is not
 * woken that often cannot tell that it stood still. Ticks between here and there decide nothing.
 */
export function nextDueMs(core: CoreState): number {
  let dueMs = core.nowMs + core.options.heartbeatMs
  for (const atMs of deadlines(core)) {
    if (atMs > core.nowMs && atMs < dueMs) dueMs = atMs
  }
  return dueMs
}

function* deadlines(core: CoreState): Generator<number> {
  yield* core.timers.values()
  const { deadMs } = core.options
  const sinceMs: (number | undefined)[] = [core.timers.get('activeLost')]
  for (const peer of core.peers.values()) {
    sinceMs.push(peer.heardAtMs, peer.deafSinceMs, peer.fetching?.atMs)
  }
  for (const rival of core.tenure?.rivals.values() ?? []) {
    sinceMs.push(rival.sinceMs, rival.deafSinceMs)
  }
  for (const atMs of sinceMs) if (atMs !== undefined) yield atMs + deadMs
}
