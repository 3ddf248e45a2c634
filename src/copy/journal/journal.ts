/**
 * The ordered, durable record of entries: segments in a log area, group commit, and readers.
 *
 * Invariants:
 * - ordinals count the entries appended by this process; `durableOrdinal <= handedOrdinal <=
 *   lastOrdinal`;
 * - at most one append of the log is in progress, and the next one begins only when the last is
 *   durable;
 * - a segment is begun only when everything before it is durable;
 * - after a failure nothing is passed to the log until `reopen()`, and nothing that was accepted is
 *   dropped.
 */

import type { Entry } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { Log } from '../../interfaces/storage.js'
import { Listeners } from '../../util/listeners.js'
import { AppendSize } from './append-size.js'
import { beginSegment, nonceFrom } from './begin-segment.js'
import { asStorageError, damaged, trimmed } from './errors.js'
import { encodeMark, encodeSegmentHeader, markBytes, segmentName } from './format.js'
import type { JournalFacts } from './head.js'
import { FactsTracker } from './head.js'
import { Holders, type TrimLimits } from './holders.js'
import { JournalReader } from './reader.js'
import type { JournalPlace, ScannedJournal } from './scan.js'
import { listSegments } from './scan.js'
import { SegmentFiles } from './segment-files.js'
import type { Segment, TailItem } from './tail.js'
import { Tail } from './tail.js'
import type { JournalOptions, JournalPin } from './types.js'

export class Journal {
  readonly #options: JournalOptions
  readonly #appended: FactsTracker
  readonly #durable: FactsTracker
  readonly #segments: Segment[]
  readonly #holders = new Holders()
  readonly #durableListeners = new Listeners<[ordinal: number]>()
  #log: Log
  #nonce: number
  #isFlushing = false
  #isClosed = false
  #isRollWanted = false
  #handedOrdinal: number
  #handedBytes = 0
  #handedAtMs = 0
  readonly #appendSize = new AppendSize()
  #bytes: number
  lastOrdinal: number
  durableOrdinal: number
  failed: HotspareError | undefined
  /** The newest entries, for readers. */
  readonly tail: Tail
  readonly files: SegmentFiles
  /** The place from which the journal was checked when it was opened. */
  readonly soundFrom: JournalPlace | undefined

  private constructor(
    options: JournalOptions,
    scanned: ScannedJournal,
    log: Log,
    nonce: number,
    ordinal: number,
  ) {
    this.#options = options
    this.#appended = new FactsTracker(scanned.facts)
    this.#durable = new FactsTracker(scanned.facts)
    this.#segments = scanned.segments
    this.soundFrom = scanned.place
    this.#log = log
    this.#nonce = nonce
    this.#handedOrdinal = ordinal
    this.lastOrdinal = ordinal
    this.durableOrdinal = ordinal
    this.#current.counted = { offset: this.#current.bytes, ordinal: ordinal + 1 }
    this.tail = new Tail(ordinal + 1)
    this.files = new SegmentFiles(options.logs, options.area)
    this.files.setCurrent(this.#current, log)
    this.#bytes = scanned.segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  /**
   * Continues after a scan: cuts a torn end, or begins the first segment. A damaged journal is left
   * as it is and accepts nothing. Ordinals continue after `ordinal`.
   */
  static async open(
    options: JournalOptions,
    scanned: ScannedJournal,
    ordinal: number,
  ): Promise<Journal> {
    const { logs, area } = options
    let segment = scanned.segments.at(-1)
    if (segment === undefined) {
      const firstSeq = scanned.facts.seq + 1
      segment = { name: segmentName(firstSeq, 1), number: 1, firstSeq, bytes: 0 }
      scanned.segments.push(segment)
    }
    const log = await logs.open(area, segment.name)
    let nonce: number
    try {
      nonce = await beginSegment(log, segment, scanned, options.random)
    } catch (error) {
      await log.close().catch(() => undefined)
      throw error
    }
    const journal = new Journal(options, scanned, log, nonce, ordinal)
    if (scanned.damage !== undefined) journal.failed = damaged(scanned.damage)
    return journal
  }

  /** Empties the area and creates a journal that continues `facts`. */
  static async create(options: JournalOptions, facts: JournalFacts): Promise<Journal> {
    const old = await listSegments(options.logs, options.area)
    if (old.length > 0)
      await options.logs.remove(
        options.area,
        old.map(({ name }) => name),
      )
    const scanned = { segments: [], facts, nonce: undefined, damage: undefined }
    return Journal.open(options, scanned, 0)
  }

  /** The facts after the last appended entry. */
  get facts(): FactsTracker {
    return this.#appended
  }

  get durableSeq(): number {
    return this.#durable.seq
  }

  /** The oldest change in the journal; one after the last when it is empty. */
  get firstSeq(): number {
    return this.#segments[0]?.firstSeq ?? this.#appended.seq + 1
  }

  /** The bytes of entries that are not durable yet. */
  undurableBytes = 0

  /** The durable bytes of all segments. */
  get bytes(): number {
    return this.#bytes
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** The end of the durable entries. */
  durablePlace(): JournalPlace {
    const { name, bytes } = this.#current
    return { segment: name, offset: bytes, facts: this.#durable.snapshot() }
  }

  onDurable(listener: (ordinal: number) => void): () => void {
    return this.#durableListeners.add(listener)
  }

  /**
   * Appends the next entry, which `facts.requireNext` has admitted; it is on its way to the log
   * when this returns.
   */
  append(entry: Entry): number {
    if (this.failed !== undefined) throw this.failed
    this.#appended.advance(entry)
    this.tail.push(entry)
    this.lastOrdinal += 1
    this.undurableBytes += entry.bytes.length
    if (!this.#isFlushing) this.#flush()
    return this.lastOrdinal
  }

  /** Resolves when everything appended before is durable. */
  flushed(): Promise<void> {
    const wanted = this.lastOrdinal
    if (this.failed !== undefined) return Promise.reject(this.failed)
    if (this.durableOrdinal >= wanted) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.durableOrdinal >= wanted) resolve()
        else if (this.failed !== undefined) reject(this.failed)
        else this.#settleLater(check)
      }
      this.#settleLater(check)
    })
  }

  readonly #flushWaiters: (() => void)[] = []

  #settleLater(check: () => void): void {
    this.#flushWaiters.push(check)
  }

