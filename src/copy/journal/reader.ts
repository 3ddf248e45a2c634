/**
 * Reads a journal in order for a peer that follows or catches up: from memory where possible,
 * otherwise from the segments in large reads.
 *
 * Invariant: its position is either an ordinal of the tail or a place in a segment, right before
 * the next entry.
 */

import type { Entry } from '../../changes/entry.js'
import {
  encodeTerm,
  entryBytesMax,
  entryHeaderBytes,
  lastSeqOf,
  readEntry,
  termTagOf,
} from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { HistoryTerm } from '../../history/position.js'
import { closed, corrupt, trimmed } from './errors.js'
import { looksLikeMark, markBytes } from './format.js'
import { type JournalPlace, loadSegmentHeader } from './scan.js'
import type { SegmentFiles } from './segment-files.js'
import type { Segment, Tail, TailItem } from './tail.js'

/** The minimum of bytes that are read from a segment at a time. */
const readBytesMin = 1024 * 1024

/** The interface of a journal for its readers. */
interface ReadableJournal {
  readonly tail: Tail
  readonly files: SegmentFiles
  readonly segments: readonly Segment[]
  readonly facts: { readonly history: readonly HistoryTerm[] }
  readonly firstSeq: number
  readonly lastOrdinal: number
  readonly durableOrdinal: number
  /** The place from which the journal was checked when it was opened. */
  readonly soundFrom: JournalPlace | undefined
}

export class JournalReader {
  readonly #journal: ReadableJournal
  readonly #from: number
  readonly #isCut: boolean
  readonly #closed: () => void
  #isClosed = false
  /** The position in memory; undefined while it reads from the log. */
  #ordinal: number | undefined
  /** The last entry that was read from memory. */
  #last: TailItem | undefined
  /** The place where it left the log, until it has read an entry from memory. */
  #left: { readonly segment: Segment; readonly offset: number } | undefined
  /** The segment while it reads from the log; offset 0 is right after the header. */
  #segment: Segment | undefined
  #offset = 0
  /** Entries that were read from the log and not returned yet. */
  #ahead: Entry[] = []
  /** The ordinal of the last entry read from the log; 0 while unknown. */
  #readOrdinal = 0
  /** Whether the first entry has been returned. */
  #isBegun = false
  /** The last change that was returned. */
  afterSeq: number
  /**
   * The ordinal of the last returned entry; entries returned together have consecutive ordinals.
   * For entries that existed when the journal was opened it is at most the ordinal of that time.
   */
  lastOrdinal = 0
  /** Whether the journal was trimmed beyond its position. */
  lost = false

