/**
 * The blobs that one follower was offered and has not yet, and how much content moved to it
 * meanwhile.
 */

import type { BlobRef } from '../../changes/change.js'

interface Offer {
  readonly bytes: number
  /** Nobody waits for the follower any more: it has the blob, or is not followed. */
  done(): void
}

export class BlobOffers {
  readonly #offers = new Map<string, Offer>()
  /** Bytes of content that moved since the follower acknowledged anything. */
  arrivedBytes = 0

  get bytes(): number {
    let bytes = 0
    for (const offer of this.#offers.values()) bytes += offer.bytes
    return bytes
  }

  /** Resolves when the offer is over, whatever became of it. */
  add(blob: BlobRef): Promise<void> {
    return new Promise((done) => this.#offers.set(blob.id, { bytes: blob.bytes, done }))
  }

  /** The follower has the blob, or is not waited for. Answers whether it was on offer. */
  settle(id: string): boolean {
    const offer = this.#offers.get(id)
    this.#offers.delete(id)
    offer?.done()
    return offer !== undefined
  }

  settleAll(): void {
    for (const id of [...this.#offers.keys()]) this.settle(id)
  }
}
