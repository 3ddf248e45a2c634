/**
 * Objects in memory, with their durable state. Two maps: what exists, and what existed at the last
 * sync. An object that came from the tree by a rename is *linked*: on a real disk the rename is one
 * step, so after a crash the tree decides whether the file is in the tree or among the objects.
 */

import type { Random } from '../../interfaces/random.js'
import { Bytes, flip, pick, tear, toss } from './bytes.js'

/** Bytes of an object that a failed sync dropped: they are not on the disk. */
interface Dropped {
  /** The first dropped byte that was not written again. */
  from: number
  readonly to: number
}

/** All objects, under `area/name`. */
export class ObjectContent {
  readonly #tracked: boolean
  readonly #present = new Map<string, Bytes>()
  readonly #durable = new Map<string, Bytes>()
  /** Linked objects, each with a callback for its sync. */
  readonly #linked = new Map<string, () => void>()
  /** The dropped bytes of each object. */
  readonly #dropped = new Map<string, Dropped>()
  /** Objects whose last sync failed. */
  readonly failed: Set<string> = new Set()

  /** @param from - initial content, durable */
  constructor(tracked: boolean, from?: ObjectContent) {
    this.#tracked = tracked
    for (const key of from?.keys() ?? []) {
      const bytes = from?.get(key)
      if (bytes !== undefined) this.addWhole(key, bytes.freeze())
    }
  }

  keys(): IterableIterator<string> {
    return this.#present.keys()
  }

  get(key: string): Bytes | undefined {
    return this.#present.get(key)
  }

  isDurable(key: string): boolean {
    return this.#present.has(key) && this.#present.get(key) === this.#durable.get(key)
  }

  write(key: string, offset: number, bytes: Uint8Array): void {
    // Writing to a linked object makes its rename final.
    this.#linked.get(key)?.()
    if (offset === 0) this.failed.delete(key)
    this.#writtenAgain(key, offset, bytes.byteLength)
    this.#present.set(key, (this.#present.get(key) ?? new Bytes()).with(offset, bytes))
  }

  /** Marks what a failed sync should have made durable as dropped. */
  drop(key: string): void {
    const bytes = this.#present.get(key)
    if (!this.#tracked || bytes === undefined || this.isDurable(key)) return
    const from = sharedBytes(this.#durable.get(key), bytes)
    this.#dropped.set(key, { from, to: bytes.length })
  }

  #writtenAgain(key: string, offset: number, length: number): void {
    const dropped = this.#dropped.get(key)
    if (dropped === undefined || offset > dropped.from) return
    dropped.from = Math.max(dropped.from, offset + length)
    if (dropped.from >= dropped.to) this.#dropped.delete(key)
  }

  /** The object as it would be on the disk after a sync: dropped bytes are zeros. */
  #onDisk(key: string): Bytes | undefined {
    const bytes = this.#present.get(key)
    const dropped = this.#dropped.get(key)
    if (bytes === undefined || dropped === undefined) return bytes
    const copy = new Uint8Array(bytes.view())
    return new Bytes(copy.fill(0, dropped.from, dropped.to))
  }

  /**
   * Simulates that the system's cache is reused: dropped bytes now read as they are on the disk.
   */
  evict(): void {
    for (const key of this.#dropped.keys()) {
      const bytes = this.#onDisk(key)
      if (bytes !== undefined) this.#present.set(key, bytes)
    }
    this.#dropped.clear()
  }

  get hasDropped(): boolean {
    return this.#dropped.size > 0
  }

  /** The bytes on the disk of an object that is moved away; undefined when nothing was dropped. */
  droppedState(key: string): Bytes | undefined {
    return this.#dropped.has(key) ? this.#onDisk(key) : undefined
  }

  /** Adds an object that is durable at once. */
  addWhole(key: string, bytes: Bytes): void {
    this.#present.set(key, bytes)
    if (this.#tracked) this.#durable.set(key, bytes.freeze())
  }

  remove(key: string): void {
    this.#linked.get(key)?.()
    this.failed.delete(key)
    this.#dropped.delete(key)
    this.#present.delete(key)
  }

  sync(key: string): void {
    this.#linked.get(key)?.()
    const bytes = this.#present.get(key)
    if (bytes === undefined) this.#durable.delete(key)
    else if (this.#tracked) this.#durable.set(key, (this.#onDisk(key) ?? bytes).freeze())
  }

  /** All names that exist, or existed at the last sync. */
  allKeys(): Set<string> {
    return new Set([...this.#present.keys(), ...this.#durable.keys()])
  }

  /**
   * Moves an object into the tree. Returns a function that undoes the move, for a crash that loses
   * the rename.
   */
  moveOut(key: string): () => void {
    const bytes = this.#present.get(key)
    const durable = this.#durable.get(key)
    this.#linked.get(key)?.()
    this.#present.delete(key)
    this.#durable.delete(key)
    this.#dropped.delete(key)
    return () => {
      if (bytes === undefined || this.#present.has(key)) return
      this.#present.set(key, bytes)
      if (durable !== undefined) this.#durable.set(key, durable)
    }
  }

  /**
   * Adds a file moved out of the tree.
   *
   * @param synced - called when a sync of the object makes the rename durable
   */
  moveIn(key: string, bytes: Bytes, synced: () => void): void {
    this.#present.set(key, bytes)
    if (this.#tracked) this.#linked.set(key, synced)
  }

  /** The rename of a linked object became durable. */
  settleMove(key: string): void {
    this.#linked.delete(key)
    const bytes = this.#present.get(key)
    if (bytes !== undefined) this.#durable.set(key, bytes.freeze())
  }

  /** A crash lost the rename of a linked object. */
  undoMove(key: string): void {
    if (this.#linked.delete(key)) this.#present.delete(key)
  }

  /** Applies a power cut. The tree must have crashed before. */
  crash(random: Random): void {
    this.evict()
    for (const key of [...this.allKeys()].sort()) {
      const present = this.#present.get(key)
      const durable = this.#durable.get(key)
      if (present === durable) continue
      const left = toss(random) ? tornState(present, durable, random) : durable
      if (left === undefined) this.#present.delete(key)
      else this.#present.set(key, left)
      this.sync(key)
    }
    this.failed.clear()
  }

  flip(key: string, random: Random): boolean {
    const bytes = this.#present.get(key)
    if (bytes === undefined) return false
    const copy = new Uint8Array(bytes.view())
    const done = flip(copy, random)
    const flipped = new Bytes(copy)
    if (this.#durable.get(key) === bytes) this.#durable.set(key, flipped.freeze())
    this.#present.set(key, flipped)
    return done
  }
}

/** An unsynced object after a power cut: as it was written, or torn behind what was durable. */
function tornState(
  present: Bytes | undefined,
  durable: Bytes | undefined,
  random: Random,
): Bytes | undefined {
  if (present === undefined || pick(random, 2) === 0) return present
  const safe = durable === undefined ? 0 : Math.min(durable.length, present.length)
  const torn = tear(present.view(safe), random)
  return new Bytes(new Uint8Array(present.view(0, safe))).with(safe, torn)
}

/** The length of `durable` if it is a prefix of `present`; else 0. */
function sharedBytes(durable: Bytes | undefined, present: Bytes): number {
  if (durable === undefined || durable.length > present.length) return 0
  const isBeginning = Buffer.compare(durable.view(), present.view(0, durable.length)) === 0
  return isBeginning ? durable.length : 0
}
