/** Directory trees on the disk: the default one to copy, and the files in a tree. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** A regular file below a folder. */
export interface FoundFile {
  /** Relative to the folder, with `/` between the parts. */
  readonly path: string
  readonly bytes: number
  readonly mode: number
}

/** The regular files below a folder, sorted by path; links and special files are left out. */
export function filesBelow(
  folder: string,
  skip: (path: string) => boolean = () => false,
): FoundFile[] {
  const found: FoundFile[] = []
  const folders = ['']
  for (const prefix of folders) {
    for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
      const path = `${prefix}${entry.name}`
      if (skip(path)) continue
      if (entry.isDirectory()) folders.push(`${path}/`)
      if (!entry.isFile()) continue
      const { size, mode } = statSync(join(folder, path))
      found.push({ path, bytes: size, mode: mode & 0o777 })
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** The tree that the demo copies. */
export interface Tree {
  readonly name: string
  readonly folder: string
  readonly files: readonly FoundFile[]
}

/**
 * Time limit of steps that process the whole tree, in milliseconds; generous, because a slow disk
 * is no failure.
 */
export function patienceMs({ files }: Tree): number {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return Math.round(20_000 + 4 * files.length + bytes / 2_000)
}

const filesMin = 2_000
const filesMax = 5_000
const filesWanted = 2_500
const bytesMax = 100 * 1024 * 1024
const packageBytesMax = 4 * 1024 * 1024

/**
 * The default tree, which every installation has: whole packages of `node_modules`, by name, until
 * there are enough files. Their number and sizes are counted, never assumed.
 */
export function installedPackages(modules: string): Tree {
  const files: FoundFile[] = []
  let bytes = 0
  for (const name of packagesIn(modules)) {
    const own = filesBelow(join(modules, name))
    const ownBytes = own.reduce((sum, file) => sum + file.bytes, 0)
    const tooMuch = files.length + own.length > filesMax || bytes + ownBytes > bytesMax
    if (tooMuch || ownBytes > packageBytesMax) continue
    files.push(...own.map((file) => ({ ...file, path: `${name}/${file.path}` })))
    bytes += ownBytes
    if (files.length >= filesWanted) break
  }
  if (files.length < filesMin) {
    throw new Error(`only ${files.length} files in ${modules}: run npm install, or give --dir PATH`)
  }
  return { name: 'packages of node_modules', folder: modules, files }
}

/** The names of installed packages, scoped ones too. */
function packagesIn(modules: string): string[] {
  const names: string[] = []
  for (const entry of readdirSync(modules, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue
    if (!entry.name.startsWith('@')) {
      names.push(entry.name)
      continue
    }
    for (const scoped of readdirSync(join(modules, entry.name), { withFileTypes: true })) {
      if (scoped.isDirectory()) names.push(`${entry.name}/${scoped.name}`)
    }
  }
  return names.sort()
}
