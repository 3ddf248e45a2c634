/**
 * Notices a stream that became a black hole: its connection stands, and nothing comes over it,
 * although the other side says on another connection that there is something. TCP itself gives such
 * a connection up after a quarter of an hour. It is looked at with each word of the other side, so
 * that it needs no timer; when no word comes either, the other side is silent, and that is somebody
 * else's business.
 */
import type { Clock } from '../../interfaces/clock.js'

/** A stream that brought nothing of what it owes for so many times `degradeAfterMs` is ended. */
export const streamSilentFactor: number = 5

export class StreamWatch {
  readonly #clock: Clock
  readonly silentMs: number
  /** When it was first owed something since anything came; undefined while it is owed nothing. */
  #owedSinceMs: number | undefined
  #heardAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, degradeAfterMs: number) {
    this.#clock = clock
    this.silentMs = streamSilentFactor * degradeAfterMs
  }

  /** Something came over the stream. */
  moved(): void {
    this.#owedSinceMs = undefined
  }

  /**
   * The other side spoke: whether the stream owes something. Answers whether it has for too long.
   */
  isSilent(owes: boolean): boolean {
    const nowMs = this.#clock.nowMs()
    // Nobody spoke for long, or this node stood still: what came meanwhile may have yet to be read.
    const paused = nowMs - this.#heardAtMs > this.silentMs / 2
    this.#heardAtMs = nowMs
    if (!owes || paused) this.#owedSinceMs = undefined
    if (!owes) return false
    this.#owedSinceMs ??= nowMs
    return nowMs - this.#owedSinceMs >= this.silentMs
  }

  /** What to say of a stream that is. */
  get reason(): string {
    return `the stream brought nothing for ${this.silentMs} ms although the other side says that there is something; it is opened anew`
  }
}
