/**
 * Runs the calls of one open memory storage: at once, or after a latency on the injected clock, in
 * order within each channel, like a device. It uses no real timer, so that a run is reproducible.
 */

import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import { storageFailed } from '../failure.js'

/** The operations, as `latency` and `failure` get them. */
export type MemoryOperation =
  | 'documents.read'
  | 'documents.write'
  | 'documents.remove'
  | 'documents.list'
  | 'logs.list'
  | 'logs.open'
  | 'logs.remove'
  | 'logs.replace'
  | 'log.append'
  | 'log.read'
  | 'log.truncate'
  | 'objects.list'
  | 'objects.write'
  | 'objects.read'
  | 'objects.sync'
  | 'objects.remove'
  | 'tree.scan'
  | 'tree.stat'
  | 'tree.obstacles'
  | 'tree.read'
  | 'tree.apply'
  | 'tree.takeIn'
  | 'tree.sync'

/** Faults and latencies to inject. Changes apply to later calls. */
export interface MemoryFaults {
  /** Everything that writes is refused with `STORAGE_FULL`. Default false. */
  full: boolean
  /**
   * Everything that changes something, `open` included, is refused with `STORAGE_READ_ONLY`.
   * Default false.
   */
  readOnly: boolean
  /** The next call that makes something durable fails with `STORAGE_FAILED`; then false again. */
  failNextSync: boolean
  /**
   * The next sync of objects or files fails with `STORAGE_FAILED`, and its bytes are dropped, as
   * operating systems do: they can still be read, and after a reopening syncs succeed, but a power
   * cut loses them unless they were written again. Then false again.
   */
  loseNextSync: boolean
  /**
   * Milliseconds that a call takes on the clock of the storage; ignored without one. Default: none.
   */
  latency: ((operation: MemoryOperation) => number) | undefined
  /**
   * Called before each call takes effect; the call fails with the returned failure, if any.
   * Default: no call fails.
   */
  failure: ((operation: MemoryOperation) => MemoryFailure | undefined) | undefined
}

/** How a call fails. */
export interface MemoryFailure {
  /** The error of the call. */
  readonly error: Error
  /** If given, a random part of the call takes effect; else none does. */
  readonly torn?: Random
}

/** One call. */
export interface Call<T> {
  readonly operation: MemoryOperation
  /** Calls of one channel are carried out in order. */
  readonly channel: string
  readonly effect: () => T
  /** The effect of a crash during the call. Default: none. */
  readonly partial?: (random: Random) => void
}

interface Queued {
  readonly call: Call<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  timer: TimerHandle
}

/** The calls of one open storage. */
export class Runner {
  readonly #faults: MemoryFaults
  readonly #clock: Clock | undefined
  readonly #channels = new Map<string, Queued[]>()
  #ended: string | undefined
  #crashed = false
  #idle: (() => void) | undefined

  constructor(faults: MemoryFaults, clock: Clock | undefined) {
    this.#faults = faults
    this.#clock = clock
  }

  /** @throws `STORAGE_FAILED` after the end */
  check(): void {
    if (this.#ended !== undefined) throw storageFailed(this.#ended)
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** Whether calls take effect at once: no latency, and no call is waiting. */
  get immediate(): boolean {
    return this.#faults.latency === undefined && this.#channels.size === 0
  }

  /**
   * Whether calls take effect at once and cannot fail, so that {@link Runner.run} can be skipped.
   */
  get plain(): boolean {
    return this.immediate && this.#faults.failure === undefined
  }

  /** Carries out a call. */
  run<T>(call: Call<T>): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      this.check()
      if (this.#clock === undefined || this.immediate) {
        resolve(this.#carryOut(call))
        return
      }
      const queue = this.#channels.get(call.channel)
      const item: Queued = { call, resolve, reject, timer: undefined }
      if (queue === undefined) {
        this.#channels.set(call.channel, [item])
        this.#begin(this.#clock, item)
      } else {
        queue.push(item)
      }
    }) as Promise<T>
  }

  #carryOut<T>(call: Call<T>): T {
    const failure = this.#faults.failure?.(call.operation)
    if (failure === undefined) return call.effect()
    if (failure.torn !== undefined) call.partial?.(failure.torn)
    throw failure.error
  }

  /** Refuses later calls, and waits for those under way, unless a crash ends them first. */
  async end(why: string): Promise<'done' | 'crashed'> {
    this.#ended ??= why
    if (this.#channels.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    return this.#crashed ? 'crashed' : 'done'
  }

  /**
   * Crashes: in each channel the call under way has its partial effect, the waiting ones have none.
   */
  crash(random: Random, why: string): void {
    this.#ended = why
    this.#crashed = true
    for (const queue of this.#channels.values()) {
      if (this.#clock !== undefined) this.#clock.clearTimer(queue[0]?.timer)
      queue[0]?.call.partial?.(random)
      for (const item of queue) item.reject(storageFailed(why))
    }
    this.#channels.clear()
    this.#idle?.()
  }

  #begin(clock: Clock, item: Queued): void {
    const latencyMs = this.#faults.latency?.(item.call.operation) ?? 0
    item.timer = clock.setTimer(latencyMs, () => {
      try {
        item.resolve(this.#carryOut(item.call))
      } catch (error) {
        item.reject(error)
      }
      this.#next(clock, item.call.channel)
    })
  }

  #next(clock: Clock, channel: string): void {
    const queue = this.#channels.get(channel)
    if (queue === undefined) return
    queue.shift()
    const next = queue[0]
    if (next !== undefined) {
      this.#begin(clock, next)
      return
    }
    this.#channels.delete(channel)
    if (this.#channels.size === 0) this.#idle?.()
  }
}
