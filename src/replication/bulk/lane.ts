/** A follower's bulk lane: dialled on first use, and shared by all users. */

import type { BulkClient } from './client.js'

export class BulkLane {
  readonly #dial: () => Promise<BulkClient>
  #client: Promise<BulkClient> | undefined

  constructor(dial: () => Promise<BulkClient>) {
    this.#dial = dial
  }

  client(): Promise<BulkClient> {
    this.#client ??= this.#dial()
    return this.#client
  }

  /** The client if the lane has been used; undefined before. */
  get opened(): Promise<BulkClient> | undefined {
    return this.#client
  }

  close(): void {
    void this.#client?.then((client) => client.close()).catch(() => undefined)
  }
}