  constructor(journal: ReadableJournal, afterSeq: number, isCut: boolean, closed: () => void) {
    this.#journal = journal
    this.#from = afterSeq
    this.#isCut = isCut
    this.afterSeq = afterSeq
    this.#closed = closed
    this.#ordinal = this.#startInMemory()
    if (this.#ordinal === undefined) this.#enterAtStart()
  }

  /** Its segment in the log; undefined while it reads from memory. */
  get segment(): Segment | undefined {
    return this.#segment
  }

  /** Whether there is something to read. */
  get hasMore(): boolean {
    if (this.#ordinal === undefined || this.#ahead.length > 0) return true
    return this.#ordinal <= this.#journal.lastOrdinal
  }

  /**
   * The next entries of up to `bytesMax` bytes (at least one) without waiting; empty at the end.
   * Undefined when they have to be read from the log with `next`.
   */
  take(bytesMax: number): Entry[] | undefined {
    for (;;) {
      const entries = this.#take(bytesMax)
      if (this.#isBegun || entries === undefined || entries.length === 0) return entries
      const begun = this.#begin(entries)
      if (begun.length > 0) return begun
    }
  }

  #take(bytesMax: number): Entry[] | undefined {
    this.#check()
    if (this.#ahead.length > 0) return this.#giveAhead(bytesMax)
    if (this.#ordinal === undefined) this.#ordinal = this.#memoryAt()
    if (this.#ordinal === undefined) return undefined
    const { tail, lastOrdinal } = this.#journal
    if (this.#ordinal <= lastOrdinal && this.#ordinal < tail.firstOrdinal) {
      this.#fallBehind()
      return undefined
    }
    const entries: Entry[] = []
    let bytes = 0
    while (this.#ordinal <= lastOrdinal) {
      const item = tail.get(this.#ordinal)
      if (item === undefined) break
      bytes += item.entry.bytes.length
      if (entries.length > 0 && bytes > bytesMax) break
      entries.push(item.entry)
      this.#last = item
      this.#ordinal += 1
    }
    this.#moved(entries, this.#ordinal - 1)
    return entries
  }

  /**
   * The next entries of about `bytesMax` bytes, at least one; empty at the end.
   *
   * @throws `JOURNAL_TRIMMED` when they were trimmed, `JOURNAL_CORRUPT` when they are damaged
   */
  async next(bytesMax: number): Promise<Entry[]> {
    for (;;) {
      const taken = this.take(bytesMax)
      if (taken !== undefined) return taken
      this.#ahead = await this.#read(bytesMax)
    }
  }

  /**
   * Adds the entry of a term that was opened exactly at the start of this journal, which begins at
   * the position of a restore or was trimmed there: the entry is rebuilt from the history. In-sync
   * sets of a term without changes are left out.
   */
  #begin(entries: Entry[]): Entry[] {
    const { history } = this.#journal.facts
    const opened = history.find((term) => term.firstSeq === this.#from + 1)
    const before = history.findLast((term) => term.firstSeq <= this.#from)
    const known = entries.findIndex(
      (entry) => entry.header.kind !== 'inSync' || isOf(entry, opened) || isOf(entry, before),
    )
    if (known < 0) return []
    this.#isBegun = true
    const rest = entries.slice(known)
    const first = rest[0]
    if (opened === undefined || first === undefined) return rest
    if (first.header.kind === 'term' || !isOf(first, opened)) return rest
    return [encodeTerm(opened, opened.firstSeq, 0), ...rest]
  }

  #giveAhead(bytesMax: number): Entry[] {
    let count = 0
    let bytes = 0
    for (const entry of this.#ahead) {
      bytes += entry.bytes.length
      if (count > 0 && bytes > bytesMax) break
      count += 1
    }
    const entries = this.#ahead.splice(0, count)
    this.#moved(entries, this.#readOrdinal - this.#ahead.length)
    return entries
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#leave()
    this.#closed()
  }

  #check(): void {
    if (this.#isClosed) throw closed()
    if (this.lost) throw trimmed(this.afterSeq, this.#journal.firstSeq)
  }

  #moved(entries: readonly Entry[], lastOrdinal: number): void {
    const last = entries.at(-1)
    if (last === undefined) return
    this.afterSeq = Math.max(this.afterSeq, lastSeqOf(last.header))
    this.lastOrdinal = lastOrdinal
  }

  #startInMemory(): number | undefined {
    // Entries without a sequence number may follow the last change, so the tail proves a beginning
    // only if it contains an earlier entry.
    return this.#journal.tail.ordinalAfter(this.#from)
  }

  /** All entries before the segment begin at or before the wanted position. */
  #enterAtStart(): void {
    const { segments, soundFrom } = this.#journal
    let start = segments[0]
    for (const segment of segments) if (segment.firstSeq <= this.#from) start = segment
    this.#readOrdinal = 0
    // Damage before the place where recovery began is irrelevant if it can be skipped.
    const passed = soundFrom !== undefined && soundFrom.segment === start?.name
    const known = this.#isCut ? this.#from : this.#from - 1
    this.#enter(start, passed && soundFrom.facts.seq <= known ? soundFrom.offset : 0)
  }

  #enter(segment: Segment | undefined, offset: number): void {
    this.#leave()
    this.#segment = segment
    this.#offset = offset
    if (segment !== undefined) this.#journal.files.enter(segment)
  }

  #leave(): void {
    if (this.#segment !== undefined) this.#journal.files.leave(this.#segment)
    this.#segment = undefined
  }

  /**
   * The tail has dropped the position, so the reader returns to the log, after the last returned
   * entry.
   */
  #fallBehind(): void {
    const last = this.#last
    const left = this.#left
    this.#readOrdinal = (this.#ordinal ?? 1) - 1
    this.#ordinal = undefined
    this.#last = undefined
    this.#left = undefined
    if (last?.segment !== undefined) {
      this.#enter(last.segment, last.offset + last.entry.bytes.length)
    } else if (left !== undefined) this.#enter(left.segment, left.offset)
    else this.#enterAtStart()
  }

  /** The place in the log as an ordinal of the tail. */
  #memoryAt(): number | undefined {
    const segment = this.#segment
    if (segment === undefined || this.#offset === 0) return undefined
    const { tail, durableOrdinal } = this.#journal
    const isAtEnd = segment === this.#journal.segments.at(-1) && this.#offset >= segment.bytes
    const ordinal = isAtEnd ? durableOrdinal + 1 : tail.ordinalAt(segment.number, this.#offset)
    if (ordinal === undefined) return undefined
    this.#left = { segment, offset: this.#offset }
    this.#leave()
    return ordinal
  }

  /** The entries of the next part of the log; empty when only the position moved. */
  async #read(bytesMax: number): Promise<Entry[]> {
    const segment = this.#segment
    if (segment === undefined) throw new HotspareError('INTERNAL', 'a reader without a place')
    const { files, segments } = this.#journal
    const index = segments.indexOf(segment)
    const next = segments[index + 1]
    if (index < 0) {
      // The segment was trimmed while this reader was reading from memory; nothing is lost if it
      // had read all of it.
      const hadAll = this.#offset >= segment.bytes && next?.number === segment.number + 1
      if (!hadAll) throw trimmed(this.afterSeq, this.#journal.firstSeq)
    }
    if (this.#offset === 0) {
      const read = (at: number, length: number): Promise<Uint8Array> =>
        files.read(segment, at, length)
      const header = await loadSegmentHeader({ read })
      if (header === undefined) throw corrupt(segment, 0)
      this.#offset = header.bytes
      return []
    }
    if (this.#offset >= segment.bytes) {
      // At the end of the last segment, `take` continues in memory.
      if (next !== undefined) this.#enter(next, 0)
      return []
    }
    return this.#parse(segment, Math.max(bytesMax, readBytesMin))
  }

  async #parse(segment: Segment, wanted: number): Promise<Entry[]> {
    const start = this.#offset
    const length = Math.min(wanted, segment.bytes - start)
    const chunk = await this.#journal.files.read(segment, start, length)
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    const entries: Entry[] = []
    let at = 0
    while (at < view.length) {
      if (looksLikeMark(view, at)) {
        // The rest of the entry comes with the next read, unless this is the end of the segment.
        if (view.length < at + markBytes && start + view.length < segment.bytes) break
        at += markBytes
        continue
      }
      const entry = view.length < at + entryHeaderBytes ? 'incomplete' : readEntry(view, at)
      if (entry === 'corrupt') throw corrupt(segment, start + at)
      if (entry === 'incomplete') break
      const isCounted = segment.counted !== undefined && start + at >= segment.counted.offset
      if (this.#readOrdinal > 0) this.#readOrdinal += 1
      else if (isCounted) this.#readOrdinal = segment.counted?.ordinal ?? 0
      at += entry.bytes.length
      if (entry.header.firstSeq > this.#from) entries.push(entry)
    }
    if (at === 0) {
      if (length < wanted || wanted > entryBytesMax) throw corrupt(segment, start)
      return this.#parse(segment, entryBytesMax + readBytesMin)
    }
    this.#offset = start + Math.min(at, view.length)
    return entries
  }
}

function isOf({ header }: Entry, term: HistoryTerm | undefined): boolean {
  return term?.epoch === header.epoch && termTagOf(term) === header.termTag
}
