/**
 * Moves files that a restore received to their paths in the tree, whole folders at once where
 * possible.
 */

import { readdirSync, renameSync, rmdirSync } from 'node:fs'
import { isMissing } from '../base/durable.js'
import { errnoOf } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import { look } from './files.js'
import type { TakenIn } from './work.js'

/** Errors of a rename or removal that mean: the target is a non-empty folder, or not a folder. */
const inTheWay: ReadonlySet<string | undefined> = new Set([
  'ENOTEMPTY',
  'EEXIST',
  'EPERM',
  'ENOTDIR',
])

/**
 * Moves all incoming files. A folder is moved whole only where none, or an empty one, exists;
 * otherwise its entries are moved one by one.
 */
export function takeIn(layout: Layout): TakenIn {
  const taken: { folders: string[]; replaced: string[] } = { folders: [], replaced: [] }
  merge(layout, '', taken)
  return taken
}

/** Moves the entries of an incoming folder into the folder of the tree with the same name. */
function merge(
  layout: Layout,
  folder: string,
  taken: { folders: string[]; replaced: string[] },
): void {
  const before = taken.replaced.length
  let moved = false
  for (const entry of readdirSync(layout.incoming(folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    const from = layout.incoming(path)
    if (!entry.isDirectory()) {
      const found = look(layout.treePath(path))
      if (found !== undefined && !found.isFile()) continue
      renameSync(from, layout.treePath(path))
      taken.replaced.push(path)
    } else if (moveFolder(from, layout.treePath(path))) {
      moved = true
    } else if (look(layout.treePath(path))?.isDirectory() === true) {
      merge(layout, path, taken)
      removeIfEmpty(from)
    }
  }
  if (moved || taken.replaced.length > before) taken.folders.push(folder)
}

function moveFolder(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (inTheWay.has(errnoOf(error))) return false
    throw error
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    if (!isMissing(error) && !inTheWay.has(errnoOf(error))) throw error
  }
}
