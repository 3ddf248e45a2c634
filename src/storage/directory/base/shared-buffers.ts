/**
 * Memory that the main thread and the worker threads see alike. Handing a buffer over instead makes
 * a new one for every call: mapping, clearing and freeing it costs more than the read or write that
 * it is for.
 *
 * Invariant: a buffer is either free here or belongs to one taker, who stops looking at it before
 * giving it back.
 */

/** Bytes of a buffer that is used again; larger ones are made for one use. */
const bufferBytes: number = 512 * 1024
/** Free buffers that are kept; further ones are left to the garbage collector. */
const freeMax = 16

export class SharedBuffers {
  readonly #free: Uint8Array[] = []

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Uint8Array {
    if (bytes > bufferBytes) return new Uint8Array(new SharedArrayBuffer(bytes))
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(bufferBytes))
  }

  give(buffer: Uint8Array): void {
    const isKept = buffer.byteLength === bufferBytes && this.#free.length < freeMax
    if (isKept) this.#free.push(buffer)
  }
}
