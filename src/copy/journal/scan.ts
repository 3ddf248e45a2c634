/**
 * Reads a journal from a place to its end, checks every byte, and distinguishes a torn end from
 * damage.
 *
 * What is invalid at the very end of the last segment was never durable, and may be cut. What is
 * invalid before something that was written later (a valid mark, a further segment) had been
 * durable, so it is damage, and the scan stops before it.
 */

import type { Entry } from '../../changes/entry.js'
import { entryBytesMax, entryHeaderBytes, readEntry } from '../../changes/entry.js'
import type { Log, LogStore } from '../../interfaces/storage.js'
import type { SegmentHeader } from './format.js'
import {
  findMark,
  hasAnyMark,
  isMark,
  looksLikeMark,
  markBytes,
  parseSegmentName,
  readSegmentHeader,
  segmentHeaderBytes,
} from './format.js'
import type { JournalFacts } from './head.js'
import { FactsTracker, noFacts } from './head.js'
import type { Segment } from './tail.js'

/** A place in the journal, right before an entry, with the facts there. */
export interface JournalPlace {
  readonly segment: string
  readonly offset: number
  readonly facts: JournalFacts
}

/** The start of a scan: a place, or the beginning of a segment. */
export type ScanStart = JournalPlace | { readonly segment: string }

/** Damage in the middle of the journal. */
export interface JournalDamage {
  readonly segment: string
  readonly offset: number
  readonly why: string
}

export interface ScannedJournal {
  /** The segments, oldest first. */
  readonly segments: Segment[]
  /** The facts at the end of the valid part. */
  readonly facts: JournalFacts
  /** The nonce of the last segment; undefined when its header has to be written again. */
  readonly nonce: number | undefined
  readonly damage: JournalDamage | undefined
  /**
   * The start of the scan if it lies in the middle of a segment. What lies before it was not
   * checked.
   */
  readonly place?: JournalPlace | undefined
}

/** Called for each entry in order. */
export type VisitEntry = (entry: Entry, facts: JournalFacts) => void | Promise<void>

/** Bytes that are read from a segment at a time. */
const readBytes = 4 * 1024 * 1024

/** The segments of an area, oldest first; other logs are ignored. */
export async function listSegments(logs: LogStore, area: string): Promise<Segment[]> {
  const segments: Segment[] = []
  for (const { name, bytes } of await logs.list(area)) {
    const parsed = parseSegmentName(name)
    if (parsed !== undefined) segments.push({ name, ...parsed, bytes })
  }
  return segments.sort((left, right) => left.number - right.number)
}

/** Reads the header of a segment; undefined when it is invalid. */
export async function loadSegmentHeader(
  log: Pick<Log, 'read'>,
): Promise<SegmentHeader | undefined> {
  const start = await log.read(0, 4096)
  const length = segmentHeaderBytes(start)
  if (length === undefined) return undefined
  return readSegmentHeader(length <= start.length ? start : await log.read(0, length))
}

/** Reads everything from `from` on; by default from the beginning. */
export async function scanJournal(
  logs: LogStore,
  area: string,
  from: ScanStart | undefined,
  visit: VisitEntry,
): Promise<ScannedJournal> {
  const segments = await listSegments(logs, area)
  const place = from !== undefined && 'offset' in from ? from : undefined
  const tracker = new FactsTracker(place?.facts ?? noFacts)
  const first = from === undefined ? 0 : segments.findIndex(({ name }) => name === from.segment)
  if (from !== undefined && first < 0) {
    const damage = { segment: from.segment, offset: 0, why: 'the segment is missing' }
    return { segments: [], facts: tracker.snapshot(), nonce: undefined, damage }
  }
  let nonce: number | undefined
  for (let at = first; at < segments.length; at += 1) {
    const segment = segments[at]
    if (segment === undefined) break
    const isLast = at === segments.length - 1
    const log = await logs.open(area, segment.name)
    try {
      const offset = at === first ? place?.offset : undefined
      const scan = new SegmentScan(log, isLast, tracker)
      const follows = at === first || segments[at - 1]?.number === segment.number - 1
      const why = follows ? await scan.run(offset, visit) : 'the segment before it is missing'
      nonce = scan.nonce
      if (why !== undefined) {
        const damage = { segment: segment.name, offset: scan.offset, why }
        segment.bytes = scan.offset
        const readable = segments.slice(0, at + 1)
        return { segments: readable, facts: tracker.snapshot(), nonce, damage, place }
      }
      // The torn end of the last segment is cut.
      segment.bytes = scan.offset
    } finally {
      await log.close()
    }
  }
  return { segments, facts: tracker.snapshot(), nonce, damage: undefined, place }
}

