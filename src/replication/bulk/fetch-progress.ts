/**
 * Counts the bytes that a candidate fetches, so that other nodes can see that it makes progress.
 *
 * Invariant: bytes count once. Bytes that have to be fetched again, because they arrived damaged or
 * were not kept, are no progress; otherwise a source that always sends damaged bytes would block
 * the takeover for ever.
 */

/**
 * Items whose furthest offset is remembered, far more than are fetched at a time; beyond it the
 * oldest is dropped.
 */
const itemsMax = 64

export class FetchProgress {
  /** Bytes fetched for the first time since this process began. */
  count = 0
  readonly #reached = new Map<string, number>()

  /** An item, named uniquely, has been fetched up to this offset. */
  reached(item: string, offset: number): void {
    const before = this.#reached.get(item) ?? 0
    if (offset <= before) return
    this.count += offset - before
    this.#reached.delete(item)
    this.#reached.set(item, offset)
    for (const oldest of this.#reached.keys()) {
      if (this.#reached.size <= itemsMax) break
      this.#reached.delete(oldest)
    }
  }
}
