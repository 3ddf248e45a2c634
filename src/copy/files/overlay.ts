/**
 * The changes of files that were appended and are not in the tree yet. Reads see them on top of it.
 *
 * Invariants: the operations of a path are in the order of their changes; a path is here exactly
 * while one of its operations is not in the tree.
 */
import type { FileStat, TreeOperation } from '../../interfaces/tree-store.js'
import type { FileIndex } from './file-index.js'
import { Folders } from './folder-counts.js'
import { Spellings } from './spellings.js'
import type { FileRecord } from './types.js'

/** What a batch can hold of operations. */
export type FileOperation = Exclude<TreeOperation, { kind: 'keep' }>

/** A change of a file on its way to the tree. */
export interface PendingOperation {
  readonly seq: number
  readonly className: string
  readonly operation: FileOperation
  /** Bytes of the blob, for operations that name one. */
  readonly blobBytes: number
  /** Bytes that the file has before it; the overlay says so. */
  sizeBefore: number
  /**
   * What stands at the path already as the change makes it, null for no file: the tree has nothing
   * to do then.
   */
  readonly found?: FileStat | null
}

/** The pending operations of one path, and what they make of it. */
export interface PendingPath {
  exists: boolean
  className: string
  size: number
  mode: number
  version: number
  operations: PendingOperation[]
  /** Operations before this one are in the tree. */
  head: number
  /** The last operation that does not depend on what was before; -1 when all do. */
  base: number
}

/** Mode of a file that a patch creates. */
const createdMode = 0o644

export class Overlay {
  readonly #index: FileIndex
  readonly #paths = new Map<string, PendingPath>()
  /** Of the files as the last appended change has them. */
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

  /** The file as the last appended change has it. */
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
   * Files and folders that differ only in case from the path, or from a folder above it, neither of
   * which is there.
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

  /** The oldest pending operation of a path is in the tree. */
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

  /** Begins anew with what the index has. */
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
