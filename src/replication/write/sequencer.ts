/**
 * Sequences queued writes: forms a batch, encodes it once, appends it. It also appends the entries
 * without changes: terms, in-sync sets, and the acknowledged mark (the position up to which changes
 * are acknowledged) when no other entry carries it.
 *
 * Invariants:
 * - entries are appended in the order of their sequence numbers, each with the current term;
 * - a write leaves the queue only after its entry was appended, or when it is refused;
 * - every appended entry is reported to the in-sync set before its writes can be acknowledged;
 * - the active's own copy applies what is decoded from the entry, as the standbys do: an entry that
 *   cannot be decoded is not appended, and a caller that later modifies the value it wrote changes
 *   nothing.
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

/** What a sequencer depends on. */
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
  /** The journal failed and accepts no entries any more. */
  failed(error: HotspareError): void
}

/** How long the journaled acknowledged mark may lag, in milliseconds. */
const markMs = 1000

/** What is known of an entry besides its parts. */
interface Appended {
  /** Bytes of the blobs that a standby needs for it. */
  readonly contentBytes?: number
  /** Files that the tree already has as the changes say; null for a file that is absent. */
  readonly found?: ReadonlyMap<string, FileStat | null>
}

export class Sequencer {
  readonly #options: SequencerOptions
  readonly #copy: WriterCopy
  readonly #resolver: BatchResolver
  #term: Term
  /** The maximum of changes in the next batch; halved while a batch cannot be encoded. */
  #changesMax: number
  /** The acknowledged mark in the last entry. */
  #marked: number
  /** Whether this writer has acknowledged anything; until then the inherited mark stays. */
  #acknowledges = false
  #appendedAtMs: number
  #markTimer: TimerHandle | undefined
  /** Whether the mark may not be appended by itself now. */
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
   * Appends the entry that opens a term; all later entries are in that term. `goesOn`: the tenure
   * continues, this is not its first term.
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
   * Appends changes of files that the tree already has, as `found` describes.
   *
   * @throws the failure of the journal
   */
  appendFound(changes: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): void {
    const entry = encodeChanges(this.#term, this.#copy.seq + 1, this.#ackedSeq(), changes)
    this.#append(entry, partsOf(entry), {
      contentBytes: blobBytes(changes.flatMap(blobsOf)),
      found,
    })
  }

  /** Journals an in-sync set and answers the entry's ordinal; undefined when the journal failed. */
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
   * Appends the next batch of the queue: at least one write, and no more than this much work in the
   * units of flow control.
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

  /** Writes were acknowledged, so the mark must be journaled within {@link markMs}. */
  acknowledged(): void {
    this.#acknowledges = true
    if (this.#markTimer === undefined) this.#armMark(markMs)
  }

  /** While quiet, the mark is not appended by itself. */
  setQuiet(quiet: boolean): void {
    this.#quiet = quiet
    if (!quiet && this.#markTimer === undefined) this.#armMark(markMs)
  }

  /** Ends the timer. */
  close(): void {
    this.#quiet = true
    if (this.#markTimer !== undefined) this.#options.clock.clearTimer(this.#markTimer)
  }

  /**
   * Collects writes and their changes; answers how many writes of the queue it passed, refused ones
   * included.
   */
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

  /**
   * A batch could not be encoded. Halves the next batch until the write that cannot be encoded is
   * alone and can be refused.
   */
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

  /**
   * Appends the mark now, unless an entry carries it already. Called before the role is given up.
   */
  mark(): void {
    if (this.#ackedSeq() !== this.#marked) this.appendInSync(this.#options.inSync.tracker.members())
  }

  /**
   * The change up to which all changes of this tenure are acknowledged. It says nothing of earlier
   * changes, some of which may never have been acknowledged; see {@link AckedRanges}.
   */
  #ackedSeq(): number {
    if (!this.#acknowledges) return this.#marked
    return Math.max(this.#marked, this.#options.queues.ackedSeq(this.#copy.seq))
  }

  #armMark(delayMs: number): void {
    this.#markTimer = this.#options.clock.setTimer(delayMs, () => this.#writeMark())
  }

  /**
   * Appends the mark by itself, unless an entry carried it or appends are so recent that one soon
   * may.
   */
  #writeMark(): void {
    this.#markTimer = undefined
    if (this.#quiet || this.#ackedSeq() === this.#marked) return
    const idleMs = this.#options.clock.nowMs() - this.#appendedAtMs
    if (idleMs < markMs) this.#armMark(markMs - idleMs)
    else this.appendInSync(this.#options.inSync.tracker.members())
  }
}

/** Bytes of the blobs that the writes name. */
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
