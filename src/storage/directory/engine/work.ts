/** The calls from the main thread to a worker and their answers: plain data and buffers only. */

import type { ObjectArea, ObjectInfo, ObjectSlice } from '../../../interfaces/object-store.js'
import type {
  AppliedStat,
  FileStat,
  Obstacle,
  ReadRequest,
  TreeOperation,
} from '../../../interfaces/tree-store.js'

/** Every kind of call, with its argument and its answer. */
export interface Work {
  stat: { ask: { readonly paths: readonly string[] }; answer: Float64Array }
  obstacles: { ask: { readonly paths: readonly string[] }; answer: (Obstacle | undefined)[] }
  /**
   * Answers seven numbers for each request: `start` and `length` in the buffer, the stat, and
   * whether the file is sparse.
   */
  read: {
    ask: { readonly requests: readonly ReadRequest[]; readonly into: Uint8Array }
    answer: Float64Array
  }
  apply: { ask: { readonly operations: readonly TreeOperation[] }; answer: Float64Array }
  takeIn: { ask: undefined; answer: TakenIn }
  /**
   * `begins`: the first batch. A restarted thread has lost the scans under way and must not begin
   * one anew in the middle.
   */
  scan: { ask: { readonly scan: number; readonly begins: boolean }; answer: ScanBatch }
  scanEnd: { ask: { readonly scan: number }; answer: undefined }
  syncFiles: { ask: SyncRequest; answer: undefined }
  objectList: { ask: { readonly area: ObjectArea; readonly prefix: string }; answer: ObjectInfo[] }
  objectWrite: { ask: ObjectWrite; answer: undefined }
  objectRead: { ask: ObjectRead; answer: Uint8Array }
  objectRemove: {
    ask: { readonly area: ObjectArea; readonly names: readonly string[] }
    answer: undefined
  }
  /** Waits for background work. */
  settle: { ask: undefined; answer: undefined }
}

export type WorkKind = keyof Work

/** The result of moving all incoming files. */
export interface TakenIn {
  /** Folders of the tree that got new entries. */
  readonly folders: readonly string[]
  /** Files that were moved singly, in place of a file or into an existing folder. */
  readonly replaced: readonly string[]
}

/** One batch of a scan. */
export interface ScanBatch {
  readonly paths: readonly string[]
  readonly stats: Float64Array
  readonly skipped: readonly (readonly [path: string, why: string])[]
  readonly done: boolean
}

/** Files to fsync, with all folders above them up to the tree's root or the state folder. */
export interface SyncRequest {
  readonly base: 'tree' | ObjectArea
  readonly names: readonly string[]
}

export interface ObjectWrite {
  readonly area: ObjectArea
  readonly buffer: Uint8Array
  readonly slices: readonly ObjectSlice[]
}

export interface ObjectRead {
  readonly area: ObjectArea
  readonly name: string
  readonly offset: number
  readonly length: number
}

/** Numbers of one packed stat: size, mtimeMs, inode, mode. */
export const statNumbers = 4
/** Numbers of one packed answer to an operation: a stat, and the size before the operation. */
export const appliedNumbers: number = statNumbers + 1
/** Numbers of one packed read result: start, length, a stat, and 1 for a file that is sparse. */
export const readNumbers: number = 3 + statNumbers

/** Writes a stat as four numbers at `at`; a missing one has the size NaN. */
export function packStat(target: Float64Array, at: number, stat: FileStat | undefined): void {
  target[at] = stat === undefined ? Number.NaN : stat.size
  if (stat === undefined) return
  target[at + 1] = stat.mtimeMs
  target[at + 2] = stat.inode
  target[at + 3] = stat.mode
}

/** Reads what {@link packStat} wrote. */
export function unpackStat(source: Float64Array, at: number): FileStat | undefined {
  const size = source[at]!
  if (Number.isNaN(size)) return undefined
  return { size, mtimeMs: source[at + 1]!, inode: source[at + 2]!, mode: source[at + 3]! }
}

/** Writes the state after an operation as five numbers at `at`; an unknown size before is NaN. */
export function packApplied(target: Float64Array, at: number, stat: AppliedStat | undefined): void {
  packStat(target, at, stat)
  target[at + statNumbers] = stat?.sizeBefore ?? Number.NaN
}

/** Reads what {@link packApplied} wrote for many. */
export function unpackApplied(source: Float64Array): (AppliedStat | undefined)[] {
  const stats: (AppliedStat | undefined)[] = []
  for (let at = 0; at < source.length; at += appliedNumbers) {
    const stat = unpackStat(source, at)
    const sizeBefore = source[at + statNumbers]!
    stats.push(stat === undefined || Number.isNaN(sizeBefore) ? stat : { ...stat, sizeBefore })
  }
  return stats
}

/** Reads many stats. */
export function unpackStats(source: Float64Array): (FileStat | undefined)[] {
  const stats: (FileStat | undefined)[] = []
  for (let at = 0; at < source.length; at += statNumbers) stats.push(unpackStat(source, at))
  return stats
}
