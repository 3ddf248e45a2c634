import type { ReadFile } from '../../copy/files/copy-files.js'
import type { FileRecord } from '../../copy/files/types.js'

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
