/**
 * Bounds the time that a node may spend on adopting files before it becomes active, and reports
 * progress.
 */
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'

export interface AdoptionWatchOptions {
  readonly clock: Clock
  /** The longest duration of the work, in milliseconds. */
  readonly forMs: number
  /** The interval between reports of progress, in milliseconds. */
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

  /** @throws `ABORTED` when the term is no longer to be opened */
  requireWanted(): void {
    if (!this.isWanted) throw new HotspareError('ABORTED', 'the term is not to be opened any more')
  }

  /**
   * Called between two pieces of work.
   *
   * @throws `ABORTED` when the term is no longer to be opened, or the time is over
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
