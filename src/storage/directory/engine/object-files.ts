/** Objects as files in the folder of their area, with synchronous calls. */

import {
  closeSync,
  constants,
  type Dirent,
  fchmodSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { ObjectArea, ObjectInfo, ObjectSlice } from '../../../interfaces/object-store.js'
import { storageFailed } from '../../failure.js'
import { checkObjectName } from '../../names.js'
import { isMissing, noFollow } from '../base/durable.js'
import { errnoOf } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import type { Access } from './access.js'
import { intoFolder, look, readFully, writeWithHoles } from './files.js'
import type { ObjectRead, ObjectWrite } from './work.js'

const objectFlags = constants.O_WRONLY | constants.O_CREAT | noFollow
/**
 * The mode of new objects. Most files have it, so an object that becomes a file of the tree rarely
 * needs a chmod.
 */
const objectMode = 0o644

const umask = process.umask()

/** The objects of an area, sorted by name. */
export function listObjects(layout: Layout, area: ObjectArea, prefix: string): ObjectInfo[] {
  const objects: ObjectInfo[] = []
  const root = layout.objectFolder(area)
  const collect = (folder: string): void => {
    for (const entry of readEntries(`${root}/${folder}`)) {
      const name = `${folder}${entry.name}`
      const below = `${name}/`
      if (entry.isDirectory()) {
        if (below.startsWith(prefix) || prefix.startsWith(below)) collect(below)
      } else if (entry.isFile() && name.startsWith(prefix)) {
        const stats = look(`${root}/${name}`)
        if (stats !== undefined) objects.push({ name, bytes: stats.size })
      }
    }
  }
  collect('')
  return objects.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Writes slices of a buffer; consecutive slices of one object use one open file. Blocks of zeros
 * become holes, because the file at the sender may have been sparse.
 */
export function writeObjects(layout: Layout, access: Access, work: ObjectWrite): void {
  let open: { name: string; fd: number } | undefined
  try {
    for (const slice of work.slices) {
      if (open?.name !== slice.name) {
        if (open !== undefined) closeSync(open.fd)
        open = undefined
        const path = layout.objectPath(work.area, slice.name)
        open = { name: slice.name, fd: openObject(access, path, slice) }
      }
      writeWithHoles(
        open.fd,
        work.buffer.subarray(slice.start, slice.start + slice.length),
        slice.offset,
      )
    }
  } finally {
    if (open !== undefined) closeSync(open.fd)
  }
}

/** Reads a part of an object. @throws `STORAGE_FAILED` when there is no such object */
export function readObject(layout: Layout, access: Access, work: ObjectRead): Uint8Array {
  const path = layout.objectPath(work.area, work.name)
  const file = access.openToRead(path)
  if (file === undefined) {
    throw storageFailed(`there is no object ${work.area}/${work.name}`, path)
  }
  try {
    const length = Math.max(0, Math.min(work.length, file.stats.size - work.offset))
    const buffer = Buffer.allocUnsafeSlow(length)
    const count = readFully(file.fd, buffer, 0, length, work.offset)
    return buffer.subarray(0, count)
  } finally {
    closeSync(file.fd)
  }
}

/**
 * Removes objects. Folders are only renamed, because removing their content takes long.
 *
 * @returns the renamed folders, to be removed in the background
 */
export function removeObjects(
  layout: Layout,
  area: ObjectArea,
  names: readonly string[],
): string[] {
  const root = layout.objectFolder(area)
  const aside: string[] = []
  for (const name of names) {
    const folder = name.endsWith('/')
    checkObjectName(area, folder ? name.slice(0, -1) : name)
    const path = `${root}/${folder ? name.slice(0, -1) : name}`
    try {
      if (folder) {
        const target = layout.newTemporary()
        if (look(path)?.isDirectory() !== true) continue
        renameSync(path, target)
        aside.push(target)
      } else {
        unlinkSync(path)
      }
    } catch (error) {
      if (isMissing(error) || errnoOf(error) === 'EISDIR') continue
      throw error
    }
    prune(root, path)
  }
  return aside
}

function openObject(access: Access, path: string, { offset, mode }: ObjectSlice): number {
  if (mode === undefined) return intoFolder(path, () => openSync(path, objectFlags, objectMode))
  if (offset === 0) {
    try {
      const fd = intoFolder(path, () => openSync(path, objectFlags | constants.O_EXCL, mode))
      // The umask of the process may have cleared bits.
      if ((mode & umask) !== 0) fchmodSync(fd, mode)
      return fd
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }
  const fd = intoFolder(path, () => access.open(path, objectFlags, mode))
  fchmodSync(fd, mode)
  return fd
}

function readEntries(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Removes the folders above a removed object while they are empty. */
function prune(root: string, path: string): void {
  for (let folder = dirname(path); folder !== root; folder = dirname(folder)) {
    try {
      rmdirSync(folder)
    } catch {
      return
    }
  }
}
