/**
 * The version of every file: the last change that touched it, and its state afterwards. Removed
 * files leave a tombstone, so that peers can be told.
 *
 * Invariants: a path has a record or a tombstone, never both; records are never modified, only
 * replaced; tombstones are in the order of their versions, and all are above `tombstoneFloor`.
 */
import type { FileRecord, VersionedPath } from './types.js'

/** The state of a file after its last change. */
export interface IndexRecord extends FileRecord {
  readonly className: string
  readonly mtimeMs: number
  readonly inode: number
}

/**
 * A time and inode that no file has. In a record they mean that the disk does not have this
 * version.
 */
export const noFile: { readonly mtimeMs: number; readonly inode: number } = { mtimeMs: 0, inode: 0 }

/** Whether the file on the disk is known to contain an outside change instead of this version. */
export function isNotOnDisk({ mtimeMs, inode }: IndexRecord): boolean {
  return mtimeMs === noFile.mtimeMs && inode === noFile.inode
}

export interface IndexedFile extends IndexRecord {
  readonly path: string
}

/**
 * Tombstones that are kept. Beyond it the oldest are dropped, `tombstoneFloor` rises, and a node
 * that is further behind gets a full restore.
 */
export const tombstonesMax = 100_000

export class FileIndex {
  readonly #files = new Map<string, IndexRecord>()
  readonly #tombstones = new Map<string, number>()
  readonly #tombstonesMax: number
  #floor = 0
  #bytes = 0
  /** The paths that changed since the last checkpoint took them. */
  #dirty = new Set<string>()

  constructor(limit: number = tombstonesMax) {
    this.#tombstonesMax = limit
  }

  /** The number of files. */
  get size(): number {
    return this.#files.size
  }

  /** The bytes of all files together. */
  get bytes(): number {
    return this.#bytes
  }

  /** The version up to which tombstones were dropped. */
  get tombstoneFloor(): number {
    return this.#floor
  }

  get(path: string): IndexRecord | undefined {
    return this.#files.get(path)
  }

  /** The version of the change that removed the path, if known. */
  tombstone(path: string): number | undefined {
    return this.#tombstones.get(path)
  }

  /** All paths with the prefix, in no order. */
  paths(prefix: string = ''): string[] {
    const paths = [...this.#files.keys()]
    return prefix === '' ? paths : paths.filter((path) => path.startsWith(prefix))
  }

  /** All files, in no order. */
  entries(): IterableIterator<[string, IndexRecord]> {
    return this.#files.entries()
  }

  /** All tombstones, oldest first. */
  removed(): IterableIterator<[string, number]> {
    return this.#tombstones.entries()
  }

  /**
   * The files and removals after `seq`, found by one walk over all records. Removals are complete
   * only for `seq >= tombstoneFloor`.
   */
  changedSince(seq: number): { files: IndexedFile[]; removed: VersionedPath[] } {
    const files: IndexedFile[] = []
    const removed: VersionedPath[] = []
    for (const [path, record] of this.#files) {
      if (record.version > seq) files.push({ path, ...record })
    }
    for (const [path, version] of this.#tombstones) {
      if (version > seq) removed.push({ path, version })
    }
    return { files, removed }
  }

  set(path: string, record: IndexRecord): void {
    this.#bytes += record.size - (this.#files.get(path)?.size ?? 0)
    this.#files.set(path, record)
    if (this.#tombstones.size > 0) this.#tombstones.delete(path)
    this.#dirty.add(path)
  }

  /** Records that the change `version` removed the path. */
  remove(path: string, version: number): void {
    this.#forget(path)
    // Deleted and added again, so that the map stays in the order of versions.
    this.#tombstones.delete(path)
    if (version > this.#floor) this.#tombstones.set(path, version)
    this.#dirty.add(path)
    if (this.#tombstones.size > this.#tombstonesMax) this.#forgetOldest()
  }

  #forget(path: string): void {
    this.#bytes -= this.#files.get(path)?.size ?? 0
    this.#files.delete(path)
  }

  #forgetOldest(): void {
    const oldest = this.#tombstones.entries().next().value
    if (oldest === undefined) return
    this.#tombstones.delete(oldest[0])
    this.#floor = Math.max(this.#floor, oldest[1])
  }

  /** Drops tombstones at or below `floor`. */
  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return
    this.#floor = floor
    for (const [path, version] of this.#tombstones) {
      if (version <= floor) this.#tombstones.delete(path)
    }
  }

  /** Sorts tombstones that were read in any order by version. */
  sortTombstones(): void {
    const sorted = [...this.#tombstones].sort((left, right) => left[1] - right[1])
    this.#tombstones.clear()
    for (const [path, version] of sorted) this.#tombstones.set(path, version)
  }

  /**
   * Drops a path that no longer belongs to this copy, because the policy changed or a restore
   * replaced everything.
   */
  drop(path: string): void {
    this.#forget(path)
    this.#tombstones.delete(path)
    this.#dirty.add(path)
  }

  clear(): void {
    this.#files.clear()
    this.#bytes = 0
    this.#tombstones.clear()
    this.#dirty.clear()
    this.#floor = 0
  }

  get dirty(): number {
    return this.#dirty.size
  }

  /** The paths changed since the last call. */
  takeDirty(): Set<string> {
    const dirty = this.#dirty
    this.#dirty = new Set()
    return dirty
  }

  /** Returns the paths of a failed checkpoint. */
  returnDirty(paths: Iterable<string>): void {
    for (const path of paths) this.#dirty.add(path)
  }
}
