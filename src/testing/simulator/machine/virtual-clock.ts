/**
 * Virtual time, which passes only in `advance`. It runs events in the order of time and then of
 * insertion, and lets everything that follows from one event finish before the next one.
 */
import type { Clock, TimerHandle } from '../../../interfaces/clock.js'

interface Event {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined
}

/** The time of a simulated world. */
export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  #heap: Event[] = []
  /** The number of events that were run, for statistics. */
  events: number = 0

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return wallStartMs + this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    this.#order += 1
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, callback }
    this.#push(event)
    return event
  }

  clearTimer(timer: TimerHandle): void {
    // A cleared event stays in the heap and is skipped, because removing it would cost more.
    if (timer !== undefined) (timer as Event).callback = undefined
  }

  /**
   * Runs everything up to `toMs` and sets the time to that. Ends early when `enough`, which is
   * asked after each event, answers true.
   */
  async advance(toMs: number, enough?: () => boolean): Promise<void> {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > toMs) break
      this.#pop()
      const { callback } = next
      if (callback === undefined) continue
      next.callback = undefined
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      this.events += 1
      callback()
      await drained()
      if (enough?.() === true) return
    }
    this.#nowMs = Math.max(this.#nowMs, toMs)
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as Event
      if (!before(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= heap.length) break
      const right = left + 1
      const smaller =
        right < heap.length && before(heap[right] as Event, heap[left] as Event) ? right : left
      if (!before(heap[smaller] as Event, last)) break
      heap[at] = heap[smaller] as Event
      at = smaller
    }
    heap[at] = last
  }
}

/** 2030-01-01, so that virtual times differ visibly from real ones. */
const wallStartMs = 1_893_456_000_000

function before(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

/**
 * Resolves when all pending promises and ticks have run, which is all there is, since nothing waits
 * for real I/O.
 */
export function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The shortest delay of a timer that has one, in virtual milliseconds. */
const timerMsMin = 0.001

/** How a machine's clocks differ from virtual time. */
export interface MachineTime {
  /** The start of its monotonic clock, which differs between machines. */
  readonly monotonicOffsetMs: number
  /** The error of its wall clock. */
  readonly wallOffsetMs: number
  /** The rate of both clocks; 1.005 is half a percent too fast. Default 1. */
  readonly rate?: number
}

/**
 * The clock of one machine. While it is held, no timer fires; timers that became due meanwhile fire
 * after `release`.
 */
export class MachineClock implements Clock {
  readonly #base: VirtualClock
  readonly #time: MachineTime
  readonly #rate: number
  readonly #late: (() => void)[] = []
  #held = false
  #suspendedMs = 0
  #steppedMs = 0

  constructor(base: VirtualClock, time: MachineTime) {
    this.#base = base
    this.#time = time
    this.#rate = time.rate ?? 1
  }

  get held(): boolean {
    return this.#held
  }

  nowMs(): number {
    return this.#base.nowMs() * this.#rate + this.#time.monotonicOffsetMs - this.#suspendedMs
  }

  wallMs(): number {
    const { wallOffsetMs } = this.#time
    return wallStartMs + this.#base.nowMs() * this.#rate + wallOffsetMs + this.#steppedMs
  }

  /** Sets its wall clock forwards or back. */
  stepWall(byMs: number): void {
    this.#steppedMs += byMs
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer: { callback: (() => void) | undefined; base: TimerHandle } = {
      callback,
      base: undefined,
    }
    const run = (): void => {
      const due = timer.callback
      timer.callback = undefined
      due?.()
    }
    // At least a minimum, so that code which waits repeatedly for the rest of a time reaches its
    // end despite rounding.
    const baseMs = delayMs > 0 ? Math.max(delayMs / this.#rate, timerMsMin) : 0
    timer.base = this.#base.setTimer(baseMs, () => this.run(run))
    return timer
  }

  clearTimer(handle: TimerHandle): void {
    if (handle === undefined) return
    const timer = handle as { callback: (() => void) | undefined; base: TimerHandle }
    timer.callback = undefined
    this.#base.clearTimer(timer.base)
  }

  /** Runs the callback now, or after `release`. */
  run(callback: () => void): void {
    if (this.#held) this.#late.push(callback)
    else callback()
  }

  /** Freezes the machine or its process. */
  hold(): void {
    this.#held = true
  }

  /**
   * Ends {@link hold}. @param suspendedMs - the time that the monotonic clock did not count,
   * because the machine was suspended
   */
  release(suspendedMs: number = 0): void {
    this.#held = false
    this.#suspendedMs += suspendedMs * this.#rate
    // Each as an event of its own and in order, as an event loop would run them.
    for (const callback of this.#late.splice(0)) this.#base.setTimer(0, () => this.run(callback))
  }

  /** The process died while it was frozen. */
  forget(): void {
    this.#held = false
    this.#late.length = 0
  }
}

/** The clock of one process, which stops when the process dies. */
export class ProcessClock implements Clock {
  readonly #machine: MachineClock
  #alive = true

  constructor(machine: MachineClock) {
    this.#machine = machine
  }

  nowMs(): number {
    return this.#machine.nowMs()
  }

  wallMs(): number {
    return this.#machine.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    if (!this.#alive) return undefined
    return this.#machine.setTimer(delayMs, () => {
      if (this.#alive) callback()
    })
  }

  clearTimer(timer: TimerHandle): void {
    this.#machine.clearTimer(timer)
  }

  /** Stops it: no timer fires any more. */
  die(): void {
    this.#alive = false
  }
}
