/**
 * Back-pressure: callers have to stop while more than the limit is pending.
 *
 * Invariant: a waiting caller continues as soon as any part of the limit is free, so that the work
 * behind a slow disk progresses evenly and does not look stalled, and when waiting has become
 * pointless.
 */
export class Congestion {
  readonly #limit: number
  readonly #pending: () => number
  readonly #isOver: () => boolean
  #waiting: (() => void)[] = []

  /** `pending`: the present number of bytes; `isOver`: whether waiting has become pointless. */
  constructor(limit: number, pending: () => number, isOver: () => boolean) {
    this.#limit = limit
    this.#pending = pending
    this.#isOver = isOver
  }

  get isHigh(): boolean {
    return this.#pending() >= this.#limit
  }

  /** Resolves when there is room. */
  relieved(): Promise<void> {
    if (!this.isHigh || this.#isOver()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  /** Called when bytes were completed, or everything has ended. */
  check(): void {
    if (this.#waiting.length === 0) return
    if (this.isHigh && !this.#isOver()) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
