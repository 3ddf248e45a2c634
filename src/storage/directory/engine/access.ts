/**
 * Opens files whose own permissions exclude their owner. An application may give a file any mode,
 * and its bytes must be read and replicated all the same.
 *
 * Such a file gets the permission only while it is being opened ("lent"). Meanwhile it has a second
 * name among the temporary files, and its mode is changed through that name. So a file that
 * replaces it at its path is not affected; and if the process dies in between, the next open of the
 * storage finds the file, with its mode in the temporary name.
 *
 * Invariant: of all threads of a storage only one lends at a time, and none mistakes a lent mode
 * for the file's own.
 */

import {
  chmodSync,
  closeSync,
  fstatSync,
  linkSync,
  openSync,
  renameSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { errnoOf, isForbidden } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import { isNoFile, look, type OpenFile, readFlags } from './files.js'

/** The permission that reading and writing in place need. */
const lentMode = 0o600
const lentName = /^lent-([0-7]{1,3})-/
/** Longest wait for another thread that lends, in case that thread died. */
const patienceMs = 1000

/**
 * Memory that the threads of one storage share. At 0: 1 while a thread lends. At 1: how often
 * lending began or ended, so it is odd while a thread lends.
 */
export type LendingState = Int32Array<SharedArrayBuffer>

export function newLendingState(): LendingState {
  return new Int32Array(new SharedArrayBuffer(8))
}

/** Opens files of one storage for one thread. */
export class Access {
  readonly #layout: Layout
  readonly #state: LendingState

  constructor(layout: Layout, state: LendingState) {
    this.#layout = layout
    this.#state = state
  }

  /** Opens a file, regardless of its mode. */
  open(path: string, flags: number, mode?: number): number {
    try {
      return openSync(path, flags, mode)
    } catch (error) {
      if (!isForbidden(error) || look(path)?.isFile() !== true) throw error
      return this.#exclusively(() => this.#openLent(path, flags, error))
    }
  }

  /** Opens a regular file for reading; undefined when there is none at the path. */
  openToRead(path: string): OpenFile | undefined {
    let fd: number
    try {
      fd = this.open(path, readFlags)
    } catch (error) {
      if (isNoFile(errnoOf(error))) return undefined
      throw error
    }
    try {
      const stats = this.stat(fd)
      if (stats.isFile()) return { fd, stats }
    } catch (error) {
      closeSync(fd)
      throw error
    }
    closeSync(fd)
    return undefined
  }

  /** The stat of an open file, with its own mode. */
  stat(fd: number): Stats {
    const before = Atomics.load(this.#state, 1)
    const stats = fstatSync(fd)
    const isOwn = before % 2 === 0 && Atomics.load(this.#state, 1) === before
    return isOwn ? stats : this.#exclusively(() => fstatSync(fd))
  }

  #openLent(path: string, flags: number, cause: unknown): number {
    const second = this.#layout.newTemporary()
    try {
      linkSync(path, second)
    } catch (error) {
      // Another user's file, or a file system without hard links: the original error is thrown.
      throw isForbidden(error) ? cause : error
    }
    let name = second
    try {
      const found = look(second)
      if (found?.isFile() !== true) throw cause
      const mode = found.mode & 0o777
      name = this.#layout.newTemporary(`lent-${mode.toString(8)}-`)
      renameSync(second, name)
      chmodSync(name, mode | lentMode)
      try {
        return openSync(name, flags)
      } finally {
        chmodSync(name, mode)
      }
    } finally {
      unlinkSync(name)
    }
  }

  /** Runs `work` while no other thread lends. */
  #exclusively<Result>(work: () => Result): Result {
    const state = this.#state
    while (Atomics.compareExchange(state, 0, 0, 1) !== 0) {
      if (Atomics.wait(state, 0, 1, patienceMs) === 'timed-out') break
    }
    Atomics.add(state, 1, 1)
    try {
      return work()
    } finally {
      Atomics.add(state, 1, 1)
      Atomics.store(state, 0, 0)
      Atomics.notify(state, 0)
    }
  }
}

/**
 * Restores the mode of a file if `name` is the temporary name of one that was lent a permission
 * when the process died.
 */
export function restoreMode(layout: Layout, name: string): void {
  const mode = lentName.exec(name)?.[1]
  const path = `${layout.temporary}/${name}`
  if (mode !== undefined && look(path)?.isFile() === true) chmodSync(path, Number.parseInt(mode, 8))
}
