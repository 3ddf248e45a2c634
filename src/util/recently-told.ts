/** What was told lately: the same thing again and again, or many things, must not fill the log. */
import type { Clock } from '../interfaces/clock.js'

/** The same thing is told so often at most, in milliseconds. */
export const toldPeriodMs = 60_000
/** Different ones that are told within a period; further ones are left out. */
const keysMax = 16

export class Told {
  readonly #clock: Clock
  /** When each was told, the oldest first. */
  readonly #toldAtMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this may be told now; if so, it counts as told. */
  isDue(key: string): boolean {
    const nowMs = this.#clock.nowMs()
    for (const [old, atMs] of this.#toldAtMs) {
      if (nowMs - atMs < toldPeriodMs) break
      this.#toldAtMs.delete(old)
    }
    if (this.#toldAtMs.has(key) || this.#toldAtMs.size >= keysMax) return false
    this.#toldAtMs.set(key, nowMs)
    return true
  }

  /** What is told next is news, whatever was told before. */
  forget(): void {
    this.#toldAtMs.clear()
  }
}
