/** Synchronous calls on single files, for the worker thread. */

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
 * Bytes of a large file that are copied before other calls get a turn: about a millisecond, more
 * when the disk is busy.
 */
export const sliceBytes: number = 1024 * 1024

// Without O_NONBLOCK, opening a pipe would block until a writer opens it.
const nonBlocking = constants.O_NONBLOCK ?? 0
/** Flags for reading a file that may turn out to be a link or a pipe. */
export const readFlags: number = constants.O_RDONLY | noFollow | nonBlocking
/** Flags for writing into a file in place. */
export const writeFlags: number = constants.O_RDWR | constants.O_CREAT | noFollow | nonBlocking
/** Flags for a file that must be new. */
export const newFlags: number = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow

/** The part of a file's stat that the tree returns. */
export function toFileStat(stats: Stats): FileStat {
  return {
    size: stats.size,
    mtimeMs: stats.mtimeMs,
    inode: stats.ino,
    mode: stats.mode & 0o777,
  }
}

/** The stat of a path; links are not followed. */
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

/** Creates something at a path; if its folder is missing, creates that first. */
export function intoFolder<Made>(path: string, make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    mkdirSync(dirname(path), { recursive: true })
    return make()
  }
}

/** Reads until `length` bytes are read or the file ends; returns the number of bytes read. */
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
    if (count === 0) throw storageFailed('the device wrote no bytes')
    done += count
  }
}

/** Unit of `blocks` in a stat, whatever the block size of the file system. */
const statBlockBytes = 512

/** Whether a file occupies less space than its length, so that zeros in it may be holes. */
export function isSparse({ size, blocks }: Stats): boolean {
  // `blocks` is missing on some platforms.
  return blocks !== undefined && size >= blockBytes && blocks * statBlockBytes < size
}

/** Extends a file to at least this length; the gap becomes a hole. */
export function extend(fd: number, size: number): void {
  if (fstatSync(fd).size < size) ftruncateSync(fd, size)
}

/**
 * Writes all bytes at a position. Blocks of zeros beyond the end of the file become holes, where
 * the file system supports them.
 */
export function writeWithHoles(fd: number, bytes: Uint8Array, position: number): void {
  const runs = dataRuns(bytes, position)
  if (isWhole(runs, bytes.byteLength)) return writeFully(fd, bytes, position)
  // Within the file, zeros must be written over the old bytes.
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
 * Copies a whole open file to an offset in another one. Holes stay holes beyond the end of the
 * target. Yields after every full slice, so never for a file smaller than one.
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
