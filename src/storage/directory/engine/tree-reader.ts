/** Reads the tree with synchronous calls: stats, parts of many files, and a scan of all files. */

import { closeSync, type Dir, type Dirent, opendirSync, readdirSync, type Stats } from 'node:fs'
import type { FileStat, Obstacle, ReadRequest } from '../../../interfaces/tree-store.js'
import { stateFolder } from '../../names.js'
import { errnoOf, isExhausted } from '../base/fs-error.js'
import type { Layout } from '../base/layout.js'
import type { Access } from './access.js'
import { isSparse, look, lookForFile, readFully, toFileStat } from './files.js'
import { Folders } from './folders.js'
import { packStat, readNumbers, type ScanBatch, statNumbers } from './work.js'

/** Files in one batch of a scan. */
const batchFiles = 1000
/** The character by which a decoder replaces bytes that are not valid Unicode. */
const replacementCharacter = '\uFFFD'

/** The stats of files, packed. */
export function statFiles(
  layout: Layout,
  paths: readonly string[],
  folders: Folders,
): Float64Array {
  const stats = new Float64Array(paths.length * statNumbers)
  for (const [index, path] of paths.entries()) {
    const found = folders.leadTo(path) ? lookForFile(layout.treePath(path)) : undefined
    packStat(stats, index * statNumbers, found)
  }
  return stats
}

/** What prevents files at these paths. */
export function findObstacles(
  layout: Layout,
  paths: readonly string[],
  folders: Folders,
): (Obstacle | undefined)[] {
  return paths.map((path) => folders.obstacleTo(path) ?? obstacleAt(layout.treePath(path), path))
}

function obstacleAt(absolute: string, path: string): Obstacle | undefined {
  const stats = look(absolute)
  if (stats === undefined || stats.isFile()) return undefined
  return stats.isDirectory() ? firstBelow(absolute, path) : { path, kind: kindOf(stats) }
}

function firstBelow(absolute: string, folder: string): Obstacle | undefined {
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (!entry.isDirectory()) return { path, kind: kindOf(entry) }
    const below = firstBelow(`${absolute}/${entry.name}`, path)
    if (below !== undefined) return below
  }
  return undefined
}

function kindOf(entry: Stats | Dirent): Obstacle['kind'] {
  if (entry.isSymbolicLink()) return 'link'
  return entry.isFile() ? 'file' : 'special'
}

/**
 * Reads parts of files into `into`, one after the other, and returns where each lies. The caller
 * provides enough space.
 */
export function readFiles(
  layout: Layout,
  access: Access,
  requests: readonly ReadRequest[],
  into: Uint8Array,
): Float64Array {
  const folders = new Folders(layout)
  const results = new Float64Array(requests.length * readNumbers)
  let end = 0
  for (const [index, request] of requests.entries()) {
    const at = index * readNumbers
    const file = folders.leadTo(request.path)
      ? access.openToRead(layout.treePath(request.path))
      : undefined
    if (file === undefined) {
      packStat(results, at + 2, undefined)
      continue
    }
    try {
      const length = readFully(file.fd, into, end, request.length, request.offset)
      results[at] = end
      results[at + 1] = length
      packStat(results, at + 2, toFileStat(file.stats))
      results[at + 2 + statNumbers] = isSparse(file.stats) ? 1 : 0
      end += length
    } finally {
      closeSync(file.fd)
    }
  }
  return results
}

/** Walks the whole tree, one batch at a time. */
export class TreeScan {
  readonly #layout: Layout
  /** Folders not yet read; '' is the root. */
  readonly #waiting: string[] = ['']
  #open: { folder: string; handle: Dir } | undefined
  #paths: string[] = []
  #stats: FileStat[] = []
  #skipped: [string, string][] = []

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** The next batch; `done` comes with the last one. */
  next(): ScanBatch {
    this.#paths = []
    this.#stats = []
    this.#skipped = []
    let done = false
    while (this.#paths.length + this.#skipped.length < batchFiles && !done) done = !this.#step()
    const stats = new Float64Array(this.#stats.length * statNumbers)
    for (const [index, stat] of this.#stats.entries()) packStat(stats, index * statNumbers, stat)
    return { paths: this.#paths, stats, skipped: this.#skipped, done }
  }

  /** Closes the open folder. */
  end(): void {
    this.#open?.handle.closeSync()
    this.#open = undefined
    this.#waiting.length = 0
  }

  /** Processes one entry; false at the end of the tree. */
  #step(): boolean {
    if (this.#open === undefined) {
      const folder = this.#waiting.pop()
      if (folder === undefined) return false
      this.#openFolder(folder)
      return true
    }
    const { folder, handle } = this.#open
    const entry = handle.readSync()
    if (entry === null) {
      handle.closeSync()
      this.#open = undefined
    } else if (folder !== '' || entry.name.toLowerCase() !== stateFolder) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory() && !entry.name.includes(replacementCharacter))
        this.#waiting.push(path)
      else this.#take(path)
    }
    return true
  }

  #openFolder(folder: string): void {
    try {
      const absolute = folder === '' ? this.#layout.root : this.#layout.treePath(folder)
      // The folder may have been replaced by a link since it was listed.
      if (folder !== '' && look(absolute)?.isDirectory() !== true) return
      this.#open = { folder, handle: opendirSync(absolute, { bufferSize: batchFiles }) }
    } catch (error) {
      const errno = errnoOf(error)
      if (folder === '' || errno === undefined || isExhausted(error)) throw error
      if (errno !== 'ENOENT') this.#skipped.push([folder, `the folder cannot be read: ${errno}`])
    }
  }

  #take(path: string): void {
    const stats = look(this.#layout.treePath(path))
    if (stats === undefined) {
      // Decoded with a replacement, the name leads nowhere; other names vanished since they were
      // listed.
      if (path.includes(replacementCharacter))
        this.#skipped.push([path, 'the name is no valid Unicode'])
    } else if (stats.isFile()) {
      this.#paths.push(path)
      this.#stats.push(toFileStat(stats))
    } else if (stats.isDirectory()) {
      this.#waiting.push(path)
    } else {
      const what = stats.isSymbolicLink() ? 'a symbolic link' : 'a special file'
      this.#skipped.push([path, `it is ${what}`])
    }
  }
}
