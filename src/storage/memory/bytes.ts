/** Bytes that grow in place until they are frozen. */

import type { Random } from '../../interfaces/random.js'

/** Growing bytes. Once frozen they never change: the next change is made to a copy. */
export class Bytes {
  #buffer: Uint8Array
  #length: number
  #frozen = false

  constructor(initial: Uint8Array = new Uint8Array()) {
    this.#buffer = initial
    this.#length = initial.byteLength
  }

  get length(): number {
    return this.#length
  }

  /** The bytes as they are now. Valid until the next change; not to be written to. */
  view(start: number = 0, end: number = this.#length): Uint8Array {
    return this.#buffer.subarray(Math.min(start, this.#length), Math.min(end, this.#length))
  }

  /** Makes these bytes immutable; returns itself. */
  freeze(): this {
    this.#frozen = true
    return this
  }

  /** Writes bytes at an offset, and zeros into a gap; returns itself, or a copy when frozen. */
  with(offset: number, bytes: Uint8Array): Bytes {
    const end = offset + bytes.byteLength
    const target = this.#toChange(Math.max(this.#length, end))
    target.#buffer.set(bytes, offset)
    target.#length = Math.max(target.#length, end)
    return target
  }

  /** Cuts the bytes, or extends them with zeros; returns itself, or a copy when frozen. */
  resized(length: number): Bytes {
    const target = this.#toChange(length)
    if (length < target.#length) target.#buffer.fill(0, length, target.#length)
    target.#length = length
    return target
  }

  #toChange(capacity: number): Bytes {
    const fits = capacity <= this.#buffer.byteLength
    if (!this.#frozen && fits) return this
    const size = fits ? this.#buffer.byteLength : Math.max(capacity, this.#length * 2, 64)
    const buffer = new Uint8Array(size)
    buffer.set(this.view())
    if (!this.#frozen) {
      this.#buffer = buffer
      return this
    }
    const copy = new Bytes()
    copy.#buffer = buffer
    copy.#length = this.#length
    return copy
  }
}

/** A whole number from 0 to `max`, both included. */
export function pick(random: Random, max: number): number {
  return Math.min(max, Math.floor(random.number() * (max + 1)))
}

/** True or false, equally often. */
export function toss(random: Random): boolean {
  return random.number() < 0.5
}

/**
 * What a power cut leaves of bytes that were being written: a part, or all with a tail of zeros.
 */
export function tear(bytes: Uint8Array, random: Random): Uint8Array {
  const cut = pick(random, bytes.byteLength)
  if (toss(random)) return new Uint8Array(bytes.subarray(0, cut))
  const torn = new Uint8Array(bytes)
  torn.fill(0, cut)
  return torn
}

/** Flips one random bit. False when there are no bytes. */
export function flip(bytes: Uint8Array, random: Random): boolean {
  if (bytes.byteLength === 0) return false
  const at = pick(random, bytes.byteLength - 1)
  bytes[at] = bytes[at]! ^ (1 << pick(random, 7))
  return true
}
