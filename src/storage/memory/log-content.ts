/** The bytes of one log in memory: the appended parts, with the offset of each. */

import type { Random } from '../../interfaces/random.js'
import { flip, pick, toss } from './bytes.js'

/**
 * Most zeros that a crash leaves behind the last append, like the preallocated space of a disk
 * adapter.
 */
const crashZerosMax = 4096

/** One log. */
export class LogContent {
  readonly #chunks: Uint8Array[] = []
  readonly #starts: number[] = []
  #bytes = 0
  /** Whether a handle is open. */
  open = false

  get bytes(): number {
    return this.#bytes
  }

  /**
   * A copy that is not open. It shares the chunks, because chunks are never changed, only replaced.
   */
  copy(): LogContent {
    const copy = new LogContent()
    for (const chunk of this.#chunks) copy.push(chunk)
    return copy
  }

  /** Appends a chunk, keeping a reference to it. */
  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return
    this.#chunks.push(chunk)
    this.#starts.push(this.#bytes)
    this.#bytes += chunk.byteLength
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.#bytes, offset + length)
    const target = new Uint8Array(Math.max(0, end - offset))
    for (let index = this.#indexOf(offset); index < this.#chunks.length; index += 1) {
      const start = this.#starts[index]!
      if (start >= end) break
      const chunk = this.#chunks[index]!
      const from = Math.max(0, offset - start)
      target.set(
        chunk.subarray(from, Math.min(chunk.byteLength, end - start)),
        start + from - offset,
      )
    }
    return target
  }

  truncate(bytes: number): void {
    while (this.#chunks.length > 0 && this.#starts.at(-1)! >= bytes) {
      this.#chunks.pop()
      this.#starts.pop()
    }
    const last = this.#chunks.length - 1
    if (last >= 0) this.#chunks[last] = this.#chunks[last]!.slice(0, bytes - this.#starts[last]!)
    this.#bytes = Math.min(bytes, this.#bytes)
  }

  /** The effect of a crash on an open log, besides tearing the append under way. */
  crash(random: Random): void {
    if (this.open && toss(random)) this.push(new Uint8Array(pick(random, crashZerosMax)))
    this.open = false
  }

  /** Flips one random bit. */
  flip(random: Random): boolean {
    if (this.#bytes === 0) return false
    const index = this.#indexOf(pick(random, this.#bytes - 1))
    const copy = new Uint8Array(this.#chunks[index]!)
    this.#chunks[index] = copy
    return flip(copy, random)
  }

  /** The index of the chunk that contains this offset. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** Joins the parts in a new buffer. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return new Uint8Array(parts[0]!)
  let length = 0
  for (const part of parts) length += part.byteLength
  const target = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    target.set(part, offset)
    offset += part.byteLength
  }
  return target
}
