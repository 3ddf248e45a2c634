/**
 * Checks that the folders on the way to a path are real folders inside the root, not links. Each
 * batch of work examines a folder once; after a pause it must be examined again, because another
 * program may have replaced it by a link.
 */

import { lstatSync, mkdirSync, rmdirSync, unlinkSync } from 'node:fs'
import type { Obstacle } from '../../../interfaces/tree-store.js'
import { pathBlocked, storageFailed } from '../../failure.js'
import { parentOf } from '../../names.js'
import { errnoOf } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'

/**
 * Folders created for one path, including those that others remove meanwhile; then the call is
 * `STORAGE_FAILED`.
 */
const roundsMax = 10_000

type Found = 'folder' | Obstacle['kind'] | 'missing'

/** The folders examined in one batch. */
export class Folders {
  readonly #layout: Layout
  readonly #real = new Set<string>([''])

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Forgets what was examined; needed after every pause. */
  clear(): void {
    this.#real.clear()
    this.#real.add('')
  }

  /** Whether real folders lead to the path; false with a link on the way. */
  leadTo(path: string): boolean {
    return this.#blockedAt(parentOf(path)) === undefined
  }

  /** What prevents folders from leading to the path; a missing folder does not. */
  obstacleTo(path: string): Obstacle | undefined {
    const blocked = this.#blockedAt(parentOf(path))
    if (blocked === undefined || blocked.found === 'missing') return undefined
    return { path: blocked.folder, kind: blocked.found }
  }

  /**
   * Like {@link leadTo}, for operations that remove.
   *
   * @throws `PATH_BLOCKED` when a link is on the way
   */
  leadToRemovable(path: string): boolean {
    const blocked = this.#blockedAt(parentOf(path))
    if (blocked?.found === 'link') throw throughLink(path, blocked.folder)
    return blocked === undefined
  }

  /**
   * Creates the missing folders on the way to the path.
   *
   * @param force - whether a file that has the path of a folder is removed
   * @throws `PATH_BLOCKED` when a link, or a file that may not be removed, is on the way
   */
  make(path: string, force: boolean): void {
    const folder = parentOf(path)
    // Every round creates one folder. Other programs may remove folders meanwhile, so the rounds
    // are limited.
    for (let round = 0; round < roundsMax; round += 1) {
      const blocked = this.#blockedAt(folder)
      if (blocked === undefined) return
      const { found, folder: at } = blocked
      if (found === 'link') throw throughLink(path, at)
      if (found !== 'missing' && !(force && found === 'file')) {
        throw pathBlocked(path, at, 'is not a folder')
      }
      if (found === 'file') unlinkSync(this.#layout.treePath(at))
      this.#create(at)
    }
    throw storageFailed(
      `the folders of ${JSON.stringify(path)} vanish as fast as they are made`,
      path,
    )
  }

  /** Removes the folders above a removed path while they are empty. */
  prune(path: string): void {
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      try {
        rmdirSync(this.#layout.treePath(folder))
      } catch {
        // Not empty, or in use; an empty folder that stays is harmless.
        return
      }
      this.#real.delete(folder)
    }
  }

  /** The first entry on the way to `folder`, itself included, that is not a real folder. */
  #blockedAt(folder: string): { folder: string; found: Exclude<Found, 'folder'> } | undefined {
    if (this.#real.has(folder)) return undefined
    const above = this.#blockedAt(parentOf(folder))
    if (above !== undefined) return above
    const found = this.#lookAt(folder)
    if (found !== 'folder') return { folder, found }
    this.#real.add(folder)
    return undefined
  }

  #lookAt(folder: string): Found {
    const stats = lstatSync(this.#layout.treePath(folder), { throwIfNoEntry: false })
    if (stats === undefined) return 'missing'
    if (stats.isDirectory()) return 'folder'
    if (stats.isSymbolicLink()) return 'link'
    return stats.isFile() ? 'file' : 'special'
  }

  #create(folder: string): void {
    try {
      mkdirSync(this.#layout.treePath(folder))
    } catch (error) {
      // Another program created or removed something; the next round examines it again.
      if (errnoOf(error) === 'ENOENT') this.clear()
      else if (errnoOf(error) !== 'EEXIST') throw error
    }
  }
}

function throughLink(path: string, folder: string): Error {
  return pathBlocked(path, folder, 'is a symbolic link and may lead out of the root')
}
