/** The clock of tests: time passes only when they say so. */
import type { Clock, TimerHandle } from '../../src/interfaces/clock.js'

interface Timer {
  readonly dueMs: number
  readonly callback: () => void
}

export class TestClock implements Clock {
  now = 1_000_000
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>()

  nowMs(): number {
    return this.now
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.now
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer = { dueMs: this.now + delayMs, callback }
    this.#timers.add(timer)
    return timer
  }

  clearTimer(timer: TimerHandle): void {
    this.#timers.delete(timer as Timer)
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Lets time pass within this call: no promise settles meanwhile. */
  advance(ms: number): void {
    const endMs = this.now + ms
    while (this.#runNext(endMs));
    this.now = endMs
  }

  /** Lets time pass, and promises settle between timers. */
  async pass(ms: number): Promise<void> {
    const endMs = this.now + ms
    do await settle()
    while (this.#runNext(endMs))
    this.now = endMs
    await settle()
  }

  /** Lets time pass while nothing can run, as in a process that is stopped. */
  freeze(ms: number): void {
    this.now += ms
    this.advance(0)
  }

  /** Runs the first timer that is due by then; of those that are due together, the oldest. */
  #runNext(endMs: number): boolean {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer
    }
    if (next === undefined) return false
    this.#timers.delete(next)
    this.now = Math.max(this.now, next.dueMs)
    next.callback()
    return true
  }
}

/** Lets all promises settle that need no timer. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
}
