import { randomFillSync } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findProgram, run } from './processes.js'

/** A file of a tree to create. */
export interface PlannedFile {
  readonly path: string
  readonly bytes: number
}

/** A reproducible source of numbers in [0, 1): the same trees in every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function pathOf(index: number): string {
  return `files/${String(Math.floor(index / 100)).padStart(3, '0')}/${String(index).padStart(6, '0')}.dat`
}

/** Files of 1 to 16 KiB. */
export function smallFiles(count: number): PlannedFile[] {
  const random = seeded(1)
  return Array.from({ length: count }, (_, index) => ({
    path: pathOf(index),
    bytes: 1024 + Math.floor(random() * 15 * 1024),
  }))
}

/** Files of one size. */
export function equalFiles(count: number, bytes: number): PlannedFile[] {
  return Array.from({ length: count }, (_, index) => ({ path: `files/large/${index}.dat`, bytes }))
}

/** Files whose sizes are log-normal, with this sum. */
export function mixedFiles(count: number, totalBytes: number): PlannedFile[] {
  const random = seeded(2)
  const sizes = Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    return Math.exp(2 * normal)
  })
  const sum = sizes.reduce((total, size) => total + size, 0)
  return sizes.map((size, index) => ({
    path: pathOf(index),
    bytes: Math.max(16, Math.floor((size / sum) * totalBytes)),
  }))
}

export function totalBytes(files: readonly PlannedFile[]): number {
  return files.reduce((total, file) => total + file.bytes, 0)
}

const poolBytes = 8 * 2 ** 20
const stampEvery = 65_536

/** Writes the files. Their content is incompressible, and no two blocks of 64 KiB are equal. */
export function makeTree(root: string, files: readonly PlannedFile[]): void {
  const pool = randomFillSync(Buffer.allocUnsafe(poolBytes))
  const folders = new Set<string>()
  let stamp = 0
  for (const { path, bytes } of files) {
    const file = join(root, path)
    const folder = dirname(file)
    if (!folders.has(folder)) {
      mkdirSync(folder, { recursive: true })
      folders.add(folder)
    }
    stamp += 1
    pool.writeUInt32LE(stamp, 0)
    if (bytes <= stampEvery) {
      writeFileSync(file, pool.subarray(0, bytes))
      continue
    }
    const descriptor = openSync(file, 'w')
    for (let offset = 0; offset < bytes; offset += poolBytes) {
      for (let at = 0; at < poolBytes; at += stampEvery) {
        stamp += 1
        pool.writeUInt32LE(stamp, at)
      }
      writeSync(descriptor, pool, 0, Math.min(poolBytes, bytes - offset), offset)
    }
    closeSync(descriptor)
  }
}

/** Makes everything on the file system of a folder durable, as `sync -f` does. */
export async function flushFileSystem(folder: string): Promise<void> {
  const program = findProgram(['sync'])
  if (program === undefined) throw new Error('sync is not installed')
  await run(program, ['-f', folder])
}

export function removeTree(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true })
}
