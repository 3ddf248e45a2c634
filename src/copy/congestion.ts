/**
 * Back-pressure: tells callers to stop while more is pending than the limit.
 *
 * Invariant: whoever waits is let go as soon as anything of the limit is free, so that what is
 * behind a slow disk moves evenly and is not taken for one that stands; or when nothing will ever
 * be.
 */
export class Congestion {
  readonly #limit: number
  readonly #pending: () => number
  readonly #isOver: () => boolean
  #waiting: (() => void)[] = []

  /** `pending`: bytes now; `isOver`: whether waiting has become pointless. */
  constructor(limit: number, pending: () => number, isOver: () => boolean) {
    this.#limit = limit
    this.#pending = pending
    this.#isOver = isOver
  }

  get isHigh(): boolean {
    return this.#pending() >= this.#limit
  }

  /** Resolves when there is room again. */
  relieved(): Promise<void> {
    if (!this.isHigh || this.#isOver()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  /** Something left, or everything ended. */
  check(): void {
    if (this.#waiting.length === 0) return
    if (this.isHigh && !this.#isOver()) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
