/**
 * Random values that depend on a seed only, so that a run can be repeated. They are not of
 * cryptographic quality.
 */
import type { Random } from '../../../interfaces/random.js'

/** A source of random values; {@link SeededRandom.fork} makes independent ones. */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed - a whole number */
  constructor(seed: number) {
    // splitmix32 spreads the seed over the state, so that neighbouring seeds give unrelated runs.
    let mixed = seed | 0
    const next = (): number => {
      mixed = (mixed + 0x9e3779b9) | 0
      let value = mixed ^ (mixed >>> 16)
      value = Math.imul(value, 0x21f0aaad)
      value ^= value >>> 15
      value = Math.imul(value, 0x735a2d97)
      return value ^ (value >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
    for (let round = 0; round < 12; round += 1) this.#next()
  }

  /** The generator sfc32. */
  #next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return sum >>> 0
  }

  number(): number {
    return this.#next() / 2 ** 32
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    for (let at = 0; at < count; at += 1) bytes[at] = this.#next() & 0xff
    return bytes
  }

  /** A whole number from 0 to `below - 1`. */
  below(below: number): number {
    return Math.floor(this.number() * below)
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.number() < probability
  }

  /** One of the values. @throws RangeError when there is none */
  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)]
    if (value === undefined) throw new RangeError('nothing to pick from')
    return value
  }

  /** Another source, determined by this source's seed and the values drawn so far. */
  fork(): SeededRandom {
    return new SeededRandom(this.#next())
  }
}
