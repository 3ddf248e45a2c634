/** What a copy knows of its files. */
import type { ReadAnswer, TreeEntry } from '../../interfaces/tree-store.js'

/** What the scan at the start found in paths of synced classes, compared with the index. */
export interface OutsideReport {
  readonly unknown: readonly TreeEntry[]
  readonly differing: readonly TreeEntry[]
  readonly missing: readonly string[]
}

/** What is known of a file. */
export interface FileRecord {
  readonly size: number
  readonly mode: number
  /** Sequence number of its last change. */
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

/** Bytes for a restore, with the versions that the paths had before their first byte was read. */
export interface TransferAnswer extends ReadAnswer {
  /** One a request; 0 for a path that the index does not have. */
  readonly versions: readonly number[]
}