  #settleWaiters(): void {
    if (this.#flushWaiters.length === 0) return
    for (const check of this.#flushWaiters.splice(0)) check()
  }

  get #current(): Segment {
    const segment = this.#segments.at(-1)
    if (segment === undefined) throw new HotspareError('INTERNAL', 'a journal without a segment')
    return segment
  }

  /** Passes the waiting entries to the log as one append. */
  #flush(): void {
    this.#isFlushing = true
    const segment = this.#current
    if (segment.bytes >= this.#options.segmentBytes || this.#isRollWanted) {
      this.#isRollWanted = false
      this.#roll().then(
        () => this.#flush(),
        (error: unknown) => this.#fail(error),
      )
      return
    }
    const parts: Uint8Array[] = [encodeMark(this.#nonce, segment.bytes)]
    let offset = segment.bytes + markBytes
    let ordinal = this.#handedOrdinal
    const bytesMax = Math.min(this.#appendSize.bytes, this.#options.segmentBytes)
    while (ordinal < this.lastOrdinal && offset - segment.bytes < bytesMax) {
      ordinal += 1
      const item = this.#itemOf(ordinal)
      item.segment = segment
      item.offset = offset
      offset += item.entry.bytes.length
      parts.push(item.entry.bytes)
    }
    this.#handedOrdinal = ordinal
    this.#handedBytes = offset - segment.bytes
    this.#handedAtMs = this.#options.clock.nowMs()
    this.#log.append(parts).then(this.#whenAppended, this.#whenFailed)
  }

  readonly #whenAppended = (): void => {
    const segment = this.#current
    this.#appendSize.note(this.#handedBytes, this.#options.clock.nowMs() - this.#handedAtMs)
    segment.bytes += this.#handedBytes
    this.#bytes += this.#handedBytes
    for (let ordinal = this.durableOrdinal + 1; ordinal <= this.#handedOrdinal; ordinal += 1) {
      const { entry } = this.#itemOf(ordinal)
      this.#durable.advance(entry)
      this.undurableBytes -= entry.bytes.length
    }
    this.durableOrdinal = this.#handedOrdinal
    this.tail.shrink(this.durableOrdinal, this.#options.tailBytesMax)
    this.#isFlushing = false
    // The next append begins before listeners are called.
    if (this.#handedOrdinal < this.lastOrdinal && !this.#isClosed) this.#flush()
    this.#durableListeners.call(this.durableOrdinal)
    this.#settleWaiters()
  }

  readonly #whenFailed = (error: unknown): void => this.#fail(error)

  #itemOf(ordinal: number): TailItem {
    const item = this.tail.get(ordinal)
    if (item === undefined) throw new HotspareError('INTERNAL', 'an entry left the tail too early')
    return item
  }

  /** Begins a new segment with the next entry, so that everything before it can be trimmed. */
  rollSoon(): void {
    this.#isRollWanted = true
  }

  /**
   * Begins the next segment. Everything before it is durable, so its header contains the durable
   * facts.
   */
  async #roll(): Promise<void> {
    const { logs, area, random } = this.#options
    const number = this.#current.number + 1
    const firstSeq = this.#durable.seq + 1
    const counted = { offset: 0, ordinal: this.durableOrdinal + 1 }
    const segment = { name: segmentName(firstSeq, number), number, firstSeq, bytes: 0, counted }
    const nonce = nonceFrom(random)
    const log = await logs.open(area, segment.name)
    try {
      if (log.bytes > 0) await log.truncate(0)
      const header = encodeSegmentHeader(nonce, this.#durable)
      await log.append([header])
      segment.bytes = header.length
    } catch (error) {
      await log.close().catch(() => undefined)
      throw error
    }
    this.#segments.push(segment)
    this.#bytes += segment.bytes
    this.#log = log
    this.#nonce = nonce
    this.files.setCurrent(segment, log)
  }

  #fail(error: unknown): void {
    this.failed = asStorageError(error)
    this.#settleWaiters()
    this.#options.onFailure(this.failed)
  }

  /**
   * Continues after a failure: cuts the log to its last durable byte and appends the entries that
   * were not durable again.
   */
  async reopen(): Promise<void> {
    if (this.failed === undefined) return
    if (this.failed.code === 'JOURNAL_CORRUPT') throw this.failed
    const segment = this.#current
    const { logs, area } = this.#options
    const listed = await listSegments(logs, area)
    // A segment whose creation failed.
    const extra = listed.filter(({ number }) => number > segment.number).map(({ name }) => name)
    if (extra.length > 0) await logs.remove(area, extra)
    this.#log = await this.files.reopen(segment)
    if (this.#log.bytes > segment.bytes) await this.#log.truncate(segment.bytes)
    this.#handedOrdinal = this.durableOrdinal
    this.failed = undefined
    this.#isFlushing = false
    if (this.#handedOrdinal < this.lastOrdinal) this.#flush()
  }

  /**
   * A reader of the entries after `afterSeq`, in order.
   *
   * @param isCut - whether the in-sync sets at `afterSeq` are known already
   */
  reader(afterSeq: number, isCut: boolean = false): JournalReader {
    if (afterSeq + 1 < this.firstSeq) throw trimmed(afterSeq, this.firstSeq)
    const reader = new JournalReader(this, afterSeq, isCut, () => this.#holders.remove(reader))
    this.#holders.add(reader)
    return reader
  }

  pin(afterSeq: number): JournalPin {
    if (afterSeq + 1 < this.firstSeq) throw trimmed(afterSeq, this.firstSeq)
    return this.#holders.pin(afterSeq)
  }

  /**
   * Removes whole segments, oldest first, as far as the limits allow. Returns the last removed
   * change.
   */
  async trim(limits: TrimLimits): Promise<number | undefined> {
    const isBusy = (segment: Segment): boolean => this.files.isBusy(segment)
    const gone = this.#holders.unheld(this.#segments, limits, isBusy)
    if (gone.length === 0) return undefined
    await this.files.remove(gone)
    // Done last, because a failed removal changes nothing; entries may have been appended
    // meanwhile.
    const lastSeq = (this.#segments[gone.length]?.firstSeq ?? 1) - 1
    for (const segment of gone) {
      for (const holder of this.#holders.of(segment, lastSeq)) holder.lost = true
    }
    this.#segments.splice(0, gone.length)
    for (const { bytes } of gone) this.#bytes -= bytes
    return lastSeq
  }

  /**
   * Waits for the append in progress, then closes all files. Waiting entries are lost, so flush
   * before.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#isFlushing && this.failed === undefined) {
      await new Promise<void>((resolve) => this.#settleLater(resolve))
    }
    this.#holders.closeReaders()
    await this.files.close()
  }
}
