/**
 * The entrance of all writes: they go to the writer while this node is active, are held during a
 * planned switchover, or are refused.
 *
 * Invariant: a write reaches the writer only through `submit`, the one place that decides between
 * writing, holding and refusing.
 */

import type { BlobRef } from '../../changes/change.js'
import { blobsOf, bytesOf, type WriteIntent } from '../../changes/intent.js'
import type { ObjectStore } from '../../interfaces/object-store.js'
import {
  removeQuietly,
  type SpoolContentOptions,
  type StoredContent,
} from '../../replication/content/blob-spool.js'
import type { ContentSource } from '../../replication/content/types.js'
import type { RoomWaiter } from '../../replication/write/queue.js'
import { type Receipt, type WriteOptions, writerLimits } from '../../replication/write/types.js'
import type { Writer } from '../../replication/write/writer.js'
import { aborted, onAbort } from '../../util/abort.js'

/** What a gate leads to. */
export interface GateSource {
  /** The writer while this node is active. */
  readonly writer: Writer | undefined
  /** The store of blobs; undefined while the node does not run. */
  readonly objects: ObjectStore | undefined
  /** Why the node ended; undefined before that. */
  readonly ended: Error | undefined
  /** Holds a write for the next active; undefined when none is expected. */
  hold(intent: WriteIntent, options: WriteOptions): Promise<Receipt> | undefined
  /** The reason for a refusal. */
  refusal(): Error
}

export class WriteGate {
  readonly #source: GateSource

  constructor(source: GateSource) {
    this.#source = source
  }

  /** The number of bytes above which content is stored as a blob. */
  get inlineBytesMax(): number {
    return this.#source.writer?.inlineBytesMax ?? writerLimits.inlineBytesMax
  }

  /**
   * Writes, holds or refuses a write. The gate owns the blobs of the intent from here on, and
   * removes them if the write never happens.
   *
   * @throws `NOT_ACTIVE`, and all errors of {@link Writer.submit}
   */
  submit(intent: WriteIntent, options: WriteOptions = {}): Promise<Receipt> {
    const { writer } = this.#source
    if (writer !== undefined) return writer.submit(intent, options)
    const held = this.#source.hold(intent, options)
    if (held !== undefined) return held
    void this.discard(blobsOf(intent))
    return Promise.reject(this.#source.refusal())
  }

  /**
   * Submits a change of a file as soon as the writer's queue has room for it, after the writes that
   * already wait for room.
   */
  submitInTurn(intent: WriteIntent, options: WriteOptions): Promise<Receipt> {
    const { writer } = this.#source
    // Counted as the queue does. Only values of updates are estimated there, and these do not come
    // here.
    const bytes = bytesOf(intent, 0)
    const isGivenUp = options.signal?.aborted === true
    if (writer === undefined || writer.hasRoom(bytes) || isGivenUp)
      return this.submit(intent, options)
    const waiting = new WaitingWrite(this, bytes, intent, options)
    writer.waitForRoom(waiting)
    return waiting.receipt
  }

  /**
   * Stores content of any size.
   *
   * @throws `NOT_ACTIVE` before the source is read, and all errors of {@link Writer.store}
   */
  async store(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent> {
    const { writer } = this.#source
    try {
      if (writer === undefined) throw this.#source.refusal()
      return await writer.store(source, options)
    } catch (error) {
      // After the end the storage is closed and the spool fails with an unspecific error; the
      // reason of the end is more useful.
      throw this.#source.ended ?? error
    }
  }

  /** Reads from a stored blob. */
  async readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array> {
    const { objects } = this.#source
    if (objects === undefined) throw this.#source.refusal()
    return await objects.read('blobs', blob.id, offset, length)
  }

  /**
   * Removes blobs that no change will name. Never rejects; what cannot be removed is removed at the
   * next start.
   */
  async discard(blobs: readonly BlobRef[]): Promise<void> {
    const { writer, objects } = this.#source
    if (blobs.length === 0) return
    // Followers remove the blobs of a tenure by themselves when it ends.
    if (writer !== undefined) return await writer.discard(blobs)
    const names = blobs.map(({ id }) => id)
    if (objects !== undefined) await removeQuietly(objects, names)
  }
}

/** A write that waits for room in the queue; it enters, is refused, or is aborted, once. */
class WaitingWrite implements RoomWaiter {
  readonly bytes: number
  readonly receipt: Promise<Receipt>
  readonly #gate: WriteGate
  readonly #intent: WriteIntent
  readonly #options: WriteOptions
  readonly #unlisten: () => void
  #resolve: (receipt: Promise<Receipt>) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  isOver = false

  constructor(gate: WriteGate, bytes: number, intent: WriteIntent, options: WriteOptions) {
    this.bytes = bytes
    this.#gate = gate
    this.#intent = intent
    this.#options = options
    this.receipt = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#unlisten = onAbort(options.signal, (by) => this.refuse(aborted(by)))
  }

  enter(): void {
    if (this.#end()) this.#resolve(this.#gate.submit(this.#intent, this.#options))
  }

  refuse(error: unknown): void {
    if (!this.#end()) return
    void this.#gate.discard(blobsOf(this.#intent)).then(() => this.#reject(error))
  }

  /** Ends the wait; answers whether it was still waiting. */
  #end(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.#unlisten()
    return true
  }
}
