/** Limits how often something is reported, so that a repeated event does not flood the log. */
import type { Clock } from '../interfaces/clock.js'

/** Milliseconds in which the same key is reported once. */
export const reportPeriodMs = 60_000
/** Different keys reported within a period; further ones are suppressed. */
const keysMax = 16

export class ReportLimiter {
  readonly #clock: Clock
  /** When each key was reported, the oldest first. */
  readonly #reportedAtMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this key may be reported now; if so, it counts as reported. */
  isDue(key: string): boolean {
    const nowMs = this.#clock.nowMs()
    for (const [old, atMs] of this.#reportedAtMs) {
      if (nowMs - atMs < reportPeriodMs) break
      this.#reportedAtMs.delete(old)
    }
    if (this.#reportedAtMs.has(key) || this.#reportedAtMs.size >= keysMax) return false
    this.#reportedAtMs.set(key, nowMs)
    return true
  }
}
