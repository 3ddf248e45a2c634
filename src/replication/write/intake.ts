/**
 * Where writes come in: checks them, makes the promise that their caller gets, and queues them.
 *
 * Invariants: what is refused here never happens, and what it stored is removed; every write that
 * is taken in is answered once, by whoever takes it out of the queue, or here.
 */

import type { BlobRef } from '../../changes/change.js'
import { blobsOf, bytesOf, needsSpace, type WriteIntent } from '../../changes/intent.js'
import { aborted, onAbort } from '../../util/abort.js'
import { requireDisk } from '../content/no-room.js'
import type { Standing } from '../in-sync/in-sync.js'
import { type AckQueues, ackOf, durabilityOf, type Write } from './ack-queues.js'
import type { ClassRules } from './class-rules.js'
import { givenUp, queueFull } from './errors.js'
import type { WriteQueue } from './queue.js'
import type { HeldWrite, Receipt, WriteOptions, WriterLimits } from './types.js'

// `new Promise` hands its functions to a callback; one that is shared needs no closure for each
// write.
let givenResolve: (receipt: Receipt) => void
let givenReject: (error: unknown) => void
function give(resolve: (receipt: Receipt) => void, reject: (error: unknown) => void): void {
  givenResolve = resolve
  givenReject = reject
}

/** A change lies in the journal and in its file. */
const copies = 2

/** What an intake works with. */
export interface IntakeOptions {
  readonly rules: ClassRules
  readonly limits: Pick<WriterLimits, 'queueBytesMax' | 'queueWritesMax'>
  readonly queue: WriteQueue
  readonly queues: AckQueues
  readonly inSync: { readonly standing: Standing }
  readonly spool: { discard(blobs: readonly BlobRef[]): Promise<void> }
  /** Why what takes so many bytes of the device is refused; undefined when there is room. */
  noRoomFor(bytes: number): string | undefined
}

export class WriteIntake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /**
   * Takes a write in.
   *
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`, `QUEUE_FULL`, `STORAGE_FULL`, `ABORTED`
   */
  take(intent: WriteIntent, options: WriteOptions | undefined): Promise<Receipt> {
    const level = this.#options.rules.levelFor(intent, options)
    const bytes = bytesOf(intent, this.#options.queue.valueBytes)
    const signal = options?.signal
    if (signal?.aborted === true) throw aborted(signal)
    this.#requireRoom(bytes)
    if (needsSpace(intent)) requireDisk(this.#options.noRoomFor(copies * bytes))
    const promise = new Promise<Receipt>(give)
    const write: Write = {
      intent,
      level,
      bytes,
      signal,
      resolve: givenResolve,
      reject: givenReject,
      seq: 0,
      outcome: undefined,
      gone: false,
      unlisten: undefined,
    }
    this.#options.queue.push(write)
    if (signal !== undefined) this.#listen(write, signal)
    return promise
  }

  /** Answers a write that never gets a place. */
  refuse(write: Write, error: unknown): void {
    write.unlisten?.()
    this.discard(write.intent)
    write.reject(error)
  }

  /** Removes what an intent refers to: it will not happen. */
  discard(intent: WriteIntent): void {
    if (intent.kind === 'update') return
    const blobs = blobsOf(intent)
    if (blobs.length > 0) void this.#options.spool.discard(blobs)
  }

  /**
   * Takes out what has no place; whoever takes it answers it, hears its signal, and removes what it
   * stored.
   */
  takeHeld(): HeldWrite[] {
    return this.#options.queue.takeAll().map((write) => {
      write.unlisten?.()
      const { intent, level, signal, resolve, reject } = write
      return { intent, ack: ackOf(level), durability: durabilityOf(level), signal, resolve, reject }
    })
  }

  #requireRoom(bytes: number): void {
    const { limits, queue, queues } = this.#options
    if (queue.length + queues.waiting >= limits.queueWritesMax) {
      throw queueFull('queueWritesMax', limits.queueWritesMax)
    }
    if (!queue.fits(bytes)) throw queueFull('queueBytesMax', limits.queueBytesMax)
  }

  #listen(write: Write, signal: AbortSignal): void {
    write.unlisten = onAbort(signal, () => {
      write.unlisten = undefined
      if (write.seq > 0) {
        write.gone = true
        const isBlocked = this.#options.inSync.standing === 'blocked' && write.level > 1
        write.reject(givenUp(write.seq, isBlocked, signal))
        return
      }
      this.#options.queue.giveUp(write)
      this.refuse(write, aborted(signal))
    })
  }
}
