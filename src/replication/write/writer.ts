/**
 * The active's write path: accepts writes, sequences them in batches of whatever has queued up, and
 * acknowledges each when its entry has reached the write's level.
 *
 * ```
 *   store ──▶ BlobSpool                   large content: here, and on the in-sync standbys
 *   submit ─▶ WriteIntake ─▶ WriteQueue   a write is checked, and its caller gets a promise
 *                                │
 *                            BatchLoop    is the disk free (NewPaths)? how much work (FlowControl)?
 *                                ▼
 *                            Sequencer    one entry; the copy, FlowControl and InSyncSet get it
 *                                ▼
 *                            AckQueues    until InSyncSet says that it is where its level wants it
 *                                ▼
 *                             receipt
 * ```
 *
 * Invariants:
 * - a write is queued, then sequenced (it gets its `seq`), then settled, and never goes back;
 * - no write is sequenced while the writer is frozen or opens a term, and nothing is appended after
 *   `close`;
 * - the tenure is checked before a write is sequenced, and before it is acknowledged.
 */

import type { BlobRef, FileChange } from '../../changes/change.js'
import type { WriteIntent } from '../../changes/intent.js'
import { asFailure } from '../../copy/journal/errors.js'
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import { Waiters } from '../../util/waiters.js'
import type { BlobSpool, SpoolContentOptions, StoredContent } from '../content/blob-spool.js'
import type { ContentSource } from '../content/types.js'
import type { FlowControl } from '../in-sync/flow-control.js'
import type { InSyncSet } from '../in-sync/in-sync.js'
import type { StreamSource } from '../in-sync/stream-source.js'
import type { Follower } from '../in-sync/types.js'
import type { AckQueues } from './ack-queues.js'
import type { BatchLoop } from './batch-loop.js'
import { outcomeUnknown } from './errors.js'
import type { WriteIntake } from './intake.js'
import { connectParts } from './parts.js'
import type { RoomWaiter, WriteQueue } from './queue.js'
import type { Sequencer } from './sequencer.js'
import type {
  HeldWrite,
  Receipt,
  WriteOptions,
  WriterCopy,
  WriterOptions,
  WriterStatus,
} from './types.js'

export type { Follower, HeldWrite, Receipt, WriteOptions, WriterOptions, WriterStatus }

/** When a tenure in doubt is looked at again, in milliseconds. */
const tenureRetryMs = 10

export class Writer implements StreamSource {
  readonly #options: WriterOptions
  readonly #copy: WriterCopy
  readonly #spool: BlobSpool
  readonly #queue: WriteQueue
  readonly #intake: WriteIntake
  readonly #queues: AckQueues
  readonly #inSync: InSyncSet
  readonly #flow: FlowControl
  readonly #sequencer: Sequencer
  readonly #batches: BatchLoop
  readonly #unlisten: (() => void)[] = []
  readonly #drained = new Waiters<number>()
  readonly #answered = new Waiters()
  #closed: HotspareError | undefined
  #tenureTimer: TimerHandle | undefined

  /**
   * Opens a term: when it resolves, the term and an empty in-sync set are durable in the journal.
   *
   * @throws the failure of the storage
   */
  static async open(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options)
    // Listen before the term is written, so that a failure elsewhere in the copy, of a checkpoint
    // for example, ends the tenure as well.
    writer.#unlisten.push(options.copy.onFailure((error) => writer.close(error)))
    try {
      writer.#sequencer.appendTerm(options.term, false)
      writer.#sequencer.appendInSync([])
      await options.copy.flush()
    } catch (error) {
      writer.close(asFailure(error))
    }
    if (writer.#closed !== undefined) throw writer.#closed
    writer.#begin()
    return writer
  }

  private constructor(options: WriterOptions) {
    this.#options = options
    this.#copy = options.copy
    const parts = connectParts(options, {
      isClosed: () => this.#closed !== undefined,
      isTenured: () => this.#isTenured(),
      advance: () => this.#advance(),
      whenRoundEnded: () => this.#whenRoundEnded(),
      close: (error) => this.close(error),
    })
    this.#spool = parts.spool
    this.#queue = parts.queue
    this.#intake = parts.intake
    this.#queues = parts.queues
    this.#inSync = parts.inSync
    this.#flow = parts.flow
    this.#sequencer = parts.sequencer
    this.#batches = parts.batches
  }

