/**
 * Gives queued writes their place: forms a batch, encodes it once, appends it. It also writes the
 * entries that carry no change: terms, in-sync sets, and the mark of what was acknowledged when
 * nothing else carries it.
 *
 * Invariants:
 * - entries are appended in the order of their sequence numbers, each with the term it was written
 *   in;
 * - a write leaves the queue only when its entry was appended, or when it was refused;
 * - every appended entry is told to the in-sync set before its writes can be released;
 * - what the own copy takes in is read from the entry, as on the standbys: nothing is appended that
 *   cannot be read, and what a caller keeps of what it wrote changes nothing.
 */

import type { BlobRef, Change, FileChange } from '../../changes/change.js'
import type { BatchPart, Entry } from '../../changes/entry.js'
import { encodeChanges, encodeInSync, encodeTerm, lastSeqOf, partsOf } from '../../changes/entry.js'
import { blobsOf, requirePlainValues } from '../../changes/intent.js'
import type { UpdateResult } from '../../copy/contents/types.js'
import { asFailure } from '../../copy/journal/errors.js'
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import { changeWork, type FlowControl } from '../in-sync/flow-control.js'
import type { InSyncSet } from '../in-sync/in-sync.js'
import type { AckQueues, Write } from './ack-queues.js'
import { BatchResolver } from './batch-resolver.js'
import { unwritable } from './errors.js'
import type { WriteIntake } from './intake.js'
import type { NewPaths } from './path-check.js'
import type { WriteQueue } from './queue.js'
import type { WriterCopy, WriterLimits } from './types.js'

/** What a sequencer works on. */
export interface SequencerOptions {
  readonly copy: WriterCopy
  readonly clock: Clock
  readonly limits: WriterLimits
  readonly term: Term
  readonly queue: WriteQueue
  readonly queues: AckQueues
  readonly newPaths: NewPaths
  readonly intake: WriteIntake
  readonly inSync: InSyncSet
  readonly flow: FlowControl
  /** The journal takes nothing any more. */
  failed(error: HotspareError): void
}

/** How long the mark of acknowledged changes may lag behind, in milliseconds. */
const markMs = 1000

/** What there is to say of an entry beside its parts. */
interface Appended {
  /** Bytes that a standby gets with it beside its own. */
  readonly contentBytes?: number
  /** What the tree has already of what its changes bring. */
  readonly found?: ReadonlyMap<string, FileStat | null>
}

export class Sequencer {
  readonly #options: SequencerOptions
  readonly #copy: WriterCopy
  readonly #resolver: BatchResolver
  #term: Term
  /**
   * Changes in the next batch at most; lowered while a batch is found that does not fit an entry.
   */
  #changesMax: number
  /** The mark in the last entry. */
  #marked: number
  /** Whether anything was acknowledged by this writer: until then the inherited mark holds. */
  #acknowledges = false
  #appendedAtMs: number
  #markTimer: TimerHandle | undefined
  /** While no mark may be written on its own. */
  #quiet = false

  constructor(options: SequencerOptions) {
    this.#options = options
    this.#copy = options.copy
    this.#term = options.term
    this.#resolver = new BatchResolver(options.copy)
    this.#changesMax = options.limits.batchChangesMax
    this.#marked = options.copy.ackedSeq
    this.#appendedAtMs = options.clock.nowMs()
  }

  /**
   * Appends the entry that opens a term; everything after it is written in that term. `goesOn`: not
   * the tenure's first.
   */
  appendTerm(term: Term, goesOn: boolean): void {
    this.#append(encodeTerm(term, this.#copy.seq + 1, this.#ackedSeq(), goesOn))
    this.#term = term
  }

  /**
   * Appends a change that changes nothing. A copy that has more than the term began with is on
   * another history from here: it can follow, and keeps in its vault what only it has.
   */
  appendFork(): void {
    const nothing: Change = { kind: 'transaction', changes: [] }
    this.#append(encodeChanges(this.#term, this.#copy.seq + 1, this.#ackedSeq(), [nothing]))
  }

