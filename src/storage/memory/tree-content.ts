/**
 * The files of a memory storage, with what of them a power cut would leave. Each path has the state of its
 * last sync and the states since then; a crash keeps any number of them from the front, independently of all
 * other paths, and may tear the last one kept.
 */

import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { FileStat, Obstacle, TreeEntry } from '../../interfaces/storage.js'
import { pathBlocked } from '../failure.js'
import { parentOf } from '../names.js'
import { Bytes, pick, tear, toss } from './bytes.js'
import type { ObjectContent } from './object-content.js'

/** States that a path keeps; a real disk, too, writes out what lies around for long. */
const STATES_MAX = 64

/** One file. */
export interface MemoryFile {
  readonly bytes: Bytes
  readonly mode: number
  readonly mtimeMs: number
  readonly inode: number
}

/** How a change reaches the disk. */
export interface Change {
  readonly file: MemoryFile | undefined
  /** What a power cut can leave halfway: nothing, a part of the whole file, or a part of the change in place. */
  readonly tears: 'never' | 'whole' | 'inPlace'
  /** Takes back what the change did elsewhere. */
  readonly undo?: () => void
  /** Told when the change is durable. */
  readonly settled?: () => void
}

interface Unsynced {
  base: MemoryFile | undefined
  readonly changes: Change[]
}

/** All files. */
export class TreeContent {
  readonly #tracked: boolean
  readonly #objects: ObjectContent
  readonly #clock: Clock | undefined
  readonly #files = new Map<string, MemoryFile>()
  /** Files below each folder. */
  readonly #folders = new Map<string, number>()
  readonly #unsynced = new Map<string, Unsynced>()
  /** Paths whose last sync failed. */
  readonly failed: Set<string> = new Set()
  #lastInode = 0
  #lastMtimeMs = 0

  /** @param from - what it begins with, durable */
  constructor(
    tracked: boolean,
    objects: ObjectContent,
    clock: Clock | undefined,
    from?: TreeContent,
  ) {
    this.#tracked = tracked
    this.#objects = objects
    this.#clock = clock
    if (from === undefined) return
    this.#lastInode = from.#lastInode
    this.#lastMtimeMs = from.#lastMtimeMs
    for (const [path, file] of from.#files) {
      file.bytes.freeze()
      this.#set(path, file)
    }
  }

  get objects(): ObjectContent {
    return this.#objects
  }

