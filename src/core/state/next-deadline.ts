/** Computes when the core has to be woken although nothing happens. */
import type { CoreState } from './state.js'

/**
 * The time of the next deadline, at the latest that of the next heartbeat, because a node that is
 * woken less often could not detect its own pauses. Ticks before it would change nothing.
 */
export function nextDueMs(core: CoreState): number {
  const { nowMs, options, peers, tenure, timers } = core
  let dueMs = nowMs + options.heartbeatMs
  // Called after every input, so it builds no lists.
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
