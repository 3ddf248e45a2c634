/**
 * The changes of files that are appended and not in the tree yet. Reads see them on top of the
 * tree.
 *
 * Invariants: the operations of a path are in the order of their changes; a path is listed exactly
 * while one of its operations is not in the tree.
 */
import type { FileStat, TreeOperation } from '../../interfaces/tree-store.js'
import type { FileIndex } from './file-index.js'
import { Folders } from './folder-counts.js'
import { Spellings } from './spellings.js'
import type { FileRecord } from './types.js'

/** The operations that a batch can contain. */
export type FileOperation = Exclude<TreeOperation, { kind: 'keep' }>

/** A change of a file that is not in the tree yet. */
export interface PendingOperation {
  readonly seq: number
  readonly className: string
  readonly operation: FileOperation
  /** The bytes of the blob, for operations that name one. */
  readonly blobBytes: number
  /** The size of the file before it, set by the overlay. */
  sizeBefore: number
  /**
   * The file that is at the path already as the result of the change, null for none. The tree has
   * nothing to do then.
   */
  readonly found?: FileStat | null
}

/** The pending operations of a path, and the resulting file. */
export interface PendingPath {
  exists: boolean
  className: string
  size: number
  mode: number
  version: number
  operations: PendingOperation[]
  /** The index of the first operation that is not in the tree. */
  head: number
  /** The index of the last operation that does not depend on earlier content; -1 when all do. */
  base: number
}

/** The mode of a file that a patch creates. */
const createdMode = 0o644

export class Overlay {
  readonly #index: FileIndex
  readonly #paths = new Map<string, PendingPath>()
  /** The folders of the files after the last appended change. */
  readonly folders: Folders = new Folders()
  readonly #spellings = new Spellings()

  constructor(index: FileIndex) {
    this.#index = index
  }

  get(path: string): PendingPath | undefined {
    return this.#paths.get(path)
  }

  paths(): IterableIterator<[string, PendingPath]> {
    return this.#paths.entries()
  }

  /** The file after the last appended change. */
  stat(path: string): FileRecord | undefined {
    const pending = this.#paths.get(path)
    if (pending === undefined) return this.#index.get(path)
    if (!pending.exists) return undefined
    return { size: pending.size, mode: pending.mode, version: pending.version }
  }

  push(pending: PendingOperation): void {
    const { operation } = pending
    const known = this.#paths.get(operation.path)
    const path = known ?? this.#begin(operation.path, pending.className)
    const existed = path.exists
    pending.sizeBefore = path.size
    this.#push(path, pending)
    if (path.exists === existed) return
    if (existed) this.#leave(operation.path)
    else this.#enter(operation.path)
  }

  #enter(path: string): void {
    this.folders.add(path)
    this.#spellings.add(path)
  }

  #leave(path: string): void {
    this.folders.remove(path)
    this.#spellings.remove(path)
  }

  /**
   * Existing files and folders that differ only in case from a new path, or from a new folder above
   * it.
   */
  spelledOtherwise(path: string): string[] {
    return this.#spellings.othersOf(
      path,
      (one) => this.folders.has(one) || this.stat(one) !== undefined,
    )
  }

  #push(path: PendingPath, pending: PendingOperation): void {
    const { operation } = pending
    path.operations.push(pending)
    path.version = pending.seq
    path.className = pending.className
    const at = path.operations.length - 1
    switch (operation.kind) {
      case 'put':
      case 'install':
        path.exists = true
        path.size = operation.kind === 'put' ? operation.bytes.length : pending.blobBytes
        path.mode = operation.mode
        path.base = at
        return
      case 'remove':
        path.exists = false
        path.size = 0
        path.base = at
        return
      case 'truncate':
        create(path)
        path.size = operation.size
        return
      case 'patch':
      case 'patchObject': {
        create(path)
        const length = operation.kind === 'patch' ? operation.bytes.length : pending.blobBytes
        path.size = Math.max(path.size, operation.offset + length)
      }
    }
  }

  #begin(path: string, className: string): PendingPath {
    const record = this.#index.get(path)
    const pending: PendingPath = {
      exists: record !== undefined,
      className,
      size: record?.size ?? 0,
      mode: record?.mode ?? createdMode,
      version: record?.version ?? 0,
      operations: [],
      head: 0,
      base: -1,
    }
    this.#paths.set(path, pending)
    return pending
  }

  /** Records that the oldest pending operation of a path is in the tree. */
  applied(path: string): void {
    const pending = this.#paths.get(path)
    if (pending === undefined) return
    pending.head += 1
    if (pending.head >= pending.operations.length) {
      this.#paths.delete(path)
      return
    }
    if (pending.head < 256 || pending.head * 2 < pending.operations.length) return
    pending.operations.splice(0, pending.head)
    pending.base = Math.max(-1, pending.base - pending.head)
    pending.head = 0
  }

  /** Restarts with the files of the index. */
  reset(): void {
    this.#paths.clear()
    this.folders.clear()
    this.#spellings.clear()
    for (const path of this.#index.paths()) this.#enter(path)
  }
}

function create(path: PendingPath): void {
  if (path.exists) return
  path.exists = true
  path.size = 0
  path.mode = createdMode
}
