/** Tells refusals as events: somebody that is refused again and again, or many strangers, must not fill the log. */
import type { Clock } from '../interfaces/clock.js'
import type { Emit } from './reports.js'

/** The same refusal is told so often at most, in milliseconds. */
const periodMs = 60_000
/** Different ones that are told within a period. */
const keysMax = 16

export interface Refusal {
  /** A member's id, or the address of a stranger. */
  readonly peer: string
  readonly code: string
  readonly reason: string
}

export class Refusals {
  readonly #clock: Clock
  readonly #emit: Emit
  /** When each was told, the oldest first. */
  readonly #toldAtMs = new Map<string, number>()
  #untold = 0

  constructor(clock: Clock, emit: Emit) {
    this.#clock = clock
    this.#emit = emit
  }

  /** @param key - what makes two of them the same */
  tell(key: string, { peer, code, reason }: Refusal): void {
    if (!this.#isDue(key)) {
      this.#untold += 1
      return
    }
    const untold = this.#untold
    this.#untold = 0
    const more = untold === 0 ? '' : ` (and ${untold} more refusals since the last one told)`
    this.#emit('refused', { peer, code, reason: `${reason}${more}` })
  }

  #isDue(key: string): boolean {
    const nowMs = this.#clock.nowMs()
    for (const [old, atMs] of this.#toldAtMs) {
      if (nowMs - atMs < periodMs) break
      this.#toldAtMs.delete(old)
    }
    if (this.#toldAtMs.has(key) || this.#toldAtMs.size >= keysMax) return false
    this.#toldAtMs.set(key, nowMs)
    return true
  }
}
