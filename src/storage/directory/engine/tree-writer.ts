/**
 * Carries out one operation on the tree with synchronous calls. An operation is a generator that
 * yields between slices of large files; after a yield the caller clears `folders`. Everything that
 * an operation depends on (folders, the file at the path) is examined after the last yield, right
 * before the change.
 *
 * Invariant: a file with several names (hard links) is never changed in place, because whoever made
 * the other name (a backup, a program that keeps versions) relies on the old bytes, and the other
 * nodes do not know of it.
 */

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import type { AppliedStat, FileStat, TreeOperation } from '../../../interfaces/tree-store.js'
import { pathBlocked, storageFailed } from '../../failure.js'
import { errnoOf } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import type { Access } from './access.js'
import {
  copyBytes,
  extend,
  intoFolder,
  look,
  lookForFile,
  newFlags,
  type OpenFile,
  readFully,
  sliceBytes,
  toFileStat,
  writeFlags,
  writeFully,
} from './files.js'
import type { Folders } from './folders.js'

/** Permission bits of a file that a patch or truncate creates. */
const defaultMode = 0o644

/**
 * Copies that are made before one change of a file with several names; if it still has several, it
 * is changed in place.
 */
const copiesMax = 3

type Operation<Kind extends TreeOperation['kind']> = Extract<TreeOperation, { kind: Kind }>
type Steps = Generator<void, AppliedStat | undefined>

/** Writes one tree. */
export class TreeWriter {
  readonly #layout: Layout
  readonly #access: Access

  constructor(layout: Layout, access: Access) {
    this.#layout = layout
    this.#access = access
  }

  /** Carries out an operation; returns the file's new state. */
  *apply(operation: TreeOperation, folders: Folders): Steps {
    switch (operation.kind) {
      case 'put':
        return this.#put(operation, folders)
      case 'patch':
        return yield* this.#patch(operation, folders)
      case 'patchObject':
        return yield* this.#patchObject(operation, folders)
      case 'truncate':
        return yield* this.#truncate(operation, folders)
      case 'remove':
        return this.#remove(operation, folders)
      case 'install':
        return yield* this.#install(operation, folders)
      case 'keep':
        return yield* this.#keep(operation, folders)
    }
  }

  #put(operation: Operation<'put'>, folders: Folders): FileStat {
    const { path, bytes, mode, force = false } = operation
    const found = this.#makeWay(path, force, folders)
    const same = found === undefined ? undefined : this.#rewriteIfEqual(operation, found)
    if (same !== undefined) return same
    const temporary = this.#layout.newTemporary()
    const fd = openSync(temporary, newFlags, mode & 0o777)
    try {
      let written: FileStat
      try {
        writeFully(fd, bytes, 0)
        written = toFileStat(fstatSync(fd))
        // The umask of the process may have cleared bits.
        if (written.mode !== mode) fchmodSync(fd, mode & 0o777)
      } finally {
        closeSync(fd)
      }
      renameSync(temporary, this.#layout.treePath(path))
      return { ...written, mode: mode & 0o777 }
    } catch (error) {
      discard(temporary)
      throw error
    }
  }

