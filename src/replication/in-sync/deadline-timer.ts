/**
 * One timer for the earliest of many deadlines. The callback checks which of them have passed and
 * sets the next.
 */
import type { Clock, TimerHandle } from '../../interfaces/clock.js'

export class DeadlineTimer {
  readonly #clock: Clock
  readonly #whenDue: (nowMs: number, lateMs: number) => void
  #timer: TimerHandle | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #isClosed = false

  constructor(clock: Clock, whenDue: (nowMs: number, lateMs: number) => void) {
    this.#clock = clock
    this.#whenDue = whenDue
  }

  /** Makes the timer fire at `wantedMs` at the latest; an infinite deadline sets no timer. */
  setBy(wantedMs: number): void {
    const dueMs = Math.min(this.#dueMs, wantedMs)
    if (this.#isClosed || !Number.isFinite(dueMs)) return
    if (this.#timer !== undefined && this.#dueMs === dueMs) return
    this.#clear()
    this.#dueMs = dueMs
    const delayMs = Math.max(0, dueMs - this.#clock.nowMs())
    this.#timer = this.#clock.setTimer(delayMs, () => {
      const nowMs = this.#clock.nowMs()
      const lateMs = nowMs - this.#dueMs
      this.#timer = undefined
      this.#dueMs = Number.POSITIVE_INFINITY
      this.#whenDue(nowMs, lateMs)
    })
  }

  close(): void {
    this.#isClosed = true
    this.#clear()
  }

  #clear(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
  }
}
