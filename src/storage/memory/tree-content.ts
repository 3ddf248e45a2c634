/**
 * The files of a memory storage, with their durable state. Each path has the state of its last sync
 * and the later ones; a power cut keeps the first few of them, independently for each path, and may
 * tear the last one kept.
 */

import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { FileStat, Obstacle, TreeEntry } from '../../interfaces/tree-store.js'
import { foldPath } from '../../util/fold-path.js'
import { pathBlocked } from '../failure.js'
import { parentOf } from '../names.js'
import { Bytes, pick, tear, toss } from './bytes.js'
import type { ObjectContent } from './object-content.js'

/**
 * Unsynced states of a path; beyond it the oldest becomes durable, because a real disk writes old
 * data out too.
 */
const statesMax = 64

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
  /** What a power cut can tear: nothing, the whole file, or the changed part of it. */
  readonly tears: 'never' | 'whole' | 'inPlace'
  /**
   * Applies a change in place to the bytes on the disk, where they differ because a failed sync
   * dropped some.
   */
  readonly inPlace?: (bytes: Bytes) => Bytes
  /** The bytes on the disk, where they differ because an earlier failed sync dropped some. */
  readonly onDisk?: Bytes | undefined
  /** Undoes the effect of the change outside the tree. */
  readonly undo?: () => void
  /** Called when the change is durable. */
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
  /** Number of files below each folder. */
  readonly #folders = new Map<string, number>()
  readonly #unsynced = new Map<string, Unsynced>()
  /** The bytes on the disk of files of which a failed sync dropped some. */
  readonly #dropped = new Map<string, Bytes>()
  /** Paths whose last sync failed. */
  readonly failed: Set<string> = new Set()
  /** Where case is ignored: the spelling of existing files and folders, by folded path. */
  readonly #spelled: Map<string, string> | undefined
  #lastInode = 0
  #lastMtimeMs = 0

  /**
   * @param options - `foldsCase`: paths that differ only in case are one file; `from`: initial
   *   content, durable
   */
  constructor(
    tracked: boolean,
    objects: ObjectContent,
    clock: Clock | undefined,
    {
      foldsCase = false,
      from,
    }: { readonly foldsCase?: boolean; readonly from?: TreeContent | undefined } = {},
  ) {
    this.#spelled = foldsCase ? new Map() : undefined
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

  /** Whether paths that differ only in case are one file. */
  get foldsCase(): boolean {
    return this.#spelled !== undefined
  }

  /** The path in the spelling of its existing parts. */
  #at(path: string): string {
    if (this.#spelled === undefined) return path
    let at = ''
    for (const part of path.split('/')) {
      const next = at === '' ? part : `${at}/${part}`
      at = this.#spelled.get(foldPath(next)) ?? next
    }
    return at
  }

  get objects(): ObjectContent {
    return this.#objects
  }

  paths(): string[] {
    return [...this.#files.keys()]
  }

  get(path: string): MemoryFile | undefined {
    return this.#files.get(this.#at(path))
  }

  stat(path: string): FileStat | undefined {
    const file = this.get(path)
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
    // Every change gets a new time, even if the clock has not advanced.
    const now = this.#clock?.wallMs() ?? 0
    this.#lastMtimeMs = Math.max(now, this.#lastMtimeMs + 1 / 256)
    const inode = old?.inode ?? this.#lastInode
    return { bytes, mode: mode & 0o777, mtimeMs: this.#lastMtimeMs, inode }
  }

  /**
   * Removes what obstructs a file at the path.
   *
   * @throws `PATH_BLOCKED` when a file on the way may not be removed, or the path is a folder
   */
  makeWay(wanted: string, force: boolean): void {
    const path = this.#at(wanted)
    const below = this.#fileBelow(path)
    if (below !== undefined) throw pathBlocked(path, below, 'lies below it')
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      if (!this.#files.has(folder)) continue
      if (!force) throw pathBlocked(path, folder, 'is not a folder')
      this.change(folder, { file: undefined, tears: 'never' })
    }
  }

  /** What prevents a file at the path. */
  obstacleTo(wanted: string): Obstacle | undefined {
    const path = this.#at(wanted)
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
  change(wanted: string, change: Change): void {
    const path = this.#at(wanted)
    if (this.#tracked) {
      const unsynced = this.#unsynced.get(path) ?? { base: this.#files.get(path), changes: [] }
      change.file?.bytes.freeze()
      unsynced.changes.push(change)
      this.#unsynced.set(path, unsynced)
      if (unsynced.changes.length > statesMax) this.#settle(path, 1)
      this.#changeOnDisk(path, change)
    }
    this.#set(path, change.file)
  }

  #changeOnDisk(path: string, { inPlace, onDisk }: Change): void {
    const dropped = this.#dropped.get(path)
    if (onDisk !== undefined) this.#dropped.set(path, onDisk)
    else if (inPlace === undefined) this.#dropped.delete(path)
    else if (dropped !== undefined) this.#dropped.set(path, inPlace(dropped))
  }

  /** Marks what a failed sync should have made durable of a file's content as dropped. */
  drop(wanted: string): void {
    const path = this.#at(wanted)
    const unsynced = this.#unsynced.get(path)
    const file = this.#files.get(path)
    if (unsynced === undefined || file === undefined || this.#dropped.has(path)) return
    const base = unsynced.base?.bytes.view() ?? new Uint8Array()
    this.#dropped.set(path, new Bytes(new Uint8Array(base)))
  }

  /**
   * Simulates that the system's cache is reused: dropped bytes now read as they are on the disk.
   */
  evict(): void {
    for (const [path, bytes] of this.#dropped) {
      const file = this.#files.get(path)
      if (file !== undefined) this.#set(path, { ...file, bytes })
    }
    this.#dropped.clear()
  }

  get hasDropped(): boolean {
    return this.#dropped.size > 0
  }

  /** Makes a path durable. */
  sync(path: string): void {
    const at = this.#at(path)
    this.#settle(at, Number.POSITIVE_INFINITY)
    // A removal under this spelling may be unsynced, from before the file got another one.
    if (at !== path) this.#settle(path, Number.POSITIVE_INFINITY)
  }

  syncAll(): void {
    for (const path of [...this.#unsynced.keys()]) this.sync(path)
  }

  /** Makes a path durable up to one change. */
  settleThrough(wanted: string, change: Change): void {
    const path = this.#at(wanted)
    const index = this.#unsynced.get(path)?.changes.indexOf(change) ?? -1
    if (index >= 0) this.#settle(path, index + 1)
  }

  /** Applies a power cut. */
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
    this.#dropOtherSpellings(random)
    this.evict()
    this.#dropFilesThatAreFolders()
    this.failed.clear()
  }

  /**
   * Where case is ignored, a lost removal must not leave a file beside one that replaced it under
   * another spelling; drops one of them.
   */
  #dropOtherSpellings(random: Random): void {
    if (this.#spelled === undefined) return
    const kept = new Map<string, string>()
    for (const path of this.paths()) {
      const folded = foldPath(path)
      const other = kept.get(folded)
      const goes = other !== undefined && toss(random) ? path : other
      if (goes !== path) kept.set(folded, path)
      if (goes !== undefined) this.#set(goes, undefined)
    }
    for (const [folded, path] of kept) this.#spelled.set(folded, path)
  }

  #tear(change: Change, before: MemoryFile | undefined, random: Random): MemoryFile | undefined {
    const { file, tears } = change
    if (file === undefined || tears === 'never') return file
    const bytes = file.bytes.view()
    if (tears === 'whole') return { ...file, bytes: new Bytes(tear(bytes, random)) }
    const old = before?.bytes.view() ?? new Uint8Array()
    const cut = pick(random, bytes.byteLength)
    const mixed = new Bytes(new Uint8Array(bytes.subarray(0, cut))).with(cut, old.subarray(cut))
    return { ...file, bytes: mixed }
  }

  /** Drops a file whose lost removal would leave it in the place of a folder with files. */
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
    this.#spell(path, !had)
    const difference = had ? -1 : 1
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      const count = (this.#folders.get(folder) ?? 0) + difference
      if (count === 0) this.#folders.delete(folder)
      else this.#folders.set(folder, count)
      if (count === 0 || count === difference) this.#spell(folder, count > 0)
    }
  }

  #spell(path: string, isThere: boolean): void {
    if (isThere) this.#spelled?.set(foldPath(path), path)
    else this.#spelled?.delete(foldPath(path))
  }
}
