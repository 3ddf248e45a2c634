/**
 * The active's write path: takes writes in, gives them their place in batches that form by
 * themselves, and answers each when its entry is held where its level says.
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
import type { FileStat } from '../../interfaces/storage.js'
import { BlobSpool, type Content, type ContentOptions } from '../content/blob-spool.js'
import type { ContentSource } from '../content/types.js'
import { FlowControl } from '../in-sync/flow-control.js'
import { InSyncSet } from '../in-sync/in-sync.js'
import type { StreamSource } from '../in-sync/stream-source.js'
import type { Follower } from '../in-sync/types.js'
import { AckQueues } from './ack-queues.js'
import { ClassRules } from './class-rules.js'
import { outcomeUnknown } from './errors.js'
import { FlushPacing } from './flush-pacing.js'
import { WriteIntake } from './intake.js'
import { NewPaths } from './path-check.js'
import type { WriteQueue } from './queue.js'
import { Sequencer } from './sequencer.js'
import type {
  HeldWrite,
  Receipt,
  WriteOptions,
  WriterCopy,
  WriterOptions,
  WriterStatus,
} from './types.js'
import type { WriteGate } from './write-gate.js'

export type { Follower, HeldWrite, Receipt, WriteOptions, WriterOptions, WriterStatus }

/** Entries appended in one go before the event loop gets its turn. */
const entriesPerTurnMax = 4
/** When a tenure in doubt is looked at again, in milliseconds. */
const tenureRetryMs = 10

/** See the head of the file. */
export class Writer implements WriteGate, StreamSource {
  readonly #options: WriterOptions
  readonly #copy: WriterCopy
  readonly #intake: WriteIntake
  readonly #queue: WriteQueue
  readonly #queues: AckQueues = new AckQueues()
  readonly #newPaths: NewPaths
  readonly #sequencer: Sequencer
  readonly #inSync: InSyncSet
  readonly #spool: BlobSpool
  readonly #flow: FlowControl
  readonly #unlisten: (() => void)[] = []
  readonly #pacing = new FlushPacing(() => this.#flush())
  #closed: HotspareError | undefined
  #frozen = false
  #opening = 0
  #congested = false
  #tenureTimer: TimerHandle | undefined
  #drainWaiters: { resolve(seq: number): void; reject(error: unknown): void }[] = []
  #answerWaiters: { resolve(): void; reject(error: unknown): void }[] = []

