/**
 * How many bytes one append of the log carries at most. What is appended together is durable
 * together, so that a slow disk that is given much at once says nothing for long, and whoever waits
 * for a part of it cannot tell it from one that hangs. A fast disk takes all that waits: the time
 * of an append is then mostly that of its sync, and many small ones cost more.
 */

/**
 * Bytes that one append carries at most, however fast the disk is; what is left waits for the next
 * append.
 */
const bytesMax = 8 * 1024 * 1024
/** Bytes that one append may carry however slow the disk is. */
const bytesMin = 64 * 1024
/**
 * What the bytes of an append may take beside its sync, in milliseconds; as long as the sync at
 * least.
 */
const transferMs = 100
/** How fast the shortest time of an append is forgotten, as a share of it and append. */
const forgetting = 1.02

export class AppendSize {
  #bytes = bytesMin
  #shortestMs = Number.POSITIVE_INFINITY

  /** Bytes of the next append at most; one entry at least. */
  get bytes(): number {
    return this.#bytes
  }

  /** An append of so many bytes took so long. */
  note(bytes: number, ms: number): void {
    this.#shortestMs = Math.min(this.#shortestMs * forgetting, Math.max(ms, 0.01))
    const takesMs = ms - this.#shortestMs
    const mayTakeMs = Math.max(transferMs, this.#shortestMs)
    // What took too long is cut at once; what was quick may be twice as much the next time.
    const fits = takesMs <= 0 ? bytesMax : (bytes * mayTakeMs) / takesMs
    if (takesMs > mayTakeMs) this.#bytes = Math.max(bytesMin, fits)
    else if (bytes >= this.#bytes / 2) {
      this.#bytes = Math.min(bytesMax, fits, this.#bytes * 2)
      this.#bytes = Math.max(bytesMin, this.#bytes)
    }
  }
}