  paths(): string[] {
    return [...this.#files.keys()]
  }

  get(path: string): MemoryFile | undefined {
    return this.#files.get(path)
  }

  stat(path: string): FileStat | undefined {
    const file = this.#files.get(path)
    if (file === undefined) return undefined
    const { bytes, mtimeMs, inode, mode } = file
    return { size: bytes.length, mtimeMs, inode, mode }
  }

  entry(path: string): TreeEntry | undefined {
    const stat = this.stat(path)
    return stat === undefined ? undefined : { path, ...stat }
  }

  /** A file with new bytes: a new one, or the old one changed in place. */
  newFile(bytes: Bytes, mode: number, old?: MemoryFile): MemoryFile {
    if (old === undefined) this.#lastInode += 1
    // Every change is seen in the time, however coarse the clock.
    const now = this.#clock?.wallMs() ?? 0
    this.#lastMtimeMs = Math.max(now, this.#lastMtimeMs + 1 / 256)
    const inode = old?.inode ?? this.#lastInode
    return { bytes, mode: mode & 0o777, mtimeMs: this.#lastMtimeMs, inode }
  }

  /**
   * Makes sure that a file can stand at the path.
   *
   * @throws `PATH_BLOCKED` when a file on the way may not be removed, or the path is a folder
   */
  makeWay(path: string, force: boolean): void {
    const below = this.#fileBelow(path)
    if (below !== undefined) throw pathBlocked(path, below, 'lies below it')
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      if (!this.#files.has(folder)) continue
      if (!force) throw pathBlocked(path, folder, 'is no folder')
      this.change(folder, { file: undefined, tears: 'never' })
    }
  }

  /** What keeps a file from standing at the path. */
  obstacleTo(path: string): Obstacle | undefined {
    let at = this.#fileBelow(path)
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      if (this.#files.has(folder)) at = folder
    }
    return at === undefined ? undefined : { path: at, kind: 'file' }
  }

  #fileBelow(path: string): string | undefined {
    if (!this.#folders.has(path)) return undefined
    return this.paths().find((other) => other.startsWith(`${path}/`))
  }

  /** Carries out a change. */
  change(path: string, change: Change): void {
    if (this.#tracked) {
      const unsynced = this.#unsynced.get(path) ?? { base: this.#files.get(path), changes: [] }
      change.file?.bytes.freeze()
      unsynced.changes.push(change)
      this.#unsynced.set(path, unsynced)
      if (unsynced.changes.length > STATES_MAX) this.#settle(path, 1)
    }
    this.#set(path, change.file)
  }

  /** Makes a path durable. */
  sync(path: string): void {
    this.#settle(path, Number.POSITIVE_INFINITY)
  }

  syncAll(): void {
    for (const path of [...this.#unsynced.keys()]) this.sync(path)
  }

  /** Makes a path durable up to one change. */
  settleThrough(path: string, change: Change): void {
    const index = this.#unsynced.get(path)?.changes.indexOf(change) ?? -1
    if (index >= 0) this.#settle(path, index + 1)
  }

  /** What a power cut leaves. */
  crash(random: Random): void {
    for (const path of [...this.#unsynced.keys()].sort()) {
      const unsynced = this.#unsynced.get(path)
      if (unsynced === undefined) continue
      const kept = pick(random, unsynced.changes.length)
      for (const change of unsynced.changes.slice(kept).reverse()) change.undo?.()
      const before = kept < 2 ? unsynced.base : unsynced.changes[kept - 2]?.file
      const last = unsynced.changes[kept - 1]
      this.#settle(path, kept)
      this.#unsynced.delete(path)
      const torn = last !== undefined && toss(random)
      this.#set(
        path,
        torn
          ? this.#tear(last, before, random)
          : (last?.file ?? (kept === 0 ? unsynced.base : undefined)),
      )
    }
    this.#dropFilesThatAreFolders()
    this.failed.clear()
  }

  #tear(change: Change, before: MemoryFile | undefined, random: Random): MemoryFile | undefined {
    const { file, tears } = change
    if (file === undefined || tears === 'never') return file
    const bytes = file.bytes.view()
    if (tears === 'whole') return { ...file, bytes: new Bytes(tear(bytes, random)) }
    const old = before?.bytes.view() ?? new Uint8Array()
    const cut = pick(random, bytes.byteLength)
    const mixed = new Bytes(bytes.slice(0, cut)).with(cut, old.subarray(cut))
    return { ...file, bytes: mixed }
  }

  /** A file that was removed for a folder cannot be there again while the folder has files. */
  #dropFilesThatAreFolders(): void {
    for (const path of this.paths()) {
      if (this.#folders.has(path)) this.#set(path, undefined)
    }
  }

  #settle(path: string, count: number): void {
    const unsynced = this.#unsynced.get(path)
    if (unsynced === undefined) return
    for (const change of unsynced.changes.splice(0, count)) {
      unsynced.base = change.file
      change.settled?.()
    }
    if (unsynced.changes.length === 0) this.#unsynced.delete(path)
  }

  #set(path: string, file: MemoryFile | undefined): void {
    const had = this.#files.has(path)
    if (file === undefined) this.#files.delete(path)
    else this.#files.set(path, file)
    if (had === (file !== undefined)) return
    const difference = had ? -1 : 1
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      const count = (this.#folders.get(folder) ?? 0) + difference
      if (count === 0) this.#folders.delete(folder)
      else this.#folders.set(folder, count)
    }
  }
}
