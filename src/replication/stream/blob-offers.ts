/**
 * The blobs that one follower was offered and does not have yet, and how much content was
 * transferred to it meanwhile.
 */

import type { BlobRef } from '../../changes/change.js'

interface Offer {
  readonly bytes: number
  /** Ends the wait for the follower: it has the blob, or does not follow any more. */
  done(): void
}

export class BlobOffers {
  readonly #offers = new Map<string, Offer>()
  /** Bytes of content transferred since the follower's last acknowledgement. */
  arrivedBytes = 0

  get bytes(): number {
    let bytes = 0
    for (const offer of this.#offers.values()) bytes += offer.bytes
    return bytes
  }

  /** Resolves when the offer ends, whether or not the follower has the blob. */
  add(blob: BlobRef): Promise<void> {
    return new Promise((done) => this.#offers.set(blob.id, { bytes: blob.bytes, done }))
  }

  /** Ends an offer. Answers whether there was one. */
  end(id: string): boolean {
    const offer = this.#offers.get(id)
    this.#offers.delete(id)
    offer?.done()
    return offer !== undefined
  }

  endAll(): void {
    for (const id of [...this.#offers.keys()]) this.end(id)
  }
}
