/** Handshakes under way at the same time, unless told otherwise. */
export const HANDSHAKES_MAX = 64

/**
 * Counts the handshakes that strangers began. When there are too many, the oldest one is ended, not the
 * newest: an honest peer needs a few milliseconds, so it gets in while somebody holds all other places.
 */
export class HandshakeGuard {
  readonly #handshakesMax: number
  readonly #underWay = new Set<() => void>()

  /** @param handshakesMax - how many may be under way */
  constructor(handshakesMax: number = HANDSHAKES_MAX) {
    this.#handshakesMax = handshakesMax
  }

  /** Handshakes under way. */
  get count(): number {
    return this.#underWay.size
  }

  /**
   * Enters a handshake that `evict` ends.
   *
   * @returns what to call when it is over
   */
  enter(evict: () => void): () => void {
    // A place of its own for each, even if two share a function.
    const place = (): void => evict()
    for (const oldest of this.#underWay) {
      if (this.#underWay.size < this.#handshakesMax) break
      this.#underWay.delete(oldest)
      oldest()
    }
    this.#underWay.add(place)
    return () => {
      this.#underWay.delete(place)
    }
  }
}
