/**
 * The blobs that a stream's follower has made sure of, and those under way.
 *
 * Invariant: what was brought for a write that never got its place does not stay. It goes when the
 * active says so; when it says nothing, with the end of the stream, or after a restore.
 */

import type { BlobRef } from '../../changes/change.js'
import type { BatchPart } from '../../changes/entry.js'
import { blobsOf } from '../../changes/intent.js'
import type { StoredBlobs } from '../../copy/contents/blob-refs.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BulkClient } from '../bulk/client.js'
import { fetchBlob } from '../bulk/fetch-blob.js'

export interface FollowerBlobsContext {
  readonly storage: OpenStorage
  /** The blobs that the copy's journal names. */
  stored(): StoredBlobs
  bulk(): Promise<BulkClient>
  readonly signal: AbortSignal
}

export class FollowerBlobs {
  readonly #context: FollowerBlobsContext
  /** Known to be in the storage, durably, and named by no entry yet. */
  readonly #here = new Set<string>()
  readonly #fetching = new Map<string, Promise<void>>()
  /** Brought in whole or in part, and named by no entry yet. */
  readonly #unnamed = new Set<string>()
  readonly #withdrawn = new Set<string>()
  /** Removals, one after the other; nothing is brought meanwhile. */
  #removing: Promise<void> = Promise.resolve()

  constructor(context: FollowerBlobsContext) {
    this.#context = context
  }

  has(blob: BlobRef): boolean {
    return this.#here.has(blob.id)
  }

  /** Makes sure that a blob is in the storage, durably; resolves at once when it is known to be. */
  fetch(blob: BlobRef): Promise<void> {
    if (this.has(blob)) return Promise.resolve()
    const under = this.#fetching.get(blob.id)
    if (under !== undefined) return under
    this.#unnamed.add(blob.id)
    const work = this.#bring(blob, this.#removing).finally(() => this.#fetching.delete(blob.id))
    this.#fetching.set(blob.id, work)
    return work
  }

  async #bring(blob: BlobRef, before: Promise<void>): Promise<void> {
    const { storage, signal } = this.#context
    const bulk = await this.#context.bulk()
    await before
    await fetchBlob(bulk, storage, blob, signal)
    this.#here.add(blob.id)
  }

  /** An entry was taken into a journal, which keeps the blobs that it names from here on. */
  named(parts: readonly BatchPart[]): void {
    if (this.#unnamed.size === 0) return
    this.#forget(parts.flatMap(blobsOf).map(({ id }) => id))
  }

  /** The active says that no entry will name the blob. */
  withdraw(id: string): void {
    this.#withdrawn.add(id)
    this.#remove(async () => {
      await this.#fetching.get(id)?.catch(() => undefined)
      this.#withdrawn.delete(id)
      return this.#unnamed.has(id) ? [id] : []
    })
  }

  /**
   * Whether bringing a blob failed because it is gone where it came from, which is nobody's fault.
   */
  isWithdrawn(id: string): boolean {
    return this.#withdrawn.has(id)
  }

  /** A restore is over: removes what only entries before its cut named. */
  clean(): void {
    this.#remove(async () => {
      const objects = await this.#context.storage.objects.list('blobs')
      return objects.map(({ name }) => name).filter((name) => !this.#unnamed.has(name))
    })
  }

  /** The stream is over, and nothing of it arrives any more: removes what no entry named. */
  async end(): Promise<void> {
    this.#remove(async () => {
      await Promise.allSettled(this.#fetching.values())
      return [...this.#unnamed]
    })
    await this.#removing
  }

  #remove(choose: () => Promise<string[]>): void {
    this.#removing = this.#removing.then(async () => {
      try {
        const chosen = await choose()
        const gone = chosen.filter((id) => !this.#context.stored().has(id))
        this.#forget(gone)
        if (gone.length > 0) await this.#context.storage.objects.remove('blobs', gone)
      } catch {
        // What stays is removed by the next start; a storage that fails is reported to those who
        // need it.
      }
    })
  }

  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      this.#here.delete(id)
      this.#unnamed.delete(id)
    }
  }
}
