/**
 * The active's write path: takes writes in, gives them their place in batches that form by themselves, and
 * answers each when its entry is held where its level says.
 *
 * Invariants:
 * - a write is queued, then has its place (`seq`), then is answered; it never goes back;
 * - no change gets a place while the writer is frozen or opens a term, and nothing is appended after `close`;
 * - the tenure is checked when a write comes in, before it gets its place, and before it is acknowledged.
 */
import { nextTick } from 'node:process'
import { HotspareError } from '../errors.js'
import type { TimerHandle } from '../interfaces/clock.js'
import { AckQueues, ackOf, durabilityOf, type Write } from './ack-queues.js'
import { BlobSpool, type Content, type ContentOptions, type ContentSource } from './blob-spool.js'
import type { BlobRef } from './change.js'
import { ClassRules } from './class-rules.js'
import { InSyncSet } from './in-sync.js'
import { blobsOf, bytesOf, type WriteIntent } from './intent.js'
import type { Term } from './position.js'
import { asFailure, Sequencer } from './sequencer.js'
import { queueFull, WriteQueue } from './write-queue.js'
import type {
  Follower,
  HeldWrite,
  Receipt,
  WriteOptions,
  WriterCopy,
  WriterOptions,
  WriterStatus,
} from './writer-types.js'

/** Entries appended in one go before the event loop gets its turn. */
const entriesPerTurnMax = 4
/** Flushes in one turn of the event loop, where acknowledgements need none: others want to live, too. */
const flushesPerTurnMax = 64
/** When a tenure in doubt is looked at again, in milliseconds. */
const tenureRetryMs = 10

// `new Promise` hands its functions to a callback; one that is shared needs no closure for each write.
let givenResolve: (receipt: Receipt) => void
let givenReject: (error: unknown) => void
function give(resolve: (receipt: Receipt) => void, reject: (error: unknown) => void): void {
  givenResolve = resolve
  givenReject = reject
}