  /**
   * Rewrites a file that already has these bytes and this mode, in place; returns undefined for any
   * other file. A recovery repeats every change since the last checkpoint, and most of them find
   * their result there; renaming over an existing file makes some file systems flush it at once.
   * The bytes must still be written: after a failed sync, perhaps of an earlier process, the system
   * may return bytes that are not on the disk, and the next sync would succeed without writing
   * them.
   */
  #rewriteIfEqual({ path, bytes, mode }: Operation<'put'>, found: Stats): FileStat | undefined {
    const isSame = (stats: Stats): boolean =>
      stats.isFile() &&
      stats.nlink <= 1 &&
      stats.size === bytes.byteLength &&
      (stats.mode & 0o777) === (mode & 0o777)
    if (!isSame(found)) return undefined
    let fd: number
    try {
      fd = this.#access.open(this.#layout.treePath(path), writeFlags, mode & 0o777)
    } catch {
      // A running program, or another user's file: the caller replaces it by a new file, or fails.
      return undefined
    }
    try {
      if (!isSame(this.#access.stat(fd))) return undefined
      const held = Buffer.allocUnsafe(bytes.byteLength)
      if (readFully(fd, held, 0, held.length, 0) < held.length || !held.equals(bytes)) {
        return undefined
      }
      writeFully(fd, bytes, 0)
      return toFileStat(this.#access.stat(fd))
    } finally {
      closeSync(fd)
    }
  }

  *#patch(operation: Operation<'patch'>, folders: Folders): Steps {
    const { fd, stats } = yield* this.#openInPlace(operation.path, operation.force, folders)
    try {
      writeFully(fd, operation.bytes, operation.offset)
      // A patch without bytes extends the file to its offset.
      if (operation.bytes.byteLength === 0) extend(fd, operation.offset)
      return { ...toFileStat(this.#access.stat(fd)), sizeBefore: stats.size }
    } finally {
      closeSync(fd)
    }
  }

  *#patchObject(operation: Operation<'patchObject'>, folders: Folders): Steps {
    const object = this.#openObject(operation)
    try {
      const { fd, stats } = yield* this.#openInPlace(operation.path, operation.force, folders)
      try {
        yield* copyBytes(object, fd, operation.offset)
        extend(fd, operation.offset)
        return { ...toFileStat(this.#access.stat(fd)), sizeBefore: stats.size }
      } finally {
        closeSync(fd)
      }
    } finally {
      closeSync(object.fd)
    }
  }

  *#truncate(operation: Operation<'truncate'>, folders: Folders): Steps {
    const { fd, stats } = yield* this.#openInPlace(operation.path, operation.force, folders)
    try {
      if (stats.size !== operation.size) ftruncateSync(fd, operation.size)
      return { ...toFileStat(this.#access.stat(fd)), sizeBefore: stats.size }
    } finally {
      closeSync(fd)
    }
  }

  #remove(operation: Operation<'remove'>, folders: Folders): FileStat | undefined {
    const { path } = operation
    if (!folders.leadToRemovable(path)) return undefined
    const absolute = this.#layout.treePath(path)
    if (lookForFile(absolute) !== undefined) unlinkSync(absolute)
    folders.prune(path)
    return undefined
  }

  *#install(operation: Operation<'install'>, folders: Folders): Steps {
    const { path, mode, force = false } = operation
    const object = this.#layout.objectPath(operation.area, operation.name)
    const target = this.#layout.treePath(path)
    const found = lookForFile(object)
    if (found === undefined && operation.move) {
      return folders.leadTo(path) ? lookForFile(target) : undefined
    }
    if (found === undefined) throw noObject(operation)
    this.#makeWay(path, force, folders)
    if (operation.move) {
      if (found.mode !== mode) chmodSync(object, mode & 0o777)
      renameSync(object, target)
      return { ...found, mode: mode & 0o777 }
    }
    const temporary = this.#layout.newTemporary()
    try {
      yield* this.#copyObject(operation, found.size, temporary)
      chmodSync(temporary, mode & 0o777)
      this.#makeWay(path, force, folders)
      renameSync(temporary, target)
    } catch (error) {
      discard(temporary)
      throw error
    }
    return lookForFile(target)
  }

  *#copyObject(operation: Operation<'install'>, size: number, to: string): Generator<void, void> {
    const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = constants
    const object = this.#layout.objectPath(operation.area, operation.name)
    // The operating system copies small files in one call, and clones large ones where the file
    // system supports it.
    const small = size < sliceBytes
    try {
      copyFileSync(object, to, COPYFILE_EXCL | (small ? COPYFILE_FICLONE : COPYFILE_FICLONE_FORCE))
      return
    } catch (error) {
      if (small || isOutOfSpace(error)) throw error
      discard(to)
    }
    const from = this.#openObject(operation)
    try {
      yield* copyToNew(from, to, false)
    } finally {
      closeSync(from.fd)
    }
  }

  *#keep(operation: Operation<'keep'>, folders: Folders): Steps {
    const { path } = operation
    if (!folders.leadToRemovable(path)) return undefined
    const source = this.#layout.treePath(path)
    const object = this.#layout.objectPath(operation.area, operation.name)
    const found = lookForFile(source)
    if (found === undefined || look(object) !== undefined) return found
    if (!operation.copy) {
      intoFolder(object, () => renameSync(source, object))
      folders.prune(path)
      return undefined
    }
    const from = this.#access.openToRead(source)
    if (from === undefined) return undefined
    const temporary = this.#layout.newTemporary()
    try {
      // Synced before the rename, so that an existing object is complete even after a power cut.
      yield* copyToNew(from, temporary, true)
      intoFolder(object, () => renameSync(temporary, object))
    } catch (error) {
      discard(temporary)
      throw error
    } finally {
      closeSync(from.fd)
    }
    return lookForFile(source)
  }

  #openObject(operation: Operation<'install' | 'patchObject'>): OpenFile {
    const object = this.#access.openToRead(this.#layout.objectPath(operation.area, operation.name))
    if (object === undefined) throw noObject(operation)
    return object
  }

