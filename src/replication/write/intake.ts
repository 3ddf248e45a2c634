/**
 * Accepts writes: checks each, makes the promise that its caller gets, and queues it.
 *
 * Invariants: a write that is refused here never happens, and its blobs are removed; an accepted
 * write is settled exactly once, by whoever removes it from the queue, or here.
 */

import type { BlobRef } from '../../changes/change.js'
import { blobsOf, bytesOf, needsSpace, type WriteIntent } from '../../changes/intent.js'
import { aborted, onAbort } from '../../util/abort.js'
import { requireSpace } from '../content/no-room.js'
import type { Redundancy } from '../in-sync/in-sync.js'
import { type AckQueues, ackOfLevel, durabilityOfLevel, type Write } from './ack-queues.js'
import type { ClassRules } from './class-rules.js'
import { givenUp, queueFull } from './errors.js'
import type { WriteQueue } from './queue.js'
import type { HeldWrite, Receipt, WriteOptions, WriterLimits } from './types.js'

// `new Promise` passes its functions to a callback; a shared callback saves a closure per write.
let givenResolve: (receipt: Receipt) => void
let givenReject: (error: unknown) => void
function give(resolve: (receipt: Receipt) => void, reject: (error: unknown) => void): void {
  givenResolve = resolve
  givenReject = reject
}

/** A change needs space twice: in the journal and in its file. */
const copies = 2

/** What an intake depends on. */
export interface IntakeOptions {
  readonly rules: ClassRules
  readonly limits: Pick<WriterLimits, 'queueBytesMax' | 'queueWritesMax'>
  readonly queue: WriteQueue
  readonly queues: AckQueues
  readonly inSync: { readonly redundancy: Redundancy }
  readonly spool: { discard(blobs: readonly BlobRef[]): Promise<void> }
  /** Why something of this many bytes is refused for lack of disk space; undefined when it fits. */
  noRoomFor(bytes: number): string | undefined
}

export class WriteIntake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /**
   * Accepts a write and queues it.
   *
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`, `QUEUE_FULL`, `STORAGE_FULL`, `ABORTED`
   */
  accept(intent: WriteIntent, options: WriteOptions | undefined): Promise<Receipt> {
    const level = this.#options.rules.levelFor(intent, options)
    const bytes = bytesOf(intent, this.#options.queue.valueBytes)
    const signal = options?.signal
    if (signal?.aborted === true) throw aborted(signal)
    this.#requireRoom(bytes)
    if (needsSpace(intent)) requireSpace(this.#options.noRoomFor(copies * bytes))
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

  /** Rejects a write that is never sequenced, and removes its blobs. */
  refuse(write: Write, error: unknown): void {
    write.unlisten?.()
    this.discard(write.intent)
    write.reject(error)
  }

  /** Removes the blobs of an intent that will not happen. */
  discard(intent: WriteIntent): void {
    if (intent.kind === 'update') return
    const blobs = blobsOf(intent)
    if (blobs.length > 0) void this.#options.spool.discard(blobs)
  }

  /**
   * Removes all writes that are not sequenced. The caller becomes responsible for settling them,
   * for their signals and for their blobs.
   */
  takeHeld(): HeldWrite[] {
    return this.#options.queue.takeAll().map((write) => {
      write.unlisten?.()
      const { intent, level, signal, resolve, reject } = write
      return {
        intent,
        ack: ackOfLevel(level),
        durability: durabilityOfLevel(level),
        signal,
        resolve,
        reject,
      }
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
        const isBlocked = this.#options.inSync.redundancy === 'blocked' && write.level > 1
        write.reject(givenUp(write.seq, isBlocked, signal))
        return
      }
      this.#options.queue.giveUp(write)
      this.refuse(write, aborted(signal))
    })
  }
}