  #begin(): void {
    this.#unlisten.push(
      this.#copy.onDurable((ordinal) => {
        this.#inSync.local(ordinal)
        this.#advance()
      }),
    )
    this.#inSync.start()
    this.#inSync.local(this.#copy.durableOrdinal)
  }

  /**
   * Opens another term of the same tenure. Writes wait meanwhile, and none is refused.
   *
   * @throws the failure of the storage, or the error that the writer was closed with
   */
  async openTerm(term: Term): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed
    await this.#batches.pausedWhile(() => {
      this.#sequencer.appendTerm(term, true)
      return this.#copy.flush()
    })
    if (this.#closed !== undefined) throw this.#closed
    this.#batches.schedule()
  }

  /** Journals an empty change; see {@link Sequencer.appendFork}. */
  fork(): void {
    if (this.#closed !== undefined) return
    try {
      this.#sequencer.appendFork()
    } catch (error) {
      this.close(asFailure(error))
    }
  }

  /**
   * Appends changes of files that the tree already has, as `found` describes. Answers whether it
   * did: not while the writer is frozen, opens a term or waits for a congested copy. The caller
   * must wait until the journal is durable.
   *
   * @throws the failure of the journal, or the error that the writer was closed with
   */
  adopt(changes: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): boolean {
    if (this.#closed !== undefined) throw this.#closed
    if (this.#batches.isPaused) return false
    this.#sequencer.appendFound(changes, found)
    return true
  }

  /**
   * Queues a write and resolves when it is acknowledged at its level. The intent and the blobs that
   * it names belong to the writer from now on.
   *
   * @returns how the write was acknowledged
   * @throws `NOT_ACTIVE` when the role ended before the write was sequenced
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND` for a class that does not fit
   * @throws `PATH_CONFLICT`, `TX_CONFLICT` when it conflicts with changes before it
   * @throws `PATH_BLOCKED` when something that is not synced occupies the path of a new file
   * @throws `VALUE_INVALID` for the value of an update that is no plain data
   * @throws `QUEUE_FULL` when too much waits
   * @throws `WRITE_TOO_LARGE` when it does not fit into an entry
   * @throws `ABORTED`, `WRITES_BLOCKED` when its signal is aborted
   * @throws `OUTCOME_UNKNOWN` when the role or the storage was lost before it was acknowledged
   * @throws what `apply` threw
   */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt> {
    try {
      if (this.#closed !== undefined) throw this.#closed
      const promise = this.#intake.accept(intent, options)
      this.#batches.schedule()
      return promise
    } catch (error) {
      this.#intake.discard(intent)
      return Promise.reject(error)
    }
  }

  /** Whether this node may act as active now. */
  get mayAct(): boolean {
    return this.#options.tenure.mayAct()
  }

  /** Whether so many bytes may be submitted now, before whoever waits for room. */
  hasRoom(bytes: number): boolean {
    // Whoever comes too late is told by `submit`.
    return this.#closed !== undefined || this.#queue.hasRoom(bytes)
  }

  /** Lets it submit as soon as there is room, unless the writer is closed before. */
  waitForRoom(waiter: RoomWaiter): void {
    this.#queue.waitForRoom(waiter)
  }

  /**
   * Stores content of any size: small content is returned inline; larger content becomes a blob,
   * which is then on this storage and on every follower of the in-sync set.
   */
  store(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    return this.#spool.store(source, options)
  }

  /** Removes blobs that were stored and will not be named by a change. */
  discard(blobs: readonly BlobRef[]): Promise<void> {
    return this.#spool.discard(blobs)
  }

  /** Content above this many bytes becomes a blob. */
  get inlineBytesMax(): number {
    return this.#options.limits.inlineBytesMax
  }

  /** Accepts writes, but sequences none until {@link unfreeze}. */
  freeze(): void {
    this.#batches.freeze()
    this.#sequencer.setQuiet(true)
    this.#checkDrained()
  }

  /** Ends {@link freeze}: the writes that were queued meanwhile are sequenced, in order. */
  unfreeze(): void {
    if (this.#closed !== undefined) return
    this.#batches.unfreeze()
    this.#sequencer.setQuiet(false)
    this.#advance()
  }

  /**
   * Removes the writes that are not sequenced. They and their blobs belong to the caller from now
   * on.
   */
  takeHeld(): HeldWrite[] {
    return this.#intake.takeHeld()
  }

  /**
   * Resolves with the last sequence number as soon as no write waits to be sequenced (or the writer
   * is frozen) and everything is on the local disk.
   */
  drained(): Promise<number> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const drained = this.#drained.wait()
    this.#checkDrained()
    return drained
  }

  /** Resolves as soon as every sequenced write is acknowledged. */
  answered(): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const answered = this.#answered.wait()
    this.#checkAnswered()
    return answered
  }

  /**
   * Journals the acknowledged mark, so that it is not lost when the role is given up. {@link
   * Writer.drained} waits until it is durable.
   */
  mark(): void {
    if (this.#closed === undefined) this.#sequencer.mark()
  }

  get countingMembers(): readonly string[] {
    return this.#inSync.tracker.countingMembers()
  }

  addFollower(id: string, { promotable }: { readonly promotable: boolean }): Follower {
    return this.#inSync.addFollower(id, promotable)
  }

  nobodyInReach(): void {
    this.#inSync.endFirstWait()
  }

  /**
   * Ends the writer. Writes that are not sequenced reject with `error`; writes that are sequenced
   * and not acknowledged reject with `OUTCOME_UNKNOWN`. Idempotent.
   */
  close(error: HotspareError): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#inSync.close()
    this.#flow.close()
    this.#sequencer.close()
    this.#batches.close()
    this.#spool.close(error)
    for (const unlisten of this.#unlisten) unlisten()
    if (this.#tenureTimer !== undefined) this.#options.clock.clearTimer(this.#tenureTimer)
    for (const write of this.#queues.takeAll()) {
      write.unlisten?.()
      write.reject(outcomeUnknown(write.seq, error))
    }
    for (const write of this.#queue.takeAll()) this.#intake.refuse(write, error)
    this.#queue.closeRoom(error)
    this.#drained.reject(error)
    this.#answered.reject(error)
  }

  /** The last change that was acknowledged as being on a standby as well; 0 when none was. */
  get heldSeq(): number {
    return this.#queues.heldSeq
  }

  /** The state of the write path. */
  get status(): WriterStatus {
    const { redundancy } = this.#inSync
    return {
      inSync: this.#inSync.tracker.countingMembers(),
      degraded: redundancy === 'degraded',
      blocked: redundancy === 'blocked',
      frozen: this.#batches.isFrozen,
      pace: this.#flow.pace,
      queuedWrites: this.#queue.length,
      queuedBytes: this.#queue.bytes,
      unacknowledged: this.#queues.waiting,
      followers: this.#inSync.followers(),
    }
  }

  /** A round of batches ended: acknowledges what it can, and answers whether there was anything. */
  #whenRoundEnded(): boolean {
    const answers = this.#release()
    if (!this.#drained.isEmpty) this.#checkDrained()
    return answers
  }

  /** Something progressed: acknowledges what it can, and schedules what is queued. */
  #advance(): void {
    if (this.#closed !== undefined) return
    this.#release()
    if (!this.#queue.isEmpty) this.#batches.schedule()
    if (!this.#drained.isEmpty) this.#checkDrained()
  }

  /**
   * Acknowledges all writes whose entry has reached their level; answers whether there were any.
   */
  #release(): boolean {
    const { thresholds } = this.#inSync.tracker
    const { redundancy } = this.#inSync
    if (this.#queues.waiting === 0 || !this.#queues.canRelease(thresholds, redundancy)) return false
    if (!this.#isTenured()) return false
    this.#queues.release(thresholds, redundancy)
    this.#sequencer.acknowledged()
    this.#checkAnswered()
    return true
  }

  /** Whether this node may act as active now; if not, it is looked at again a little later. */
  #isTenured(): boolean {
    if (this.mayAct) return true
    this.#tenureTimer ??= this.#options.clock.setTimer(tenureRetryMs, () => {
      this.#tenureTimer = undefined
      this.#advance()
    })
    return false
  }

  #checkAnswered(): void {
    if (this.#queues.waiting > 0) return
    this.#answered.resolve()
  }

  #checkDrained(): void {
    if (!this.#queue.isEmpty && !this.#batches.isFrozen) return
    if (this.#copy.durableOrdinal < this.#copy.lastOrdinal) return
    this.#drained.resolve(this.#copy.seq)
  }
}
