/** A timer, as {@link Clock.clearTimer} takes it. */
export type TimerHandle = unknown

/**
 * Where a node gets its time from. Every timer of the library runs on it, so that a test or the
 * simulator can turn 30 s into a millisecond.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back, fractions allowed. */
  nowMs(): number
  /**
   * Wall clock in milliseconds since 1970. Used in logs and to notice a suspended machine, never to
   * order data.
   */
  wallMs(): number
  /** Runs `callback` once, after `delayMs` (at least 0). */
  setTimer(delayMs: number, callback: () => void): TimerHandle
  /** Cancels a timer; cancelling one that already ran does nothing. */
  clearTimer(timer: TimerHandle): void
}
