/** The types of content that callers pass, and how blobs reach the other nodes. */
import type { BlobRef } from '../../changes/change.js'

/** Sends blobs to the followers before the change that names them is appended. */
export interface BlobDistributor {
  /** Resolves when every follower of the in-sync set has the blob or has left the set. */
  distribute(blob: BlobRef): Promise<void>
  /** No change will name these blobs, so followers may delete them. */
  withdraw(blobs: readonly BlobRef[]): void
}

/** Content that a caller passes: bytes, text (as UTF-8), or anything that yields bytes. */
export type ContentSource =
  | Uint8Array
  | string
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>
  | ReadableStream<Uint8Array>
