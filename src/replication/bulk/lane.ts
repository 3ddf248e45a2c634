/**
 * A follower's bulk lane: dialled with the first thing that somebody wants of it, and one for all
 * who do.
 */

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

  /** Undefined while nobody wanted anything of it. */
  get opened(): Promise<BulkClient> | undefined {
    return this.#client
  }

  close(): void {
    void this.#client?.then((client) => client.close()).catch(() => undefined)
  }
}
