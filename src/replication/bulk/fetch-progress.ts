/**
 * Counts what a candidate brings in, so that the others can see that it gets on.
 *
 * Invariant: bytes count once. What has to be brought again, since it came damaged or was not kept,
 * is no progress: a source from which it comes damaged each time would hold everybody up for ever.
 */

/**
 * Things whose furthest point is remembered, far more than are brought at a time; the oldest is
 * forgotten beyond it.
 */
const thingsMax = 64

export class FetchProgress {
  /** Bytes that came for the first time, since this process began. */
  count = 0
  readonly #reached = new Map<string, number>()

  /** A thing, named uniquely, is here up to this offset. */
  reached(thing: string, offset: number): void {
    const before = this.#reached.get(thing) ?? 0
    if (offset <= before) return
    this.count += offset - before
    this.#reached.delete(thing)
    this.#reached.set(thing, offset)
    for (const oldest of this.#reached.keys()) {
      if (this.#reached.size <= thingsMax) break
      this.#reached.delete(oldest)
    }
  }
}
