/**
 * The version of every file: which change touched it last, and how it looked afterwards. Removed
 * files leave a tombstone, so that a peer can be told.
 *
 * Invariants: a path has a record or a tombstone, never both; records are never changed, only
 * replaced; tombstones are in the order of their versions, and none at or below `tombstoneFloor` is
 * there.
 */
import type { FileRecord, VersionedPath } from './types.js'

/** A file's state after its last change. */
export interface IndexRecord extends FileRecord {
  readonly className: string
  readonly mtimeMs: number
  readonly inode: number
}

/**
 * Time and inode that no file has: in a record they say that the disk has not this version, but
 * something else.
 */
export const noFile: { readonly mtimeMs: number; readonly inode: number } = { mtimeMs: 0, inode: 0 }

/**
 * Whether somebody else's change is known to be in the file that stands where this version should
 * be.
 */
export function isNotOnDisk({ mtimeMs, inode }: IndexRecord): boolean {
  return mtimeMs === noFile.mtimeMs && inode === noFile.inode
}

export interface IndexedFile extends IndexRecord {
  readonly path: string
}

/**
 * Tombstones kept; beyond it the oldest are forgotten, `tombstoneFloor` rises, and a node that is
 * further behind gets a full restore.
 */
export const tombstonesMax = 100_000

export class FileIndex {
  readonly #files = new Map<string, IndexRecord>()
  readonly #tombstones = new Map<string, number>()
  readonly #tombstonesMax: number
  #floor = 0
  #bytes = 0
  /** Paths changed since the last checkpoint took them. */
  #dirty = new Set<string>()

  constructor(limit: number = tombstonesMax) {
    this.#tombstonesMax = limit
  }

  /** Files. */
  get size(): number {
    return this.#files.size
  }

  /** Bytes of all files together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Tombstones at or below this version were forgotten. */
  get tombstoneFloor(): number {
    return this.#floor
  }

  get(path: string): IndexRecord | undefined {
    return this.#files.get(path)
  }

  /** The version of the change that removed the path, where it is known. */
  tombstone(path: string): number | undefined {
    return this.#tombstones.get(path)
  }

  /** All paths that begin with the prefix, in no order. */
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
   * What changed after `seq`: one walk over all. Removals are complete only for
   * `seq >= tombstoneFloor`.
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

  /** The path was removed by change `version`. */
  remove(path: string, version: number): void {
    this.#forget(path)
    // Set anew, so that the map stays in the order of versions.
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

  /** Forgets tombstones at or below `floor`. */
  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return
    this.#floor = floor
    for (const [path, version] of this.#tombstones) {
      if (version <= floor) this.#tombstones.delete(path)
    }
  }

  /** Brings tombstones that were read in any order into that of their versions. */
  sortTombstones(): void {
    const sorted = [...this.#tombstones].sort((left, right) => left[1] - right[1])
    this.#tombstones.clear()
    for (const [path, version] of sorted) this.#tombstones.set(path, version)
  }

  /**
   * The path is none of this node's any more (its policy changed, or a restore replaced
   * everything).
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

  /** A checkpoint failed: its paths are to be taken again. */
  returnDirty(paths: Iterable<string>): void {
    for (const path of paths) this.#dirty.add(path)
  }
}