  /**
   * Opens the file to be changed in place. A file with several names is first replaced by a copy.
   */
  *#openInPlace(
    path: string,
    force: boolean | undefined,
    folders: Folders,
  ): Generator<void, OpenFile> {
    for (let copies = 0; ; copies += 1) {
      this.#makeWay(path, force ?? false, folders)
      const absolute = this.#layout.treePath(path)
      const file = this.#openRegular(path, this.#access.open(absolute, writeFlags, defaultMode))
      // After the last copy it may have got another name again, for example while another thread
      // lends it a mode.
      if (file.stats.nlink <= 1 || copies === copiesMax) return file
      try {
        yield* this.#copyAlone(file, absolute)
      } finally {
        closeSync(file.fd)
      }
    }
  }

  #openRegular(path: string, fd: number): OpenFile {
    const stats = fstatSync(fd)
    if (stats.isFile()) return { fd, stats }
    closeSync(fd)
    throw storageFailed(`${JSON.stringify(path)} is not a regular file`, path)
  }

  /** Replaces the file by a copy, unless the path has another file by then. */
  *#copyAlone(file: OpenFile, absolute: string): Generator<void, void> {
    const { mode } = this.#access.stat(file.fd)
    const temporary = this.#layout.newTemporary()
    try {
      // Synced before the rename, because the journal contains only the change and not the bytes
      // before it.
      yield* copyToNew(file, temporary, true)
      chmodSync(temporary, mode & 0o777)
      const found = look(absolute)
      if (found?.ino === file.stats.ino && found.dev === file.stats.dev) {
        renameSync(temporary, absolute)
        return
      }
    } catch (error) {
      discard(temporary)
      throw error
    }
    discard(temporary)
  }

  /**
   * Creates the folders and removes what obstructs the path. Returns the stat of a regular file at
   * the path.
   */
  #makeWay(path: string, force: boolean, folders: Folders): Stats | undefined {
    folders.make(path, force)
    const absolute = this.#layout.treePath(path)
    const stats = look(absolute)
    if (stats === undefined || stats.isFile()) return stats
    if (stats.isDirectory()) {
      removeEmptyFolders(absolute, path, path)
      folders.clear()
    } else if (force) {
      unlinkSync(absolute)
    } else {
      const what = stats.isSymbolicLink() ? 'a symbolic link' : 'a special file'
      throw pathBlocked(path, path, `is ${what}`)
    }
    return undefined
  }
}

function* copyToNew(from: OpenFile, to: string, sync: boolean): Generator<void, void> {
  const fd = openSync(to, newFlags, defaultMode)
  try {
    yield* copyBytes(from, fd, 0)
    if (sync) fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Removes a folder that contains nothing but folders. */
function removeEmptyFolders(absolute: string, folder: string, path: string): void {
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    const below = `${folder}/${entry.name}`
    if (!entry.isDirectory()) throw pathBlocked(path, below, 'lies below it')
    removeEmptyFolders(`${absolute}/${entry.name}`, below, path)
  }
  rmdirSync(absolute)
}

function isOutOfSpace(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'ENOSPC' || errno === 'EDQUOT'
}

function discard(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It was never created, or was renamed; a leftover is removed at the next open.
  }
}

function noObject(operation: Operation<'install' | 'patchObject'>): Error {
  return storageFailed(
    `there is no object ${operation.area}/${operation.name} for ${JSON.stringify(operation.path)}`,
    operation.path,
  )
}
