/**
 * Decides when a standby that was removed from the in-sync set as too slow may return. Each removal
 * costs writes a wait of `degradeAfterMs`, so a standby whose disk is always too slow must not
 * return each time it has caught up.
 *
 * After the first removal it may return at once, because any standby may stall once. From the
 * second on it waits, first for `degradeAfterMs` and each time twice as long, up to {@link
 * pauseFactorMax} times that. Once it has stayed in the set for the longest pause, its record is
 * cleared.
 */

/** The longest pause, and the stay that clears the record, as a multiple of `degradeAfterMs`. */
export const pauseFactorMax = 32

/** How often one follower was too slow, and when it may return. */
export class Readmission {
  readonly #degradeAfterMs: number
  #times = 0
  #dueMs = Number.NEGATIVE_INFINITY

  constructor(degradeAfterMs: number) {
    this.#degradeAfterMs = degradeAfterMs
  }

  /** From when on it may join the set. */
  get dueMs(): number {
    return this.#dueMs
  }

  /** It was removed as too slow. Answers how long it stays out at least, in milliseconds. */
  tooSlow(nowMs: number): number {
    const factor = this.#times === 0 ? 0 : Math.min(pauseFactorMax, 2 ** (this.#times - 1))
    this.#times += 1
    const pauseMs = factor * this.#degradeAfterMs
    this.#dueMs = nowMs + pauseMs
    return pauseMs
  }

  /** It has kept up since it was added at `sinceMs`. */
  keptUp(sinceMs: number, nowMs: number): void {
    if (nowMs - sinceMs >= pauseFactorMax * this.#degradeAfterMs) this.forgive()
  }

  /** Clears the record: its process was restarted, or it has kept up for long enough. */
  forgive(): void {
    this.#times = 0
    this.#dueMs = Number.NEGATIVE_INFINITY
  }
}
