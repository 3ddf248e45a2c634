/** Synchronous calls on single files, as the worker uses them. */

import {
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { FileStat } from '../../../interfaces/tree-store.js'
import { blockBytes, dataRuns, isWhole } from '../../../util/zero-runs.js'
import { storageFailed } from '../../failure.js'
import { noFollow } from '../base/durable.js'
import { errnoOf } from '../base/fs-error.js'

/**
 * Bytes of a large file that are copied before others get their turn: a millisecond, or some when
 * the disk is busy.
 */
export const sliceBytes: number = 1024 * 1024

// Without O_NONBLOCK, opening a pipe would wait for its writer for ever.
const nonBlocking = constants.O_NONBLOCK ?? 0
/** Flags for reading a file that may turn out to be a link or a pipe. */
export const readFlags: number = constants.O_RDONLY | noFollow | nonBlocking
/** Flags for writing into a file in place. */
export const writeFlags: number = constants.O_RDWR | constants.O_CREAT | noFollow | nonBlocking
/** Flags for a file that must be new. */
export const newFlags: number = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow

/** What of a file's stat the tree tells. */
export function toFileStat(stats: Stats): FileStat {
  return {
    size: stats.size,
    mtimeMs: stats.mtimeMs,
    inode: stats.ino,
    mode: stats.mode & 0o777,
  }
}

/** The stat of what stands at a path, links not followed. */
export function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

/** The stat of a regular file; undefined for all else. */
export function lookForFile(path: string): FileStat | undefined {
  const stats = look(path)
  return stats?.isFile() === true ? toFileStat(stats) : undefined
}

/** An open regular file. */
export interface OpenFile {
  readonly fd: number
  readonly stats: Stats
}

/** Whether an open failed because there is no regular file: nothing, a link, a socket. */
export function isNoFile(errno: string | undefined): boolean {
  return (
    errno === 'ENOENT' ||
    errno === 'ENOTDIR' ||
    errno === 'ELOOP' ||
    errno === 'ENXIO' ||
    errno === 'EISDIR'
  )
}

/** Makes something at a path; when its folder is missing, makes that first. */
export function intoFolder<Made>(path: string, make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirSync(dirname(path), { recursive: true })
    return make()
  }
}

/** Reads until the target is full or the file ends; answers the bytes read. */
export function readFully(
  fd: number,
  target: Uint8Array,
  start: number,
  length: number,
  position: number,
): number {
  let done = 0
  while (done < length) {
    const count = readSync(fd, target, start + done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** Writes all bytes at a position. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0
  while (done < bytes.byteLength) {
    const count = writeSync(fd, bytes, done, bytes.byteLength - done, position + done)
    if (count === 0) throw storageFailed('the device took no bytes')
    done += count
  }
}

/** Bytes that a file system counts as one block of `stat`, whatever its own blocks are. */
const statBlockBytes = 512

/** Whether a file takes less room than it is long, so that zeros in it may be holes. */
export function isSparse({ size, blocks }: Stats): boolean {
  // Not told on every platform.
  return blocks !== undefined && size >= blockBytes && blocks * statBlockBytes < size
}

/** Makes a file at least this long; what comes before stays a hole. */
export function extend(fd: number, size: number): void {
  if (fstatSync(fd).size < size) ftruncateSync(fd, size)
}

/**
 * Writes all bytes at a position. Blocks of zeros beyond the end of the file become holes, where
 * the file system has such.
 */
export function writeWithHoles(fd: number, bytes: Uint8Array, position: number): void {
  const runs = dataRuns(bytes, position)
  if (isWhole(runs, bytes.byteLength)) return writeFully(fd, bytes, position)
  // Zeros over what is there already have to be written.
  const within = Math.min(bytes.byteLength, Math.max(0, fstatSync(fd).size - position))
  if (within > 0) writeFully(fd, bytes.subarray(0, within), position)
  for (const { start, length } of runs) {
    const from = Math.max(start, within)
    const end = start + length
    if (from < end) writeFully(fd, bytes.subarray(from, end), position + from)
  }
  extend(fd, position + bytes.byteLength)
}

/**
 * Copies a whole open file to a place in another one. Holes stay such where nothing stood before.
 * Pauses (yields) after every slice, never for a file that is smaller than one.
 */
export function* copyBytes(from: OpenFile, to: number, offset: number): Generator<void, void> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(sliceBytes, Math.max(1, from.stats.size)))
  const write = isSparse(from.stats) ? writeWithHoles : writeFully
  let done = 0
  for (;;) {
    const count = readFully(from.fd, buffer, 0, buffer.byteLength, done)
    if (count > 0) write(to, buffer.subarray(0, count), offset + done)
    done += count
    if (count < sliceBytes) return
    yield
  }
}
