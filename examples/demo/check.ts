/** The final check: every file on every disk, and every acknowledged write. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { countOf, pathOf } from './content.js'
import type { Ack } from './messages.js'
import { filesBelow } from './tree.js'

/** The content of one disk: the hash of each replicated file. */
export interface Disk {
  readonly hashes: ReadonlyMap<string, string>
  readonly bytes: number
}

/** Files that belong to the machine: the library's own state, and what the policy never syncs. */
function isLocal(path: string): boolean {
  return path === '.hotspare' || path === 'machine.txt'
}

function hashOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

export function readDisk(folder: string): Disk {
  const files = filesBelow(folder, isLocal)
  const hashes = new Map(files.map(({ path }) => [path, hashOf(join(folder, path))]))
  return { hashes, bytes: files.reduce((sum, file) => sum + file.bytes, 0) }
}

/** Paths whose content differs between disks. */
export function differing(disks: readonly Disk[]): string[] {
  const paths = new Set(disks.flatMap((disk) => [...disk.hashes.keys()]))
  return [...paths].filter((path) => {
    return new Set(disks.map((disk) => disk.hashes.get(path))).size > 1
  })
}

/** Files of the tree that a disk lacks, or has with bytes other than those written. */
export function differingFromTree(disk: Disk, tree: ReadonlyMap<string, string>): string[] {
  return [...tree]
    .map(([path, hash]) => ({ path: `tree/${path}`, hash }))
    .filter(({ path, hash }) => disk.hashes.get(path) !== hash)
    .map(({ path }) => path)
}

/**
 * Acknowledged writes that are missing on this disk: neither they nor a later write of the same
 * file are there.
 */
export function lostWrites(folder: string, acks: readonly Ack[]): Ack[] {
  const last = new Map<string, Ack>()
  for (const ack of acks) {
    const path = pathOf(ack.writer, ack.count)
    if ((last.get(path)?.count ?? -1) < ack.count) last.set(path, ack)
  }
  const found = new Map<string, number>()
  for (const [path, { writer }] of last) {
    const file = join(folder, path)
    const count = existsSync(file) ? countOf(writer, readFileSync(file)) : undefined
    // A write belongs to one file only.
    if (count !== undefined && pathOf(writer, count) === path) found.set(path, count)
  }
  return acks.filter(({ writer, count }) => (found.get(pathOf(writer, count)) ?? -1) < count)
}