  /**
   * Appends changes of files that the own tree has already, as `found` says. @throws the failure of
   * the journal
   */
  appendFound(changes: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): void {
    const entry = encodeChanges(this.#term, this.#copy.seq + 1, this.#ackedSeq(), changes)
    this.#append(entry, partsOf(entry), {
      contentBytes: blobBytes(changes.flatMap(blobsOf)),
      found,
    })
  }

  /** Journals a set; undefined when the journal takes nothing any more. */
  appendInSync(members: readonly string[]): number | undefined {
    try {
      const entry = encodeInSync(this.#term, this.#copy.seq + 1, this.#ackedSeq(), members)
      return this.#append(entry).ordinal
    } catch (error) {
      this.#options.failed(asFailure(error))
      return undefined
    }
  }

  /**
   * Appends the next batch of the queue: one write at least, and no more than this much work of
   * flow control.
   */
  appendBatch(workMax: number): void {
    const { queue, queues } = this.#options
    const writes: Write[] = []
    const changes: Change[] = []
    const passed = this.#form(writes, changes, workMax)
    if (writes.length === 0) {
      queue.shift(passed)
      return
    }
    let entry: Entry
    let parts: readonly BatchPart[]
    try {
      entry = encodeChanges(this.#term, this.#copy.seq + 1, this.#ackedSeq(), changes)
      parts = partsOf(entry)
    } catch (error) {
      this.#narrow(writes, error)
      return
    }
    let appended: { ordinal: number; results: readonly UpdateResult[] | undefined }
    try {
      appended = this.#append(entry, parts, { contentBytes: contentBytesOf(writes) })
    } catch (error) {
      this.#options.failed(asFailure(error))
      return
    }
    queue.shift(passed)
    const { firstSeq, count, metaBytes } = entry.header
    const { results } = appended
    for (let at = 0; at < writes.length; at += 1) {
      const write = writes[at]
      if (write === undefined) continue
      write.seq = firstSeq + at
      if (results !== undefined) write.outcome = results[at]
    }
    queues.add(appended.ordinal, this.#term, writes)
    queue.valueBytes = Math.ceil((queue.valueBytes * 7 + metaBytes / count) / 8)
    const { batchChangesMax } = this.#options.limits
    if (this.#changesMax < batchChangesMax) {
      this.#changesMax = Math.min(batchChangesMax, this.#changesMax * 2)
    }
  }

  /** Something was acknowledged: the mark must reach the journal before long. */
  acknowledged(): void {
    this.#acknowledges = true
    if (this.#markTimer === undefined) this.#armMark(markMs)
  }

  /** Whether entries may be written without a change or an in-sync set that needs them. */
  setQuiet(quiet: boolean): void {
    this.#quiet = quiet
    if (!quiet && this.#markTimer === undefined) this.#armMark(markMs)
  }

  /** Ends the timer. */
  close(): void {
    this.#quiet = true
    if (this.#markTimer !== undefined) this.#options.clock.clearTimer(this.#markTimer)
  }

  /** Collects writes and their changes; answers how many places of the queue they take. */
  #form(writes: Write[], changes: Change[], workMax: number): number {
    const { queue, limits, newPaths } = this.#options
    this.#resolver.reset()
    let bytes = 0
    for (let at = 0; ; at += 1) {
      const write = queue.at(at)
      if (write === undefined) return at
      if (write.gone) continue
      bytes += write.bytes
      const work = bytes + writes.length * changeWork
      const full =
        bytes > limits.batchBytesMax || writes.length === this.#changesMax || work > workMax
      if (full && writes.length > 0) return at
      try {
        requirePlainValues(write.intent)
        if (write.intent.kind === 'update') {
          changes.push(write.intent)
          writes.push(write)
          continue
        }
        const blocked = newPaths.blockedBy(write)
        if (blocked !== undefined) throw blocked
        changes.push(this.#resolver.resolve(write.intent))
        writes.push(write)
      } catch (error) {
        queue.giveUp(write)
        this.#options.intake.refuse(write, error)
      }
    }
  }

  /** A batch could not be encoded: the next attempt is smaller, until the culprit stands alone. */
  #narrow(writes: readonly Write[], error: unknown): void {
    const only = writes[0]
    if (writes.length > 1 || only === undefined) {
      this.#changesMax = Math.ceil(writes.length / 2)
      return
    }
    this.#options.queue.giveUp(only)
    this.#options.intake.refuse(only, unwritable(error))
  }

  #append(
    entry: Entry,
    parts?: readonly BatchPart[],
    { contentBytes = 0, found }: Appended = {},
  ): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    const appended = this.#copy.append(entry, parts, found)
    this.#marked = entry.header.ackedSeq
    this.#appendedAtMs = this.#options.clock.nowMs()
    const { header } = entry
    const bytes = entry.bytes.length + contentBytes
    this.#options.inSync.appended(appended.ordinal, lastSeqOf(header), bytes)
    this.#options.flow.appended(header.count, bytes)
    return appended
  }

  /** Writes the mark now, unless an entry carries it already: the role is about to be given up. */
  mark(): void {
    if (this.#ackedSeq() !== this.#marked) this.appendInSync(this.#options.inSync.tracker.members())
  }

  /**
   * All changes of this tenure up to this one are acknowledged. It says nothing of those before the
   * tenure, some of which may never have been answered; see {@link AckedRanges}.
   */
  #ackedSeq(): number {
    if (!this.#acknowledges) return this.#marked
    return Math.max(this.#marked, this.#options.queues.ackedSeq(this.#copy.seq))
  }

  #armMark(delayMs: number): void {
    this.#markTimer = this.#options.clock.setTimer(delayMs, () => this.#writeMark())
  }

  /** Writes the mark by itself, unless an entry carried it or will do so any moment. */
  #writeMark(): void {
    this.#markTimer = undefined
    if (this.#quiet || this.#ackedSeq() === this.#marked) return
    const idleMs = this.#options.clock.nowMs() - this.#appendedAtMs
    if (idleMs < markMs) this.#armMark(markMs - idleMs)
    else this.appendInSync(this.#options.inSync.tracker.members())
  }
}

/** Bytes of the contents that stand outside of the entry. */
function contentBytesOf(writes: readonly Write[]): number {
  let bytes = 0
  for (const { intent } of writes) {
    if (intent.kind !== 'update') bytes += blobBytes(blobsOf(intent))
  }
  return bytes
}

function blobBytes(blobs: readonly BlobRef[]): number {
  return blobs.reduce((sum, { bytes }) => sum + bytes, 0)
}
