/**
 * Turns intents into changes when they are sequenced. It tracks what the earlier changes of the
 * same batch do to files, because the copy applies them only when the batch is appended.
 */

import type { Change, FileChange, SingleChange } from '../../changes/change.js'
import { requireFileSize } from '../../changes/file-size.js'
import type { CommitIntent, WriteIntent } from '../../changes/intent.js'
import { Spellings, spelledAlike } from '../../copy/files/spellings.js'
import { HotspareError } from '../../errors.js'
import type { WriterCopy } from './types.js'

/** The part of a copy that is looked at. */
export type ResolverCopy = Pick<WriterCopy, 'files' | 'names'>

export class BatchResolver {
  readonly #copy: ResolverCopy
  /** Files that this batch changed: their sizes, undefined for those it removed. */
  readonly #touched = new Map<string, number | undefined>()
  /** Folders of files that this batch created. */
  readonly #folders = new Set<string>()
  /** Names of files that this batch created; some may have been removed again. */
  readonly #spellings = new Spellings()

  constructor(copy: ResolverCopy) {
    this.#copy = copy
  }

  /** Begins the next batch; the copy has applied all earlier ones. */
  reset(): void {
    if (this.#touched.size === 0) return
    this.#touched.clear()
    this.#folders.clear()
    this.#spellings.clear()
  }

  /**
   * The change that an intent makes, given all changes resolved before it.
   *
   * @throws `WRITE_TOO_LARGE` when a file would be longer than a file may be
   * @throws `PATH_CONFLICT` when a new file would be at the path of a folder, below a file, or next
   *   to a file or folder that differs only in case
   * @throws `TX_CONFLICT` when something that the transaction read has changed since
   */
  resolve(intent: WriteIntent): Change {
    switch (intent.kind) {
      case 'update':
        return intent
      case 'append': {
        const { className, path, bytes, blob } = intent
        const offset = this.#sizeOf(path) ?? 0
        return this.#file({ kind: 'patch', className, path, offset, bytes, blob })
      }
      case 'commit':
        this.#requireUnchanged(intent)
        return this.#together(intent.changes)
      case 'transaction':
        return this.#together(intent.changes)
      default:
        return this.#file(intent)
    }
  }

  #together(changes: readonly SingleChange[]): Change {
    const before: [string, boolean, number | undefined][] = []
    try {
      for (const change of changes) {
        if (change.kind === 'update') continue
        const { path } = change
        before.push([path, this.#touched.has(path), this.#touched.get(path)])
        this.#file(change)
      }
    } catch (error) {
      for (const [path, touched, size] of before.reverse()) {
        if (touched) this.#touched.set(path, size)
        else this.#touched.delete(path)
      }
      throw error
    }
    return { kind: 'transaction', changes }
  }

  #file(change: FileChange): FileChange {
    const { path } = change
    if (change.kind === 'remove') {
      this.#touched.set(path, undefined)
      return change
    }
    const size = this.#sizeOf(path)
    const after = sizeAfter(change, size ?? 0)
    if (after > (size ?? 0)) requireFileSize(path, after)
    if (size === undefined) this.#requireFreePath(path)
    this.#touched.set(path, after)
    return change
  }

  /** Refuses a new file that conflicts with other paths, and records its folders. */
  #requireFreePath(path: string): void {
    this.#requireOwnName(path)
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const folder = path.slice(0, at)
      if (this.#sizeOf(folder) !== undefined) throw conflict(path, folder, 'is a file')
      this.#folders.add(folder)
    }
    if (this.#hasFilesBelow(path)) throw conflict(path, path, 'holds files')
  }

  /**
   * Refuses a new file whose name differs from another one only in case, because some file systems
   * treat both as the same.
   */
  #requireOwnName(path: string): void {
    const others = this.#copy.names?.spelledOtherwise(path)
    if (others === undefined) return
    const exists = (one: string): boolean =>
      this.#sizeOf(one) !== undefined || this.#folders.has(one)
    for (const other of [...others, ...this.#spellings.othersOf(path, exists)]) {
      // An earlier change of this batch may have removed the other file.
      const isThere = this.#sizeOf(other) !== undefined || this.#hasFilesBelow(other)
      if (isThere) throw spelledAlike(path, other)
    }
    this.#spellings.add(path)
  }

  #hasFilesBelow(path: string): boolean {
    const prefix = `${path}/`
    if (this.#folders.has(path)) {
      for (const [other, size] of this.#touched) {
        if (size !== undefined && other.startsWith(prefix)) return true
      }
    }
    if (this.#copy.files.hasBelow?.(path) === false) return false
    return this.#copy.files.list(prefix).some((other) => this.#sizeOf(other) !== undefined)
  }

  #sizeOf(path: string): number | undefined {
    if (this.#touched.size > 0 && this.#touched.has(path)) return this.#touched.get(path)
    return this.#copy.files.stat(path)?.size
  }

  #requireUnchanged({ reads, lists }: CommitIntent): void {
    for (const { path, version } of reads) {
      const now = this.#copy.files.stat(path)?.version ?? 0
      if (this.#touched.has(path) || now !== version) throw stale(path)
    }
    for (const { prefix, paths } of lists) {
      for (const path of this.#touched.keys()) if (path.startsWith(prefix)) throw stale(path)
      const now = this.#copy.files.list(prefix)
      const at = now.findIndex((path, index) => path !== paths[index])
      if (at >= 0 || now.length !== paths.length) throw stale(now[at] ?? prefix)
    }
  }
}

/** The size of the file after the change. */
function sizeAfter(change: Exclude<FileChange, { kind: 'remove' }>, before: number): number {
  if (change.kind === 'truncate') return change.size
  const length = change.blob?.bytes ?? change.bytes?.length ?? 0
  return change.kind === 'put' ? length : Math.max(before, change.offset + length)
}

function conflict(path: string, other: string, what: string): HotspareError {
  return new HotspareError(
    'PATH_CONFLICT',
    `'${path}' cannot be a file because '${other}' ${what}`,
    {
      details: { path, otherPath: other },
    },
  )
}

function stale(path: string): HotspareError {
  return new HotspareError('TX_CONFLICT', `'${path}' was changed after the transaction read it`, {
    details: { path },
  })
}
