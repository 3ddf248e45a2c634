/**
 * Virtual time. Nothing happens by itself: `advance` runs what is due, in the order of time and
 * then of insertion, and lets everything that follows from one event finish before the next one.
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
  /** Events that were run, for statistics. */
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
    // It stays in the heap and is passed over: removing it would cost more.
    if (timer !== undefined) (timer as Event).callback = undefined
  }

  /**
   * Runs everything up to `toMs`, and moves the time there. Ends early when `enough` says so, asked
   * after each event.
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

/** 2030-01-01, so that no real time is mistaken for a virtual one. */
const wallStartMs = 1_893_456_000_000

function before(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

/**
 * Resolves when all promises and ticks that are under way have run: nothing here waits for the
 * outside.
 */
export function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The least that a timer with a delay takes, in virtual milliseconds. */
const timerMsMin = 0.001

/** What a machine's clock shows beside the virtual time. */
export interface MachineTime {
  /** Where its monotonic clock began; differs from machine to machine. */
  readonly monotonicOffsetMs: number
  /** How far its wall clock is wrong. */
  readonly wallOffsetMs: number
  /** How fast both go; 1.005 is half a percent too fast. Default 1. */
  readonly rate?: number
}

/**
 * The clock of one machine. While it is held nothing runs on it; what became due runs, late, when
 * it is let go.
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

  /** Somebody sets its wall clock, forwards or back. */
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
    // Whoever waits for the rest of a time again and again must come to its end, whatever the rate
    // rounds off.
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

  /** Runs now, or when the machine goes on. */
  run(callback: () => void): void {
    if (this.#held) this.#late.push(callback)
    else callback()
  }

  /** The machine or its process stands still. */
  hold(): void {
    this.#held = true
  }

  /**
   * It goes on. @param suspendedMs - what its monotonic clock did not count, when the machine was
   * suspended
   */
  release(suspendedMs: number = 0): void {
    this.#held = false
    this.#suspendedMs += suspendedMs * this.#rate
    // Each as an event of its own, in order, as an event loop would take them.
    for (const callback of this.#late.splice(0)) this.#base.setTimer(0, () => this.run(callback))
  }

  /** The process died while it stood still. */
  forget(): void {
    this.#held = false
    this.#late.length = 0
  }
}

/** The clock of one process: dies with it. */
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

  /** Nothing runs on it any more. */
  die(): void {
    this.#alive = false
  }
}
