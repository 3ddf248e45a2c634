/** The types of files in a copy. */
import type { ReadAnswer, TreeEntry } from '../../interfaces/tree-store.js'

/** What the scan at the start found in paths of synced classes, compared with the index. */
export interface OutsideReport {
  readonly unknown: readonly TreeEntry[]
  readonly differing: readonly TreeEntry[]
  readonly missing: readonly string[]
}

/** Information about a file. */
export interface FileRecord {
  readonly size: number
  readonly mode: number
  /** The sequence number of its last change. */
  readonly version: number
}

/** A file with its path. */
export interface NamedFile extends FileRecord {
  readonly path: string
}

/** A path with the version of its last change. */
export interface VersionedPath {
  readonly path: string
  readonly version: number
}

/** Bytes for a restore, with the versions of the paths before the first byte was read. */
export interface TransferAnswer extends ReadAnswer {
  /** One for each request; 0 for a path that is not in the index. */
  readonly versions: readonly number[]
}
