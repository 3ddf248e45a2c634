/** Which refusals are told: somebody that is refused again and again, or many strangers, must not fill the log. */
import type { Clock } from '../interfaces/clock.js'

/** The same refusal is told so often at most, in milliseconds. */
const periodMs = 60_000
/** Different ones that are told within a period. */
const keysMax = 16

export class RefusalLog {
  readonly #clock: Clock
  /** When each was told, the oldest first. */
  readonly #toldAtMs = new Map<string, number>()
  #untold = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many were not told since the last one, when this one is to be told; else undefined. */
  take(key: string): number | undefined {
    const nowMs = this.#clock.nowMs()
    for (const [old, atMs] of this.#toldAtMs) {
      if (nowMs - atMs < periodMs) break
      this.#toldAtMs.delete(old)
    }
    if (this.#toldAtMs.has(key) || this.#toldAtMs.size >= keysMax) {
      this.#untold += 1
      return undefined
    }
    this.#toldAtMs.set(key, nowMs)
    const untold = this.#untold
    this.#untold = 0
    return untold
  }
}
