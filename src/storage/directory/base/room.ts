/**
 * Room on the device that is kept for what makes room: with a full disk a file could not even be
 * removed, since the removal has to be journaled first.
 *
 * Invariants: a file of random bytes holds the room, until a call that must not fail (the journal,
 * a document, a change of the tree) finds none; whatever grows is refused while it is gone, or
 * while less than as much again is free. Once something was refused, smaller things are refused too
 * until it would find room: whether there is room does not change from call to call.
 */

import { randomBytes } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import { stat, statfs, unlink, writeFile } from 'node:fs/promises'
import { HotspareError } from '../../../errors.js'
import type { StorageRoom } from '../../../interfaces/storage.js'
import type { Layout } from './layout.js'

/** Bytes that are kept for removals, and bytes that have to be free besides. */
export const roomBytes: number = 4 * 1024 * 1024
/** On a small device no more than this share of it. */
const roomShare = 1 / 16
/** While somebody writes, or the room is used up, the device is looked at so often. */
const lookEveryMs = 250
/**
 * When what was asked for lately is more than this share of what is left, the device is looked at
 * without a pause: others may write to it as fast.
 */
const nearShare = 1 / 8
/** What was asked for may not be written before so many milliseconds have passed. */
const writtenAfterMs = 25

export class Room implements StorageRoom {
  readonly #path: string
  readonly #root: string
  #roomBytes = roomBytes
  #isHeld = false
  /** Undefined where the system does not tell. */
  #freeBytes: number | undefined
  /** Asked for since the device was looked at. */
  #askedSinceBytes = 0
  /** Asked for in the present stretch of `writtenAfterMs`, and in the one before. */
  #askedBytes = 0
  #askedBeforeBytes = 0
  #stretchMs = 0
  /** What was refused last, at most as much as is kept; 0 when there is room. */
  #refusedBytes = 0
  #lookedMs = 0
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(layout: Layout) {
    this.#root = layout.root
    this.#path = layout.room
  }

  /** Takes the room, where there is some. */
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
   * Carries out what must not fail for want of room: once more in the room that was kept, if there
   * was none.
   */
  async use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!HotspareError.is(error, 'STORAGE_FULL') || !this.release()) throw error
      return await work()
    }
  }

  /** Gives the room away; false when it was gone. */
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

  /** Until the room is there again. */
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
      // Where the device cannot be asked, or takes no file, nothing is kept and nothing refused for
      // it.
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

  /** Forgets what was asked for so long ago that the device shows it. */
  #passStretches(nowMs: number): void {
    const passedMs = nowMs - this.#stretchMs
    if (passedMs < writtenAfterMs) return
    this.#askedBeforeBytes = passedMs < 2 * writtenAfterMs ? this.#askedBytes : 0
    this.#askedBytes = 0
    this.#stretchMs = nowMs
  }

  /** Whether the file of an earlier opening keeps as much as is wanted now. */
  async #isThere(): Promise<boolean> {
    const found = await stat(this.#path).catch(() => undefined)
    // After a crash its blocks may be missing.
    return found?.size === this.#roomBytes && found.blocks * 512 >= this.#roomBytes
  }

  /** Random, since a file system may compress, or keep nothing of zeros. */
  async #take(): Promise<void> {
    try {
      await writeFile(this.#path, randomBytes(this.#roomBytes), { mode: 0o600 })
      this.#isHeld = true
    } catch {
      // Others were faster.
      await unlink(this.#path).catch(() => undefined)
    }
  }
}
