/** What content is given as, and how large content reaches the other nodes. */
import type { BlobRef } from '../../changes/change.js'

/** How blobs reach the other nodes before the change that names them gets its position. */
export interface BlobDistribution {
  /** Resolves when every follower of the in-sync set has the blob or left the set. */
  distribute(blob: BlobRef): Promise<void>
  /** No change will name these: whoever was given them need not keep them. */
  withdraw(blobs: readonly BlobRef[]): void
}

/** Content that a caller gives: bytes, text (as UTF-8), or anything that yields bytes. */
export type ContentSource =
  | Uint8Array
  | string
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>
  | ReadableStream<Uint8Array>
