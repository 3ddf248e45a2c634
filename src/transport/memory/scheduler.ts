import type { Clock } from '../../interfaces/clock.js'

/** Runs things later: on a given clock, or in real time with as little delay as possible. */
export interface Scheduler {
  nowMs(): number
  /** Runs `callback` once, `delayMs` from now, never within this call. Returns how to cancel it. */
  after(delayMs: number, callback: () => void): () => void
}

/** Everything on the clock, so that a run is the same every time. */
export function clockScheduler(clock: Clock): Scheduler {
  return {
    nowMs: () => clock.nowMs(),
    after: (delayMs, callback) => {
      const timer = clock.setTimer(delayMs, callback)
      return () => clock.clearTimer(timer)
    },
  }
}

/** Real time. Without a delay the next turn of the event loop, so that nobody else is starved. */
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