/** See the head of the file. */
export class Writer {
  readonly #options: WriterOptions
  readonly #copy: WriterCopy
  readonly #rules: ClassRules
  readonly #queue: WriteQueue
  readonly #queues: AckQueues = new AckQueues()
  readonly #sequencer: Sequencer
  readonly #inSync: InSyncSet
  readonly #spool: BlobSpool
  readonly #unlisten: (() => void)[] = []
  // Bound once. The flush stands behind everything that is ready to run now, so that all callers who were
  // answered together are in the next batch together; a lone write waits for nobody.
  readonly #flush = (): void => this.#flushQueue()
  readonly #arm = (): void => nextTick(this.#flush)
  readonly #newTurn = (): void => {
    this.#flushes = 0
  }
  #closed: HotspareError | undefined
  #frozen = false
  #opening = 0
  #congested = false
  #scheduled = false
  #flushes = 0
  #tenureTimer: TimerHandle | undefined
  #drainWaiters: { resolve(seq: number): void; reject(error: unknown): void }[] = []

  /**
   * Opens a term: when it resolves, the term and an empty in-sync set stand durably in the journal.
   *
   * @throws the failure of the storage
   */
  static async open(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options)
    try {
      writer.#sequencer.appendTerm(options.term)
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
    this.#rules = new ClassRules(options.policy)
    const { copy, clock, limits, term, members, nodeId } = options
    this.#queue = new WriteQueue(limits.queueBytesMax, limits.queueWritesMax)
    this.#spool = new BlobSpool(options.storage.objects, options.random, limits)
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
    const inSync = this.#inSync
    this.#sequencer = new Sequencer({
      copy,
      clock,
      limits,
      term,
      queue: this.#queue,
      queues: this.#queues,
      refuse: (write, error) => this.#refuse(write, error),
      appended: (ordinal, lastSeq, bytes) => inSync.appended(ordinal, lastSeq, bytes),
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
      this.#copy.onFailure((error) => this.close(error)),
    )
    this.#inSync.local(this.#copy.durableOrdinal)
    this.#inSync.start()
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
      this.#sequencer.appendTerm(term)
      await this.#copy.flush()
    } finally {
      this.#opening -= 1
    }
    if (this.#closed !== undefined) throw this.#closed
    this.#schedule()
  }

  /**
   * Gives a write its place and resolves when it is acknowledged at its level. The intent, with all that it
   * refers to, belongs to the writer from here on.
   *
   * @returns what the write really got
   * @throws `NOT_ACTIVE` when this node may not act as active
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND` for a class that does not fit
   * @throws `PATH_CONFLICT`, `TX_CONFLICT` when what stands before it does not allow it
   * @throws `QUEUE_FULL` when too much waits
   * @throws `WRITE_TOO_LARGE` when it fits no entry
   * @throws `ABORTED`, `WRITES_BLOCKED` when its signal aborted
   * @throws `OUTCOME_UNKNOWN` when the role or the storage was lost before it was acknowledged
   * @throws what `apply` threw
   */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt> {
    let level: number
    let bytes: number
    try {
      if (this.#closed !== undefined) throw this.#closed
      this.#options.checkTenure()
      level = this.#rules.levelFor(intent, options)
      bytes = bytesOf(intent, this.#sequencer.valueBytes)
      this.#requireRoom(bytes, options?.signal)
    } catch (error) {
      this.#discardOf(intent)
      return Promise.reject(error)
    }
    const promise = new Promise<Receipt>(give)
    const write: Write = {
      intent,
      level,
      bytes,
      resolve: givenResolve,
      reject: givenReject,
      seq: 0,
      outcome: undefined,
      gone: false,
      unlisten: undefined,
    }
    this.#queue.push(write)
    if (options?.signal !== undefined) this.#listen(write, options.signal)
    if (!this.#scheduled) this.#schedule()
    return promise
  }

  /** Undefined when so many bytes may be submitted now; else a promise for when to ask `again`. */
  room(bytes: number, again = false): Promise<void> | undefined {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    return this.#queue.room(bytes, again)
  }

  /**
   * Takes in content of any size: small content is returned, larger content becomes a blob, which then is on
   * this storage and with every follower of the in-sync set.
   */
  async store(source: ContentSource, options: ContentOptions): Promise<Content> {
    const content = await this.#spool.collect(source, options)
    const { blob } = content
    if (blob === undefined) return content
    try {
      if (options.durability === 'disk') {
        await this.#options.storage.objects.sync('blobs', [blob.id])
      }
      options.signal?.throwIfAborted()
      await this.#options.blobs.distribute(blob)
      return content
    } catch (error) {
      await this.#spool.discard([blob])
      throw options.signal?.aborted === true ? aborted(options.signal) : error
    }
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

  /** Takes out the writes without a place; whoever takes them answers them. */
  takeHeld(): HeldWrite[] {
    return this.#queue.takeAll().map((write) => ({
      intent: write.intent,
      ack: ackOf(write.level),
      durability: durabilityOf(write.level),
      resolve: (receipt) => {
        write.unlisten?.()
        write.resolve(receipt)
      },
      reject: (error) => {
        write.unlisten?.()
        write.reject(error)
      },
    }))
  }

  /**
   * Resolves with the last sequence number as soon as nothing waits for a place (a frozen writer gives none)
   * and everything is on the local disk.
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

  /** A follower's stream begins. Only one that is promotable and answers itself can join the in-sync set. */
  addFollower(id: string, options: { promotable: boolean; directAck: boolean }): Follower {
    return this.#inSync.addFollower(id, options.promotable && options.directAck)
  }

  /** Reads from a blob that was stored and is not named by a change yet. */
  readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array> {
    return this.#options.storage.objects.read('blobs', blob.id, offset, length)
  }

  /** Removes blobs that were stored and will not be named. */
  discard(blobs: readonly BlobRef[]): Promise<void> {
    return this.#spool.discard(blobs)
  }

  /** Content above this many bytes becomes a blob. */
  get inlineBytesMax(): number {
    return this.#options.limits.inlineBytesMax
  }

  /** Looks again at a tenure that was in doubt. It is looked at by itself, too, a little later. */
  recheck(): void {
    this.#advance()
  }

  /**
   * Ends the writer. Writes without a place reject with `error`; those with one that are not acknowledged
   * reject with `OUTCOME_UNKNOWN`. Idempotent.
   */
  close(error: HotspareError): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#inSync.close()
    this.#sequencer.close()
    for (const unlisten of this.#unlisten) unlisten()
    if (this.#tenureTimer !== undefined) this.#options.clock.clearTimer(this.#tenureTimer)
    for (const write of this.#queues.takeAll()) {
      write.unlisten?.()
      write.reject(outcomeUnknown(write.seq, error))
    }
    for (const write of this.#queue.takeAll()) this.#refuse(write, error)
    this.#queue.closeRoom(error)
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(error)
  }

  /** How the write path stands. */
  get status(): WriterStatus {
    const { standing } = this.#inSync
    return {
      inSync: this.#inSync.tracker.countingMembers(),
      degraded: standing === 'degraded',
      blocked: standing === 'blocked',
      frozen: this.#frozen,
      queuedWrites: this.#queue.length,
      queuedBytes: this.#queue.bytes,
      unacknowledged: this.#queues.waiting,
      followers: this.#inSync.followers(),
    }
  }

  #requireRoom(bytes: number, signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw aborted(signal)
    const { queueBytesMax, queueWritesMax } = this.#options.limits
    if (this.#queue.length + this.#queues.waiting >= queueWritesMax) {
      throw queueFull('queueWritesMax', queueWritesMax)
    }
    if (!this.#queue.fits(bytes)) throw queueFull('queueBytesMax', queueBytesMax)
  }

  #listen(write: Write, signal: AbortSignal): void {
    const abort = (): void => {
      write.unlisten = undefined
      if (write.seq === 0) {
        this.#queue.giveUp(write)
        this.#refuse(write, aborted(signal))
        return
      }
      write.gone = true
      const blocked = this.#inSync.standing === 'blocked' && write.level > 1
      write.reject(givenUp(write.seq, blocked, signal))
    }
    signal.addEventListener('abort', abort, { once: true })
    write.unlisten = () => signal.removeEventListener('abort', abort)
  }

  /** Answers a write that never got a place; its blobs are nobody's any more. */
  #refuse(write: Write, error: unknown): void {
    write.unlisten?.()
    this.#discardOf(write.intent)
    write.reject(error)
  }

  #discardOf(intent: WriteIntent): void {
    if (intent.kind === 'update') return
    const blobs = blobsOf(intent)
    if (blobs.length > 0) void this.#spool.discard(blobs)
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed !== undefined || this.#isHeld) return
    this.#scheduled = true
    if (this.#flushes >= flushesPerTurnMax) setImmediate(this.#flush)
    else queueMicrotask(this.#arm)
  }

  get #isHeld(): boolean {
    return this.#frozen || this.#opening > 0 || this.#congested
  }

  #flushQueue(): void {
    this.#scheduled = false
    if (this.#closed !== undefined || this.#isHeld || !this.#isTenured()) return
    for (let entries = 0; !this.#queue.isEmpty; entries += 1) {
      if (this.#copy.congested) {
        void this.#waitForCopy()
        break
      }
      if (this.#gathers()) break
      if (entries === entriesPerTurnMax) {
        this.#scheduled = true
        setImmediate(this.#flush)
        break
      }
      this.#sequencer.appendBatch()
      if (this.#closed !== undefined) return
    }
    this.#queue.announceRoom()
    if (this.#drainWaiters.length > 0) this.#checkDrained()
    if (!this.#release()) return
    // Somebody was answered without a turn of the event loop, and may come back at once.
    this.#flushes += 1
    if (this.#flushes === 1) setImmediate(this.#newTurn)
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

  #checkDrained(): void {
    if (!this.#queue.isEmpty && !this.#frozen) return
    if (this.#copy.durableOrdinal < this.#copy.lastOrdinal) return
    for (const waiter of this.#drainWaiters.splice(0)) waiter.resolve(this.#copy.seq)
  }
}

function aborted(signal: AbortSignal): HotspareError {
  return new HotspareError('ABORTED', '', { cause: signal.reason })
}

function givenUp(seq: number, blocked: boolean, signal: AbortSignal): HotspareError {
  return new HotspareError(
    blocked ? 'WRITES_BLOCKED' : 'ABORTED',
    `the write was given up while it waited for its acknowledgement; it stands in the journal at ${seq}`,
    { cause: signal.reason, retryable: false, details: { seq } },
  )
}

function outcomeUnknown(seq: number, cause: HotspareError): HotspareError {
  return new HotspareError(
    'OUTCOME_UNKNOWN',
    `the write stands in this node's journal at ${seq}, and was not acknowledged before the role ended`,
    { cause, details: { seq } },
  )
}