  /**
   * Opens a term: when it resolves, the term and an empty in-sync set stand durably in the journal.
   *
   * @throws the failure of the storage
   */
  static async open(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options)
    // From here on: what fails beside the journal while the term is written down, a checkpoint say, ends the tenure too.
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
    const { copy, clock, limits, term, members, nodeId } = options
    const { objects } = options.storage
    this.#spool = new BlobSpool({
      objects,
      random: options.random,
      limits,
      distribution: options.blobs,
      noRoomFor: (bytes) => options.noRoomFor?.(bytes),
    })
    this.#intake = new WriteIntake({
      rules: new ClassRules(options.policy),
      limits,
      valueBytes: () => this.#sequencer.valueBytes,
      unacknowledged: () => this.#queues.waiting,
      isBlocked: (level) => this.#inSync.standing === 'blocked' && level > 1,
      noRoomFor: (bytes) => options.noRoomFor?.(bytes),
      discard: (blobs) => this.#spool.discard(blobs),
    })
    this.#queue = this.#intake.queue
    const alone = members.every(({ id, promotable }) => id === nodeId || !promotable)
    this.#inSync = new InSyncSet({
      clock,
      degradeAfterMs: options.degradeAfterMs,
      onNoStandby: options.onNoStandby,
      degraded: options.degraded || alone,
      lastOrdinal: copy.lastOrdinal,
      lastSeq: copy.seq,
      append: (set) => (this.#closed === undefined ? this.#sequencer.appendInSync(set) : undefined),
      emit: (event) => options.emit(event),
      changed: () => this.#advance(),
    })
    this.#newPaths = new NewPaths({
      copy,
      queue: this.#queue,
      writesMax: limits.batchChangesMax,
      ready: () => this.#schedule(),
    })
    const inSync = this.#inSync
    const queue = this.#queue
    const flow = new FlowControl({
      clock,
      degradeAfterMs: options.degradeAfterMs,
      isOn: options.flowControl === 'redundancy' && !alone,
      standbys: () => inSync.standbys(),
      isGone: (id) => inSync.isGone(id),
      contentBytes: () => copy.contentBytes,
      journalBytesMax: copy.journalBytesMax,
      nextWrite: () => queue.nextNumber,
      changed: (pace, id) => {
        if (pace === undefined) options.emit({ name: 'writersReleased', id })
        else options.emit({ name: 'writersPaced', pace })
      },
      resume: () => {
        if (!queue.isEmpty) this.#schedule()
      },
    })
    this.#flow = flow
    this.#sequencer = new Sequencer({
      copy,
      clock,
      limits,
      term,
      queue: this.#queue,
      queues: this.#queues,
      newPaths: this.#newPaths,
      refuse: (write, error) => this.#intake.refuse(write, error),
      appended: (ordinal, lastSeq, bytes, changes) => {
        inSync.appended(ordinal, lastSeq, bytes)
        flow.appended(changes, bytes)
      },
      failed: (error) => this.close(error),
      members: () => inSync.tracker.members(),
    })
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
    this.#opening += 1
    try {
      this.#sequencer.appendTerm(term, true)
      await this.#copy.flush()
    } finally {
      this.#opening -= 1
    }
    if (this.#closed !== undefined) throw this.#closed
    this.#schedule()
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
   * Gives changes of files that the own tree has already, as `found` says, their places at once, and says whether it did: not
   * while the writer is frozen or opens a term. The caller waits for the journal by itself.
   *
   * @throws the failure of the journal, or what the writer was closed with
   */
  adopt(changes: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): boolean {
    if (this.#closed !== undefined) throw this.#closed
    if (this.#isHeld) return false
    this.#sequencer.appendFound(changes, found)
    return true
  }

  /**
   * Gives a write its place and resolves when it is acknowledged at its level. The intent, with all
   * that it refers to, belongs to the writer from here on.
   *
   * @returns what the write really got
   * @throws `NOT_ACTIVE` when this node may not act as active; it makes sure of that before a write gets its place
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
      this.#schedule()
      return promise
    } catch (error) {
      this.#intake.discard(intent)
      return Promise.reject(error)
    }
  }

  /** Undefined when so many bytes may be submitted now; else a promise for when to ask `again`. */
  room(bytes: number, again = false): Promise<void> | undefined {
    // Whoever comes too late is told by `submit`.
    return this.#closed === undefined ? this.#queue.room(bytes, again) : undefined
  }

  /**
   * Takes in content of any size: small content is returned, larger content becomes a blob, which
   * then is on this storage and with every follower of the in-sync set.
   */
  store(source: ContentSource, options: ContentOptions): Promise<Content> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    return this.#spool.store(source, options)
  }

  /** Reads from a blob that was stored. */
  readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array> {
    return this.#spool.read(blob, offset, length)
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
    this.#frozen = true
    this.#sequencer.setQuiet(true)
    this.#checkDrained()
  }

  /** Ends {@link freeze}: the writes that came in meanwhile get their places, in order. */
  unfreeze(): void {
    if (this.#closed !== undefined) return
    this.#frozen = false
    this.#sequencer.setQuiet(false)
    this.#advance()
  }

  /** Takes out the writes without a place; they and all that they refer to belong to whoever takes them. */
  takeHeld(): HeldWrite[] {
    return this.#intake.takeHeld()
  }

  /**
   * Resolves with the last sequence number as soon as nothing waits for a place (a frozen writer
   * gives none) and everything is on the local disk.
   */
  drained(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed)
        return
      }
      this.#drainWaiters.push({ resolve, reject })
      this.#checkDrained()
    })
  }

  /** Resolves as soon as every write that has its place is acknowledged at its level. */
  answered(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed)
        return
      }
      this.#answerWaiters.push({ resolve, reject })
      this.#checkAnswered()
    })
  }

  /** Journals what is acknowledged by now: whoever gives the role up leaves it written. {@link Writer.drained} waits for it. */
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

  /** Looks again at a tenure that was in doubt. It is looked at by itself, too, a little later. */
  recheck(): void {
    this.#advance()
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
    this.#spool.close(error)
    for (const unlisten of this.#unlisten) unlisten()
    if (this.#tenureTimer !== undefined) this.#options.clock.clearTimer(this.#tenureTimer)
    for (const write of this.#queues.takeAll()) {
      write.unlisten?.()
      write.reject(outcomeUnknown(write.seq, error))
    }
    for (const write of this.#queue.takeAll()) this.#intake.refuse(write, error)
    this.#queue.closeRoom(error)
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(error)
    for (const waiter of this.#answerWaiters.splice(0)) waiter.reject(error)
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
      frozen: this.#frozen,
      pace: this.#flow.pace,
      queuedWrites: this.#queue.length,
      queuedBytes: this.#queue.bytes,
      unacknowledged: this.#queues.waiting,
      followers: this.#inSync.followers(),
    }
  }

  #schedule(): void {
    if (this.#closed === undefined && !this.#isHeld) this.#pacing.schedule()
  }

  get #isHeld(): boolean {
    return this.#frozen || this.#opening > 0 || this.#congested
  }

  #flush(): void {
    if (this.#closed !== undefined || this.#isHeld || !this.#isTenured()) return
    for (let entries = 0; !this.#queue.isEmpty; entries += 1) {
      if (this.#copy.congested) {
        void this.#waitForCopy()
        break
      }
      if (this.#newPaths.areLookedAt() || this.#gathers()) break
      if (entries === entriesPerTurnMax) {
        this.#pacing.nextTurn()
        break
      }
      const workMax = this.#flow.allowance(this.#queue.firstNumber)
      if (workMax === undefined) break
      this.#sequencer.appendBatch(workMax)
      if (this.#closed !== undefined) return
    }
    this.#queue.announceRoom()
    if (this.#release()) this.#pacing.answeredAtOnce()
    if (this.#drainWaiters.length > 0) this.#checkDrained()
  }

  /** Whether writes should gather while the disk works: they would wait for it anyway. */
  #gathers(): boolean {
    const { batchChangesMax, batchBytesMax } = this.#options.limits
    return (
      this.#queue.waitsForDisk &&
      this.#copy.durableOrdinal < this.#copy.lastOrdinal &&
      this.#queue.length < batchChangesMax &&
      this.#queue.bytes < batchBytesMax
    )
  }

  async #waitForCopy(): Promise<void> {
    this.#congested = true
    try {
      await this.#copy.decongested()
    } catch (error) {
      this.close(asFailure(error))
    }
    this.#congested = false
    this.#schedule()
  }

  /** Something moved: answers whom it can, and goes on with what waits. */
  #advance(): void {
    if (this.#closed !== undefined) return
    this.#release()
    if (!this.#queue.isEmpty) this.#schedule()
    if (this.#drainWaiters.length > 0) this.#checkDrained()
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
    try {
      this.#options.checkTenure()
      return true
    } catch {
      this.#tenureTimer ??= this.#options.clock.setTimer(tenureRetryMs, () => {
        this.#tenureTimer = undefined
        this.#advance()
      })
      return false
    }
  }

  #checkAnswered(): void {
    if (this.#queues.waiting > 0) return
    for (const waiter of this.#answerWaiters.splice(0)) waiter.resolve()
  }

  #checkDrained(): void {
    if (!this.#queue.isEmpty && !this.#frozen) return
    if (this.#copy.durableOrdinal < this.#copy.lastOrdinal) return
    for (const waiter of this.#drainWaiters.splice(0)) waiter.resolve(this.#copy.seq)
  }
}
