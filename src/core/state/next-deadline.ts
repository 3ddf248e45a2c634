/**
 * When the core has something to decide although nothing happens, so that nobody has to wake it in
 * between.
 */
import type { CoreState } from './state.js'

/**
 * The next time at which a deadline passes, never later than the next heartbeat: a node that is not
 * woken that often cannot tell that it stood still. Ticks between here and there decide nothing.
 */
export function nextDueMs(core: CoreState): number {
  const { nowMs, options, peers, tenure, timers } = core
  let dueMs = nowMs + options.heartbeatMs
  // Asked after every input: it makes no lists.
  const passes = (atMs: number): void => {
    if (atMs > nowMs && atMs < dueMs) dueMs = atMs
  }
  const falls = (sinceMs: number | undefined): void => {
    if (sinceMs !== undefined) passes(sinceMs + options.deadMs)
  }
  for (const atMs of timers.values()) passes(atMs)
  falls(timers.get('activeLost'))
  for (const { heardAtMs, deafSinceMs, fetching } of peers.values()) {
    falls(heardAtMs)
    falls(deafSinceMs)
    falls(fetching?.atMs)
  }
  for (const { sinceMs, deafSinceMs } of tenure?.rivals.values() ?? []) {
    falls(sinceMs)
    falls(deafSinceMs)
  }
  return dueMs
}
