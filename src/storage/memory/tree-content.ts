/**
 * The files of a memory storage, with what of them a power cut would leave. Each path has the state
 * of its last sync and the states since then; a crash keeps any number of them from the front,
 * independently of all other paths, and may tear the last one kept.
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
 * Unsynced states that a path keeps; the oldest is settled beyond it. A real disk, too, writes out
 * what lies around for long.
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
  /**
   * What a power cut can leave halfway: nothing, a part of the whole file, or a part of the change
   * in place.
   */
  readonly tears: 'never' | 'whole' | 'inPlace'
  /** How a change in place changes what the disk has, of which a failed sync gave something up. */
  readonly inPlace?: (bytes: Bytes) => Bytes
  /** What the disk has of the content, where an earlier sync gave some of it up. */
  readonly onDisk?: Bytes | undefined
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
  /** What the disk has of files of which a failed sync gave something up. */
  readonly #dropped = new Map<string, Bytes>()
  /** Paths whose last sync failed. */
  readonly failed: Set<string> = new Set()
  /**
   * Where case does not matter: how what is there is spelled, files and folders, by the folded
   * path.
   */
  readonly #spelled: Map<string, string> | undefined
  #lastInode = 0
  #lastMtimeMs = 0

  /**
   * @param options - whether paths that differ only in case are one file; what it begins with,
   *   durable
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

  /** The path as it is spelled here, as far as it is there. */
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
  makeWay(wanted: string, force: boolean): void {
    const path = this.#at(wanted)
    const below = this.#fileBelow(path)
    if (below !== undefined) throw pathBlocked(path, below, 'lies below it')
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) {
      if (!this.#files.has(folder)) continue
      if (!force) throw pathBlocked(path, folder, 'is no folder')
      this.change(folder, { file: undefined, tears: 'never' })
    }
  }

  /** What keeps a file from standing at the path. */
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

  /** Gives up what a sync that failed was to make durable of a file's content. */
  drop(wanted: string): void {
    const path = this.#at(wanted)
    const unsynced = this.#unsynced.get(path)
    const file = this.#files.get(path)
    if (unsynced === undefined || file === undefined || this.#dropped.has(path)) return
    const base = unsynced.base?.bytes.view() ?? new Uint8Array()
    this.#dropped.set(path, new Bytes(new Uint8Array(base)))
  }

  /**
   * The memory that held what was given up is used for something else: from now on the disk is
   * read.
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
    // It may have been removed under this spelling before it came under another one.
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
    this.#dropOtherSpellings(random)
    this.evict()
    this.#dropFilesThatAreFolders()
    this.failed.clear()
  }

  /**
   * Where case does not matter, a removed file cannot be there again beside one that took its place
   * under another spelling.
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
