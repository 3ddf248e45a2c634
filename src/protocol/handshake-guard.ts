/**
 * Handshakes under way at the same time, unless told otherwise; beyond it the oldest of the address
 * that has the most is ended.
 */
export const defaultHandshakesMax = 256

/** A handshake under way. */
interface Place {
  readonly address: string
  evict(): void
}

/**
 * Counts the handshakes that strangers began. When there are too many, an old one is ended, not the
 * newest: an honest peer needs a few milliseconds, so it gets in while somebody holds all other
 * places and renews each that is ended. It is the oldest one of the address that holds the most, so
 * that nobody pays for what comes from another address.
 */
export class HandshakeGuard {
  readonly #handshakesMax: number
  /** The oldest first. */
  readonly #underWay = new Set<Place>()
  readonly #held = new Map<string, number>()

  /** @param handshakesMax - how many may be under way */
  constructor(handshakesMax: number = defaultHandshakesMax) {
    this.#handshakesMax = handshakesMax
  }

  /** Handshakes under way. */
  get count(): number {
    return this.#underWay.size
  }

  /**
   * Enters a handshake that `evict` ends.
   *
   * @param remote - where it comes from; a port at its end tells nobody apart
   * @returns what to call when it is over
   */
  enter(remote: string, evict: () => void): () => void {
    const place = { address: remote.replace(/:\d+$/, ''), evict }
    while (this.#underWay.size >= this.#handshakesMax) this.#endOne()
    this.#underWay.add(place)
    this.#held.set(place.address, (this.#held.get(place.address) ?? 0) + 1)
    return () => this.#leave(place)
  }

  #endOne(): void {
    const most = Math.max(...this.#held.values())
    for (const place of this.#underWay) {
      if (this.#held.get(place.address) !== most) continue
      this.#leave(place)
      return place.evict()
    }
  }

  #leave(place: Place): void {
    if (!this.#underWay.delete(place)) return
    const left = (this.#held.get(place.address) ?? 0) - 1
    if (left > 0) this.#held.set(place.address, left)
    else this.#held.delete(place.address)
  }
}
