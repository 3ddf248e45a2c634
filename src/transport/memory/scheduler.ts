import type { Clock } from '../../interfaces/clock.js'

/** Runs callbacks later: on a given clock, or in real time with minimal delay. */
export interface Scheduler {
  nowMs(): number
  /** Runs `callback` once, `delayMs` from now, never within this call. Returns how to cancel it. */
  after(delayMs: number, callback: () => void): () => void
}

/** Uses the clock for everything, so that a run is reproducible. */
export function clockScheduler(clock: Clock): Scheduler {
  return {
    nowMs: () => clock.nowMs(),
    after: (delayMs, callback) => {
      const timer = clock.setTimer(delayMs, callback)
      return () => clock.clearTimer(timer)
    },
  }
}

/**
 * Uses real time. Without a delay the callback runs in the next turn of the event loop, so that
 * other work is not starved.
 */
export function realScheduler(): Scheduler {
  return {
    nowMs: () => performance.now(),
    after: (delayMs, callback) => {
      if (delayMs <= 0) {
        const immediate = setImmediate(callback)
        return () => clearImmediate(immediate)
      }
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    },
  }
}
