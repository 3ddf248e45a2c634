/**
 * The interface through which the files and transactions of a node submit writes, whichever node is
 * active.
 */

import type { BlobRef } from '../../changes/change.js'
import type { WriteIntent } from '../../changes/intent.js'
import type { SpoolContentOptions, StoredContent } from '../content/blob-spool.js'
import type { ContentSource } from '../content/types.js'
import type { KnownFile, Receipt, WriteOptions } from './types.js'

/**
 * The part of a {@link Writer} that callers use. A node's own gate checks its role and forwards the
 * calls.
 */
export interface WriteGate {
  /** Content above this many bytes becomes a blob. */
  readonly inlineBytesMax: number
  /** Takes over the blobs that the intent names: it removes them when the write never happens. */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt>
  /** Undefined when so many bytes may be submitted now; else a promise for when to ask `again`. */
  room(bytes: number, again?: boolean): Promise<void> | undefined
  /** @throws `NOT_ACTIVE` before anything of the source is read */
  store(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent>
  readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array>
  /**
   * Removes blobs that no change will name. Never rejects: what cannot be removed now goes at the
   * next start.
   */
  discard(blobs: readonly BlobRef[]): Promise<void>
}

/** The part of a node's copy that reads are answered from. */
export interface ReadableCopy {
  readFile(path: string, offset?: number, length?: number): Promise<Uint8Array>
  statFile(path: string): KnownFile | undefined
  listFiles(prefix?: string): string[]
  /**
   * As `readFile`, with what is known of the version that was read; a copy that offers it is a
   * node's own.
   */
  readVersion?(
    path: string,
    offset?: number,
    length?: number,
  ): Promise<{ readonly bytes: Uint8Array; readonly record: KnownFile }>
  /** Resolves when what is known of files is of one state. @throws `RESTORE_UNDER_WAY` */
  whenWhole?(): Promise<void>
  /** How many restores were switched to. */
  readonly switches?: number
}
