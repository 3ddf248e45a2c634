/**
 * The newest entries of a journal in memory: those that are not durable yet and, for readers, as
 * many durable ones as fit into the limit.
 *
 * Invariants: ordinals are consecutive; the entries that were passed to the log have a place, and
 * precede those that were not.
 */
import type { Entry } from '../../changes/entry.js'
import { Fifo } from '../../util/fifo.js'

/** A segment, which is one file of the journal. */
export interface Segment {
  readonly name: string
  readonly number: number
  /** The sequence number of the next change when the segment was begun. */
  readonly firstSeq: number
  /** The durable bytes. */
  bytes: number
  /** A place with the ordinal of the first entry after it, from which entries are counted. */
  counted?: { readonly offset: number; readonly ordinal: number }
}

/** An entry in the tail. */
export interface TailItem {
  readonly entry: Entry
  /** Its place; undefined until it was passed to the log. */
  segment: Segment | undefined
  offset: number
}

/** Whether the place of an item precedes another place. */
function isBefore(item: TailItem, number: number, offset: number): boolean {
  if (item.segment === undefined) return false
  return item.segment.number === number ? item.offset < offset : item.segment.number < number
}

export class Tail {
  readonly #items = new Fifo<TailItem>()
  /** The ordinal of the oldest entry in memory. */
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

  /** The ordinal of the first entry at or after a place; undefined when the tail begins later. */
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
   * The ordinal of the first entry that begins after `seq`; undefined when an entry before the tail
   * may.
   */
  ordinalAfter(seq: number): number | undefined {
    const { first } = this.#items
    if (first === undefined || first.entry.header.firstSeq > seq) return undefined
    return this.#search((item) => item.entry.header.firstSeq <= seq)
  }

  /**
   * The ordinal of the first item for which the condition is false; it is true for all items
   * before.
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
