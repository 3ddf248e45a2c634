/** The way in for writes, whoever is active: a node gives one to its files and transactions. */

import type { BlobRef } from '../../changes/change.js'
import type { WriteIntent } from '../../changes/intent.js'
import type { ReadFile } from '../../copy/files/copy-files.js'
import type { FileRecord } from '../../copy/files/types.js'
import type { Content, ContentOptions } from '../content/blob-spool.js'
import type { ContentSource } from '../content/types.js'
import type { Receipt, WriteOptions } from './types.js'

/**
 * What a {@link Writer} offers to those who write. A node's own gate checks its role and passes
 * everything on.
 */
export interface WriteGate {
  /** Content above this many bytes becomes a blob. */
  readonly inlineBytesMax: number
  /** Takes over the blobs that the intent names: it removes them when the write never happens. */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt>
  /** Undefined when so many bytes may be submitted now; else a promise for when to ask `again`. */
  room(bytes: number, again?: boolean): Promise<void> | undefined
  /** @throws `NOT_ACTIVE` before anything of the source is read */
  store(source: ContentSource, options: ContentOptions): Promise<Content>
  readBlob(blob: BlobRef, offset: number, length: number): Promise<Uint8Array>
  /**
   * Removes blobs that no change will name. Never rejects: what cannot be removed now goes at the
   * next start.
   */
  discard(blobs: readonly BlobRef[]): Promise<void>
}

/** The part of a copy's files that reads are answered from. */
export interface ReadableFiles {
  /** The bytes, with what is known of the version that was read. */
  read(path: string, offset?: number, length?: number): Promise<ReadFile>
  stat(path: string): FileRecord | undefined
  list(prefix?: string): string[]
  /** Resolves when what is known of files is of one state. @throws `RESTORE_UNDER_WAY` */
  whenWhole?(): Promise<void>
  /** How many restores were switched to. */
  readonly switches?: number
}

/** The part of a node's copy that reads are answered from. */
export interface ReadableCopy {
  readonly files: ReadableFiles
}
