import type { KnownFile } from '../../replication/write/types.js'

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
