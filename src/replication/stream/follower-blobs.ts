/**
 * The blobs that a follower's stream has fetched or is fetching.
 *
 * Invariant: a blob of a write that is never sequenced does not stay. It is removed when the active
 * withdraws it, or else when the stream ends, after a restore or at the next start.
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
  /** Blobs that are known to be durable in the storage, and that no entry names yet. */
  readonly #durable = new Set<string>()
  readonly #fetching = new Map<string, Promise<void>>()
  /** Blobs that were fetched, completely or in part, and that no entry names yet. */
  readonly #unnamed = new Set<string>()
  readonly #withdrawn = new Set<string>()
  /** Removals run one after the other; a fetch waits for those before it. */
  #removing: Promise<void> = Promise.resolve()

  constructor(context: FollowerBlobsContext) {
    this.#context = context
  }

  has(blob: BlobRef): boolean {
    return this.#durable.has(blob.id)
  }

  /** Resolves when a blob is durable in the storage, after fetching it if necessary. */
  fetch(blob: BlobRef): Promise<void> {
    if (this.has(blob)) return Promise.resolve()
    const under = this.#fetching.get(blob.id)
    if (under !== undefined) return under
    this.#unnamed.add(blob.id)
    const work = this.#fetchNew(blob, this.#removing).finally(() => this.#fetching.delete(blob.id))
    this.#fetching.set(blob.id, work)
    return work
  }

  async #fetchNew(blob: BlobRef, before: Promise<void>): Promise<void> {
    const { storage, signal } = this.#context
    const bulk = await this.#context.bulk()
    await before
    await fetchBlob(bulk, storage, blob, signal)
    this.#durable.add(blob.id)
  }

  /** An entry was appended; the journal keeps the blobs that it names from now on. */
  named(parts: readonly BatchPart[]): void {
    if (this.#unnamed.size === 0) return
    this.#forget(parts.flatMap(blobsOf).map(({ id }) => id))
  }

  /** The active withdrew the blob: no entry will name it. */
  withdraw(id: string): void {
    this.#withdrawn.add(id)
    this.#remove(async () => {
      await this.#fetching.get(id)?.catch(() => undefined)
      this.#withdrawn.delete(id)
      return this.#unnamed.has(id) ? [id] : []
    })
  }

  /** Whether the active withdrew the blob, so that a failed fetch of it is no error. */
  isWithdrawn(id: string): boolean {
    return this.#withdrawn.has(id)
  }

  /** Called after a restore: removes the blobs that only entries before its cut named. */
  clean(): void {
    this.#remove(async () => {
      const objects = await this.#context.storage.objects.list('blobs')
      return objects.map(({ name }) => name).filter((name) => !this.#unnamed.has(name))
    })
  }

  /** Called after the stream ended: removes the blobs that no entry named. */
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
        // The next start removes what is left, and a failing storage is noticed by the calls that
        // depend on it.
      }
    })
  }

  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      this.#durable.delete(id)
      this.#unnamed.delete(id)
    }
  }
}
