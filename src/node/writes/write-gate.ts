/**
 * The way in for writes: to the writer while this node is active, to whoever holds them during a
 * planned switchover, or back to the caller.
 *
 * Invariant: a write reaches the writer only through `submit`, which is the one place that decides
 * between writing, holding and refusing.
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

/** Where a gate leads. */
export interface GateSource {
  /** The writer, while this node is active. */
  readonly writer: Writer | undefined
  /** Where blobs are; undefined while the node does not run. */
  readonly objects: ObjectStore | undefined
  /** Why the node ended; undefined before that. */
  readonly ended: Error | undefined
  /** Keeps a write for the next active; undefined when none is awaited. */
  hold(intent: WriteIntent, options: WriteOptions): Promise<Receipt> | undefined
  /** Why nothing is written here. */
  refusal(): Error
}

export class WriteGate {
  readonly #source: GateSource

  constructor(source: GateSource) {
    this.#source = source
  }

  /** Content above this many bytes becomes a blob. */
  get inlineBytesMax(): number {
    return this.#source.writer?.inlineBytesMax ?? writerLimits.inlineBytesMax
  }

  /**
   * Writes, holds or refuses. The blobs that the intent names are the gate's from here on: it
   * removes them when the write never happens.
   *
   * @throws `NOT_ACTIVE`, and all that {@link Writer.submit} throws
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
   * Submits a change of a file as soon as the writer's queue has room for it, after those that wait
   * for that already.
   */
  submitInTurn(intent: WriteIntent, options: WriteOptions): Promise<Receipt> {
    const { writer } = this.#source
    // As the queue counts it: only values of updates are estimated there, and none comes here.
    const bytes = bytesOf(intent, 0)
    const isGivenUp = options.signal?.aborted === true
    if (writer === undefined || writer.hasRoom(bytes) || isGivenUp)
      return this.submit(intent, options)
    const waiting = new WaitingWrite(this, bytes, intent, options)
    writer.waitForRoom(waiting)
    return waiting.receipt
  }

  /**
   * Takes in content of any size. @throws `NOT_ACTIVE` before anything of the source is read, and
   * all that {@link Writer.store} throws
   */
  async store(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent> {
    const { writer } = this.#source
    try {
      if (writer === undefined) throw this.#source.refusal()
      return await writer.store(source, options)
    } catch (error) {
      // After the end the storage is closed, and the spool fails with some error of it: why the
      // node ended says more.
      throw this.#source.ended ?? error
    }
  }

  /** Reads from a blob that was stored. */
  async readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array> {
    const { objects } = this.#source
    if (objects === undefined) throw this.#source.refusal()
    return await objects.read('blobs', blob.id, offset, length)
  }

  /**
   * Removes blobs that no change will name. Never rejects: what cannot be removed now goes at the
   * next start.
   */
  async discard(blobs: readonly BlobRef[]): Promise<void> {
    const { writer, objects } = this.#source
    if (blobs.length === 0) return
    // Followers drop what they got of a tenure by themselves when it is over.
    if (writer !== undefined) return await writer.discard(blobs)
    const names = blobs.map(({ id }) => id)
    if (objects !== undefined) await removeQuietly(objects, names)
  }
}

/** A write that waits for room in the queue. It enters, is refused or given up, once. */
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

  /** Whether it waited until now. */
  #end(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.#unlisten()
    return true
  }
}
