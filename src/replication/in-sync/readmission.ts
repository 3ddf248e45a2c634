/**
 * When a standby that left the in-sync set because it was too slow may come back. Each time it
 * leaves, writes have waited `degradeAfterMs` for it, so that one whose disk is always too slow
 * must not come back each time it has caught up.
 *
 * The first time costs nothing: a standby may stand still once. From the second time on it waits,
 * for `degradeAfterMs` and each time twice as long, up to {@link pauseFactorMax} times that; all is
 * forgotten when it stayed so long.
 */

/** The longest pause, and the stay that ends them, as a multiple of `degradeAfterMs`. */
export const pauseFactorMax = 32

/** How often one follower was too slow, and what follows from it. */
export class Readmission {
  readonly #degradeAfterMs: number
  #times = 0
  #dueMs = Number.NEGATIVE_INFINITY

  constructor(degradeAfterMs: number) {
    this.#degradeAfterMs = degradeAfterMs
  }

  /** From when on it may be in the set. */
  get dueMs(): number {
    return this.#dueMs
  }

  /** It left because it was too slow. Answers how long it stays out at least. */
  tooSlow(nowMs: number): number {
    const factor = this.#times === 0 ? 0 : Math.min(pauseFactorMax, 2 ** (this.#times - 1))
    this.#times += 1
    const pauseMs = factor * this.#degradeAfterMs
    this.#dueMs = nowMs + pauseMs
    return pauseMs
  }

  /** It kept up since it was added. */
  keptUp(sinceMs: number, nowMs: number): void {
    if (nowMs - sinceMs >= pauseFactorMax * this.#degradeAfterMs) this.forgive()
  }

  /** Its process is another one by now, or all was long ago. */
  forgive(): void {
    this.#times = 0
    this.#dueMs = Number.NEGATIVE_INFINITY
  }
}
