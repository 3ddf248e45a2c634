/**
 * Bounds the time in which a node that is about to become active adopts files, and tells that it
 * goes on.
 */
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'

export interface AdoptionWatchOptions {
  readonly clock: Clock
  /** How long the work may take, in milliseconds. */
  readonly forMs: number
  /** How often it is told that the work goes on, in milliseconds. */
  readonly everyMs: number
  progressed(): void
  /** Whether the term is still to be opened. */
  isWanted(): boolean
}

export class AdoptionWatch {
  readonly #options: AdoptionWatchOptions
  readonly #untilMs: number
  #toldMs: number

  constructor(options: AdoptionWatchOptions) {
    this.#options = options
    this.#toldMs = options.clock.nowMs()
    this.#untilMs = this.#toldMs + options.forMs
  }

  get isWanted(): boolean {
    return this.#options.isWanted()
  }

  /** @throws `ABORTED` when the term is not wanted any more */
  requireWanted(): void {
    if (!this.isWanted) throw new HotspareError('ABORTED', 'the term is not to be opened any more')
  }

  /**
   * Called between two pieces of work. @throws `ABORTED` when the term is not wanted any more, or
   * the time is over
   */
  check(): void {
    this.requireWanted()
    const { clock, everyMs, progressed } = this.#options
    const nowMs = clock.nowMs()
    if (nowMs >= this.#untilMs) {
      const what = 'there are more changes from outside than can be adopted before this node serves'
      throw new HotspareError('ABORTED', what)
    }
    if (nowMs - this.#toldMs < everyMs) return
    this.#toldMs = nowMs
    progressed()
  }
}
