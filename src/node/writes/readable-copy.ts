import type { ReadFile } from '../../copy/files/copy-files.js'
import type { FileRecord } from '../../copy/files/types.js'

/** The interface of a copy's files for reading. */
export interface ReadableFiles {
  /** The bytes, with information about the version that was read. */
  read(path: string, offset?: number, length?: number): Promise<ReadFile>
  stat(path: string): FileRecord | undefined
  list(prefix?: string): string[]
  /**
   * Resolves when the information about files is of one state, and not in the middle of a switch.
   *
   * @throws `RESTORE_UNDER_WAY`
   */
  whenWhole?(): Promise<void>
  /** The number of restores that were switched to. */
  readonly switches?: number
}

/** The interface of a node's copy for reading. */
export interface ReadableCopy {
  readonly files: ReadableFiles
}
