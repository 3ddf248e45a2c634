/** The blobs that a stream's follower has made sure of, and those under way. */
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BlobRef } from '../change.js'
import { fetchBlob } from '../restore/blobs.js'
import type { BulkClient } from './bulk-client.js'

export class BlobsHere {
  readonly #storage: OpenStorage
  readonly #bulk: () => Promise<BulkClient>
  readonly #signal: AbortSignal
  /** Known to be in the storage, durably, as long as this stream lasts. */
  readonly #here = new Set<string>()
  readonly #fetching = new Map<string, Promise<void>>()

  constructor(storage: OpenStorage, bulk: () => Promise<BulkClient>, signal: AbortSignal) {
    this.#storage = storage
    this.#bulk = bulk
    this.#signal = signal
  }

  has(blob: BlobRef): boolean {
    return this.#here.has(blob.id)
  }

  /** Makes sure that a blob is in the storage, durably; resolves at once when it is known to be. */
  fetch(blob: BlobRef): Promise<void> {
    if (this.has(blob)) return Promise.resolve()
    const under = this.#fetching.get(blob.id)
    if (under !== undefined) return under
    const work = this.#bring(blob).finally(() => this.#fetching.delete(blob.id))
    this.#fetching.set(blob.id, work)
    return work
  }

  async #bring(blob: BlobRef): Promise<void> {
    await fetchBlob(await this.#bulk(), this.#storage, blob, this.#signal)
    this.#here.add(blob.id)
  }
}
