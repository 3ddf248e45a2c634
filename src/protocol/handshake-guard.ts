/**
 * Default of `handshakesMax`: handshakes under way at the same time. Beyond it, the oldest one from
 * the address that has the most is ended.
 */
export const defaultHandshakesMax = 256

/** One handshake under way. */
interface Handshake {
  readonly address: string
  evict(): void
}

/**
 * Limits the handshakes that unauthenticated peers have under way. At the limit it ends an old one
 * and not the newest: an honest peer needs only milliseconds, so it still gets in while an attacker
 * occupies all places and reconnects at once. It ends the oldest one from the address that has the
 * most, so that other addresses are not affected.
 */
export class HandshakeGuard {
  readonly #handshakesMax: number
  /** The oldest first. */
  readonly #underWay = new Set<Handshake>()
  readonly #countByAddress = new Map<string, number>()

  /** @param handshakesMax - how many handshakes may be under way */
  constructor(handshakesMax: number = defaultHandshakesMax) {
    this.#handshakesMax = handshakesMax
  }

  /** Handshakes under way. */
  get count(): number {
    return this.#underWay.size
  }

  /**
   * Counts a handshake. `evict` ends it when its place is needed.
   *
   * @param remote - address of the peer; a port at its end is ignored
   * @returns a function to call when the handshake is over
   */
  enter(remote: string, evict: () => void): () => void {
    const handshake = { address: remote.replace(/:\d+$/, ''), evict }
    while (this.#underWay.size >= this.#handshakesMax) this.#endOne()
    this.#underWay.add(handshake)
    this.#countByAddress.set(
      handshake.address,
      (this.#countByAddress.get(handshake.address) ?? 0) + 1,
    )
    return () => this.#leave(handshake)
  }

  #endOne(): void {
    const most = Math.max(...this.#countByAddress.values())
    for (const handshake of this.#underWay) {
      if (this.#countByAddress.get(handshake.address) !== most) continue
      this.#leave(handshake)
      return handshake.evict()
    }
  }

  #leave(handshake: Handshake): void {
    if (!this.#underWay.delete(handshake)) return
    const left = (this.#countByAddress.get(handshake.address) ?? 0) - 1
    if (left > 0) this.#countByAddress.set(handshake.address, left)
    else this.#countByAddress.delete(handshake.address)
  }
}
