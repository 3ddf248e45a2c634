/**
 * The newest entries of a journal, in memory: those that are not durable yet, and, for readers, as
 * many durable ones as fit into the limit.
 *
 * Invariants: ordinals are consecutive; entries that were handed to the log have a place, and they
 * are the first ones.
 */
import type { Entry } from '../../changes/entry.js'
import { Fifo } from '../../util/fifo.js'

/** A file of the journal. */
export interface Segment {
  readonly name: string
  readonly number: number
  /** Sequence number of the next change when it began. */
  readonly firstSeq: number
  /** Durable bytes. */
  bytes: number
  /** A place from which entries are counted: the first one behind it has this ordinal. */
  counted?: { readonly offset: number; readonly ordinal: number }
}

/** An entry in the tail. */
export interface TailItem {
  readonly entry: Entry
  /** Where it stands; undefined until it was handed to the log. */
  segment: Segment | undefined
  offset: number
}

/** Whether a place comes before another. */
function isBefore(item: TailItem, number: number, offset: number): boolean {
  if (item.segment === undefined) return false
  return item.segment.number === number ? item.offset < offset : item.segment.number < number
}

export class Tail {
  readonly #items = new Fifo<TailItem>()
  /** Ordinal of the oldest entry held. */
  firstOrdinal: number
  bytes = 0

  constructor(firstOrdinal: number) {
    this.firstOrdinal = firstOrdinal
  }

  push(entry: Entry): void {
    this.#items.push({ entry, segment: undefined, offset: 0 })
    this.bytes += entry.bytes.length
  }

  get(ordinal: number): TailItem | undefined {
    return ordinal < this.firstOrdinal ? undefined : this.#items.at(ordinal - this.firstOrdinal)
  }

  /** Drops durable entries, oldest first, while there are more bytes than wanted. */
  shrink(durableOrdinal: number, bytesMax: number): void {
    while (this.bytes > bytesMax && this.firstOrdinal <= durableOrdinal) {
      const item = this.#items.first
      if (item === undefined) break
      this.#items.drop()
      this.firstOrdinal += 1
      this.bytes -= item.entry.bytes.length
    }
  }

  /**
   * Ordinal of the first entry at or after a place; undefined when the tail begins later than that.
   */
  ordinalAt(number: number, offset: number): number | undefined {
    const { first } = this.#items
    if (first === undefined || first.segment === undefined) return undefined
    if (!isBefore(first, number, offset)) {
      const same = first.segment.number === number && first.offset === offset
      return same ? this.firstOrdinal : undefined
    }
    return this.#search((item) => isBefore(item, number, offset))
  }

  /**
   * Ordinal of the first entry that begins after `seq`; undefined when entries before the tail may,
   * too.
   */
  ordinalAfter(seq: number): number | undefined {
    const { first } = this.#items
    if (first === undefined || first.entry.header.firstSeq > seq) return undefined
    return this.#search((item) => item.entry.header.firstSeq <= seq)
  }

  /**
   * Ordinal of the first item for which the condition, true for a first stretch of them, is false.
   */
  #search(isEarlier: (item: TailItem) => boolean): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const item = this.#items.at(middle)
      if (item !== undefined && isEarlier(item)) low = middle + 1
      else high = middle
    }
    return this.firstOrdinal + low
  }
}
