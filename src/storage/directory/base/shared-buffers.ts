/**
 * Buffers in memory that the main thread and the worker threads share. Transferring buffers instead
 * would need a new one for each call, and mapping, clearing and freeing it costs more than the read
 * or write.
 *
 * Invariant: a buffer is either free here or belongs to one user, which stops using it before it
 * returns it.
 */

/** Bytes of a reusable buffer; larger ones are allocated for one use. */
const bufferBytes: number = 512 * 1024
/** Free buffers that are kept; further ones are left to the garbage collector. */
const freeMax = 16

export class SharedBuffers {
  readonly #free: Uint8Array[] = []

  /** A buffer of at least so many bytes, with arbitrary content. */
  take(bytes: number): Uint8Array {
    if (bytes > bufferBytes) return new Uint8Array(new SharedArrayBuffer(bytes))
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(bufferBytes))
  }

  give(buffer: Uint8Array): void {
    const isKept = buffer.byteLength === bufferBytes && this.#free.length < freeMax
    if (isKept) this.#free.push(buffer)
  }
}
