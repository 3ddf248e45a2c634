/**
 * Reserves space on the device for removals, because a removal has to be journaled first, which a
 * full disk would prevent.
 *
 * Invariants: a file of random bytes reserves the space. It is deleted when a call that must not
 * fail (the journal, a document, a change of the tree) finds the device full. While it is missing,
 * or while free space minus what was recently admitted would fall below the reserve, writes that
 * need space are refused. After a refusal smaller writes are refused too, until the refused one
 * would fit, so that the answer does not alternate from call to call.
 */

import { randomBytes } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { stat, statfs, unlink, writeFile } from 'node:fs/promises'
import { HotspareError } from '../../../errors.js'
import type { StorageRoom } from '../../../interfaces/storage.js'
import type { Layout } from './layout.js'

/** Bytes that are reserved for removals, and bytes that must be free besides. */
export const roomBytes: number = 4 * 1024 * 1024
/** On a small device the reserve is at most this share of it. */
const roomShare = 1 / 16
/** How often free space is measured while writes are admitted, and while the reserve is missing. */
const lookEveryMs = 250
/**
 * When recently admitted bytes exceed this share of the remaining space, it is measured at every
 * call, because other programs may write to the device as fast.
 */
const nearShare = 1 / 8
/**
 * Milliseconds after which admitted bytes are assumed to be written, and so to be visible in the
 * free space.
 */
const writtenAfterMs = 25

export class Room implements StorageRoom {
  readonly #path: string
  readonly #root: string
  #roomBytes = roomBytes
  #isHeld = false
  /** Undefined where the system does not provide it. */
  #freeBytes: number | undefined
  /** Bytes admitted since free space was measured. */
  #askedSinceBytes = 0
  /** Bytes admitted in the current period of `writtenAfterMs`, and in the one before. */
  #askedBytes = 0
  #askedBeforeBytes = 0
  #stretchMs = 0
  /** Bytes of the largest refused write, at most the reserve; 0 when nothing is refused. */
  #refusedBytes = 0
  #lookedMs = 0
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(layout: Layout) {
    this.#root = layout.root
    this.#path = layout.room
  }

  /** Opens the reserve, creating it where there is space. */
  static async open(layout: Layout): Promise<Room> {
    const room = new Room(layout)
    await room.#measure().catch(() => undefined)
    room.#isHeld = await room.#isThere()
    await room.#look()
    return room
  }

  refusal(bytes: number): string | undefined {
    const nowMs = performance.now()
    this.#passStretches(nowMs)
    const free = this.#freeBytes
    const asked = this.#askedSinceBytes + this.#askedBytes + this.#askedBeforeBytes
    const left = (free ?? 0) - asked - this.#roomBytes
    const isNear = free !== undefined && asked + bytes > left * nearShare
    if (isNear || nowMs - this.#lookedMs > lookEveryMs) void this.#lookSoon()
    if (free === undefined) return undefined
    if (this.#isHeld && left >= Math.max(bytes, this.#refusedBytes)) {
      this.#askedBytes += bytes
      this.#askedSinceBytes += bytes
      this.#refusedBytes = 0
      return undefined
    }
    this.#refusedBytes = Math.min(Math.max(bytes, this.#refusedBytes), this.#roomBytes)
    return `${free} bytes are free on the device of ${this.#root}, and ${this.#roomBytes} are kept for removals`
  }

  /**
   * Runs work that must not fail for lack of space: if it does, frees the reserve and runs it once
   * more.
   */
  async use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!HotspareError.is(error, 'STORAGE_FULL') || !this.release()) throw error
      return await work()
    }
  }

  /** Frees the reserve; false when it was missing. */
  release(): boolean {
    if (!this.#isHeld) return false
    this.#isHeld = false
    try {
      unlinkSync(this.#path)
    } catch {
      return false
    }
    this.#watch()
    return true
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#looking
  }

  /** Measures periodically until the reserve exists again. */
  #watch(): void {
    if (this.#isClosed || this.#timer !== undefined) return
    this.#timer = setInterval(() => void this.#lookSoon(), lookEveryMs)
    this.#timer.unref()
  }

  #lookSoon(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    this.#lookedMs = performance.now()
    try {
      await this.#measure()
      const free = this.#freeBytes ?? 0
      if (!this.#isHeld && !this.#isClosed && free >= 2 * this.#roomBytes) {
        await this.#take()
        await this.#measure()
      }
    } catch {
      // Where free space cannot be measured, or the file cannot be written, nothing is reserved and
      // nothing is refused.
      this.#freeBytes = undefined
    }
    if (!this.#isHeld) return this.#watch()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #measure(): Promise<void> {
    const { bsize, blocks, bavail, bfree } = await statfs(this.#root)
    const isRoot = process.getuid?.() === 0
    this.#roomBytes = Math.min(roomBytes, Math.floor(blocks * bsize * roomShare))
    this.#freeBytes = (isRoot ? bfree : bavail) * bsize
    this.#askedSinceBytes = 0
  }

  /**
   * Starts a new period; forgets admitted bytes that are old enough to be visible in the free
   * space.
   */
  #passStretches(nowMs: number): void {
    const passedMs = nowMs - this.#stretchMs
    if (passedMs < writtenAfterMs) return
    this.#askedBeforeBytes = passedMs < 2 * writtenAfterMs ? this.#askedBytes : 0
    this.#askedBytes = 0
    this.#stretchMs = nowMs
  }

  /** Whether an earlier opening left a file of the required size. */
  async #isThere(): Promise<boolean> {
    const found = await stat(this.#path).catch(() => undefined)
    // After a crash the file may be sparse.
    return found?.size === this.#roomBytes && found.blocks * 512 >= this.#roomBytes
  }

  /**
   * Writes random bytes, because a file system may compress other content, or store zeros as a
   * hole.
   */
  async #take(): Promise<void> {
    try {
      await writeFile(this.#path, randomBytes(this.#roomBytes), { mode: 0o600 })
      this.#isHeld = true
    } catch {
      // Another program used the space first.
      await unlink(this.#path).catch(() => undefined)
    }
  }
}
