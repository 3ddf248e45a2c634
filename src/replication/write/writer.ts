/**
 * The active's write path: takes writes in, gives them their place in batches that form by
 * themselves, and answers each when its entry is held where its level says.
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
 * - a write is queued, then has its place (`seq`), then is answered; it never goes back;
 * - no change gets a place while the writer is frozen or opens a term, and nothing is appended
 *   after `close`;
 * - the tenure is checked when a write comes in, before it gets its place, and before it is
 *   acknowledged.
 */

import type { BlobRef, FileChange } from '../../changes/change.js'
import type { WriteIntent } from '../../changes/intent.js'
import { asFailure } from '../../copy/journal/errors.js'
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import { Waiters } from '../../util/waiters.js'
import type { BlobSpool, Content, ContentOptions } from '../content/blob-spool.js'
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
   * Opens a term: when it resolves, the term and an empty in-sync set stand durably in the journal.
   *
   * @throws the failure of the storage
   */
  static async open(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options)
    // From here on: what fails beside the journal while the term is written down, a checkpoint say,
    // ends the tenure too.
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
      whenPlaced: () => this.#whenPlaced(),
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
   * Opens a further term of the same tenure. Writes wait meanwhile, and none is refused.
   *
   * @throws the failure of the storage, or what the writer was closed with
   */
  async openTerm(term: Term): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed
    await this.#batches.heldFor(() => {
      this.#sequencer.appendTerm(term, true)
      return this.#copy.flush()
    })
    if (this.#closed !== undefined) throw this.#closed
    this.#batches.schedule()
  }

  /** Journals a change that changes nothing. */
  fork(): void {
    if (this.#closed !== undefined) return
    try {
      this.#sequencer.appendFork()
    } catch (error) {
      this.close(asFailure(error))
    }
  }

  /**
   * Gives changes of files that the own tree has already, as `found` says, their places at once,
   * and says whether it did: not while the writer is frozen or opens a term. The caller waits for
   * the journal by itself.
   *
   * @throws the failure of the journal, or what the writer was closed with
   */
  adopt(changes: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): boolean {
    if (this.#closed !== undefined) throw this.#closed
    if (this.#batches.isHeld) return false
    this.#sequencer.appendFound(changes, found)
    return true
  }

  /**
   * Gives a write its place and resolves when it is acknowledged at its level. The intent, with all
   * that it refers to, belongs to the writer from here on.
   *
   * @returns what the write really got
   * @throws `NOT_ACTIVE` when this node may not act as active; it makes sure of that before a write
   * gets its place
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND` for a class that does not fit
   * @throws `PATH_CONFLICT`, `TX_CONFLICT` when what stands before it does not allow it
   * @throws `PATH_BLOCKED` when something that is not synced is in the way of a new file
   * @throws `VALUE_INVALID` for the value of an update that is no plain data
   * @throws `QUEUE_FULL` when too much waits
   * @throws `WRITE_TOO_LARGE` when it fits no entry
   * @throws `ABORTED`, `WRITES_BLOCKED` when its signal aborted
   * @throws `OUTCOME_UNKNOWN` when the role or the storage was lost before it was acknowledged
   * @throws what `apply` threw
   */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt> {
    try {
      if (this.#closed !== undefined) throw this.#closed
      const promise = this.#intake.take(intent, options)
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
   * Takes in content of any size: small content is returned, larger content becomes a blob, which
   * then is on this storage and with every follower of the in-sync set.
   */
  store(source: ContentSource, options: ContentOptions): Promise<Content> {
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

  /** Lets writes come in, and gives none of them a place. */
  freeze(): void {
    this.#batches.freeze()
    this.#sequencer.setQuiet(true)
    this.#checkDrained()
  }

  /** Ends {@link freeze}: the writes that came in meanwhile get their places, in order. */
  unfreeze(): void {
    if (this.#closed !== undefined) return
    this.#batches.unfreeze()
    this.#sequencer.setQuiet(false)
    this.#advance()
  }

  /**
   * Takes out the writes without a place; they and all that they refer to belong to whoever takes
   * them.
   */
  takeHeld(): HeldWrite[] {
    return this.#intake.takeHeld()
  }

  /**
   * Resolves with the last sequence number as soon as nothing waits for a place (a frozen writer
   * gives none) and everything is on the local disk.
   */
  drained(): Promise<number> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const drained = this.#drained.wait()
    this.#checkDrained()
    return drained
  }

  /** Resolves as soon as every write that has its place is acknowledged at its level. */
  answered(): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const answered = this.#answered.wait()
    this.#checkAnswered()
    return answered
  }

  /**
   * Journals what is acknowledged by now: whoever gives the role up leaves it written. {@link
   * Writer.drained} waits for it.
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
   * Ends the writer. Writes without a place reject with `error`; those with one that are not
   * acknowledged reject with `OUTCOME_UNKNOWN`. Idempotent.
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

  /** The last change that was acknowledged as held by a standby too; 0 when none was. */
  get heldSeq(): number {
    return this.#queues.heldSeq
  }

  /** How the write path stands. */
  get status(): WriterStatus {
    const { standing } = this.#inSync
    return {
      inSync: this.#inSync.tracker.countingMembers(),
      degraded: standing === 'degraded',
      blocked: standing === 'blocked',
      frozen: this.#batches.isFrozen,
      pace: this.#flow.pace,
      queuedWrites: this.#queue.length,
      queuedBytes: this.#queue.bytes,
      unacknowledged: this.#queues.waiting,
      followers: this.#inSync.followers(),
    }
  }

  /** Answers whom it can; says whether there was anybody. */
  #whenPlaced(): boolean {
    const answers = this.#release()
    if (!this.#drained.isEmpty) this.#checkDrained()
    return answers
  }

  /** Something moved: answers whom it can, and goes on with what waits. */
  #advance(): void {
    if (this.#closed !== undefined) return
    this.#release()
    if (!this.#queue.isEmpty) this.#batches.schedule()
    if (!this.#drained.isEmpty) this.#checkDrained()
  }

  /** Answers everybody whose entry is held where it should be; says whether there was anybody. */
  #release(): boolean {
    const { thresholds } = this.#inSync.tracker
    const { standing } = this.#inSync
    if (this.#queues.waiting === 0 || !this.#queues.canRelease(thresholds, standing)) return false
    if (!this.#isTenured()) return false
    this.#queues.release(thresholds, standing)
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