/** Scans one segment. */
class SegmentScan {
  readonly #log: Log
  readonly #isLast: boolean
  readonly #tracker: FactsTracker
  /** The end of the valid part so far. */
  offset = 0
  nonce: number | undefined

  constructor(log: Log, isLast: boolean, tracker: FactsTracker) {
    this.#log = log
    this.#isLast = isLast
    this.#tracker = tracker
  }

  /** Scans from `offset`, or from the header. Returns a description of the damage, if any. */
  async run(offset: number | undefined, visit: VisitEntry): Promise<string | undefined> {
    const header = await loadSegmentHeader(this.#log)
    if (header === undefined) {
      const isTorn = this.#isLast && offset === undefined && !(await this.#hasMarks())
      // A torn header was part of the first append, so nothing in this segment was ever durable.
      return isTorn ? undefined : 'the header of the segment is damaged'
    }
    this.nonce = header.nonce
    this.offset = offset ?? header.bytes
    if (this.offset > this.#log.bytes) return 'the end of the segment is missing'
    const isStart = offset === undefined && this.#tracker.seq === 0
    if (isStart && this.#tracker.history.length === 0) this.#restart(header)
    else if (offset === undefined && !this.#continues(header.facts)) {
      return `the segment begins after ${header.facts.seq}, not after ${this.#tracker.seq}`
    }
    return this.#entries(header.nonce, visit)
  }

  async #hasMarks(): Promise<boolean> {
    for (let at = 0; at < this.#log.bytes; at += readBytes) {
      if (hasAnyMark(await this.#view(at, readBytes + markBytes), at)) return true
    }
    return false
  }

  async #view(offset: number, length: number): Promise<Buffer> {
    const chunk = await this.#log.read(offset, length)
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  }

  /** Whether a segment with these facts continues what was read so far. */
  #continues(facts: JournalFacts): boolean {
    const { seq, history, inSync } = this.#tracker
    return (
      facts.seq === seq &&
      facts.history.at(-1)?.epoch === history.at(-1)?.epoch &&
      facts.inSync?.join() === inSync?.join()
    )
  }

  /** The first segment determines where the journal begins. */
  #restart(header: SegmentHeader): void {
    this.#tracker.restart(header.facts)
  }

  async #entries(nonce: number, visit: VisitEntry): Promise<string | undefined> {
    const end = this.#log.bytes
    let wanted = readBytes
    while (this.offset < end) {
      const length = Math.min(wanted, end - this.offset)
      const view = await this.#view(this.offset, length)
      const start = this.offset
      const stopped = await this.#readChunk(view, nonce, visit)
      if (stopped === undefined) continue
      const isCut = stopped === 'incomplete' && start + view.length < end
      if (!isCut) return this.#judge(nonce, stopped)
      // The entry is longer than the chunk, so the next read contains all of it.
      wanted = this.offset === start ? entryBytesMax + readBytes : readBytes
    }
    return undefined
  }

  /** Reads the complete entries of the chunk; returns why it stopped before its end. */
  async #readChunk(view: Buffer, nonce: number, visit: VisitEntry): Promise<string | undefined> {
    const start = this.offset
    let at = 0
    while (at < view.length) {
      if (looksLikeMark(view, at)) {
        if (view.length < at + markBytes) return 'incomplete'
        if (!isMark(view, at, nonce, start + at)) return 'a mark is damaged'
        at += markBytes
        this.offset = start + at
        continue
      }
      if (view.length < at + entryHeaderBytes) return 'incomplete'
      const entry = readEntry(view, at)
      if (entry === 'incomplete') return 'incomplete'
      if (entry === 'corrupt') return 'an entry is damaged'
      try {
        this.#tracker.requireNext(entry)
      } catch {
        return 'an entry does not continue the one before it'
      }
      this.#tracker.advance(entry)
      const pause = visit(entry, this.#tracker)
      if (pause !== undefined) await pause
      at += entry.bytes.length
      this.offset = start + at
    }
    return undefined
  }

  /**
   * Decides between damage, if a valid record follows, and a torn end. Zeros at the end are
   * preallocated space; if records were lost there, the next segment does not continue the numbers,
   * which recovery reports.
   */
  async #judge(nonce: number, why: string): Promise<string | undefined> {
    let isEmpty = true
    for (let at = this.offset; at < this.#log.bytes; at += readBytes) {
      const view = await this.#view(at, readBytes + markBytes)
      isEmpty &&= view.every((byte) => byte === 0)
      const mark = findMark(view, nonce, at)
      if (mark !== undefined && mark > this.offset) return why
    }
    return this.#isLast || isEmpty ? undefined : why
  }
}
