/**
 * Limits the bytes of one append. Everything in an append becomes durable together, so a large
 * append on a slow disk shows no progress for long, and a waiting peer cannot distinguish it from a
 * disk that hangs. On a fast disk an append takes everything that waits: its duration is mostly
 * that of the sync, and many small appends would cost more.
 */

/** The largest append, however fast the disk is; the rest waits for the next append. */
const bytesMax = 8 * 1024 * 1024
/** The smallest limit of an append, however slow the disk is. */
const bytesMin = 64 * 1024
/**
 * The wanted duration of the transfer besides the sync, in milliseconds; at least as long as the
 * sync.
 */
const transferMs = 100
/**
 * The factor by which the shortest duration is raised with each append, so that old values fade.
 */
const forgetting = 1.02

export class AppendSize {
  #bytes = bytesMin
  #shortestMs = Number.POSITIVE_INFINITY

  /** The limit of the next append; at least one entry is appended. */
  get bytes(): number {
    return this.#bytes
  }

  /** Records the duration of an append. */
  note(bytes: number, ms: number): void {
    this.#shortestMs = Math.min(this.#shortestMs * forgetting, Math.max(ms, 0.01))
    const takesMs = ms - this.#shortestMs
    const mayTakeMs = Math.max(transferMs, this.#shortestMs)
    // The limit falls immediately, and at most doubles with each append.
    const fits = takesMs <= 0 ? bytesMax : (bytes * mayTakeMs) / takesMs
    if (takesMs > mayTakeMs) this.#bytes = Math.max(bytesMin, fits)
    else if (bytes >= this.#bytes / 2) {
      this.#bytes = Math.min(bytesMax, fits, this.#bytes * 2)
      this.#bytes = Math.max(bytesMin, this.#bytes)
    }
  }
}
