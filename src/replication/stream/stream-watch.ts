/**
 * Detects a stream that delivers nothing although its connection is open and the peer reports on
 * another connection that there is something to deliver. TCP would notice such a connection only
 * after about a quarter of an hour. The check runs with each report of the peer, so it needs no
 * timer; a peer that reports nothing is silent, which failure detection handles.
 */
import type { Clock } from '../../interfaces/clock.js'

/**
 * A stream that owes something and delivers nothing for this multiple of `degradeAfterMs` is ended.
 */
export const streamSilentFactor: number = 5

export class StreamWatch {
  readonly #clock: Clock
  readonly silentMs: number
  /**
   * Since when the stream has owed something without delivering anything; undefined while it owes
   * nothing.
   */
  #owedSinceMs: number | undefined
  #heardAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, degradeAfterMs: number) {
    this.#clock = clock
    this.silentMs = streamSilentFactor * degradeAfterMs
  }

  /** Something arrived on the stream. */
  received(): void {
    this.#owedSinceMs = undefined
  }

  /**
   * The peer reported; `owes` is whether the stream owes something. Answers whether it has owed it
   * for too long.
   */
  isSilent(owes: boolean): boolean {
    const nowMs = this.#clock.nowMs()
    // After a long pause of the reports or of this node, data that arrived meanwhile may still be
    // unread, so the measurement starts again.
    const hasPaused = nowMs - this.#heardAtMs > this.silentMs / 2
    this.#heardAtMs = nowMs
    if (!owes || hasPaused) this.#owedSinceMs = undefined
    if (!owes) return false
    this.#owedSinceMs ??= nowMs
    return nowMs - this.#owedSinceMs >= this.silentMs
  }

  /** The reason for ending a silent stream. */
  get reason(): string {
    return `the stream brought nothing for ${this.silentMs} ms although the peer reports that there is something to send; it is opened again`
  }
}
