/** What the in-sync set knows of a follower, and what the follower's stream holds of the set. */

import type { Readmission } from './readmission.js'
import type { Follower, FollowerProgress } from './types.js'

/**
 * Content counts as progress of a member until so many times what it lacks has moved to it without
 * an answer.
 */
export const progressTimesMax: number = 3
/** It counts up to so many bytes beyond that: lists, and what lies around the contents. */
export const progressSlackBytes: number = 8 * 1024 * 1024

/** What is known of one follower, over all the streams that it opens one after the other. */
export class FollowerRecord {
  readonly id: string
  readonly readmission: Readmission
  /** Its present stream: calls of an earlier one do nothing. */
  handle: FollowerHandle
  mayCount: boolean
  /** The last entries that it says to have, in memory and on disk. */
  received = 0
  durable = 0
  /** Whether it said anything on its present stream; until then it may lack everything. */
  heard = false
  /** Whether it is sent entries on its present stream. */
  begun = false
  /** Whether it had caught up on its present stream. */
  caughtUp = false
  /** Whether it was in the set since it caught up. */
  joined = false
  /** Whether its process is known to be gone, or to follow another active. */
  isGone = false
  /** Since when it is silent, whether it owes an answer or not. */
  lostSinceMs: number | undefined
  /** When it was added to the set: it owes nothing from before. */
  addedAtMs = 0
  /** When large content moved to it last. */
  movedAtMs = 0
  /** Whether a restore is under way, and up to which entry it lacks none of the stream. */
  restores = false
  cutOrdinal = -1
  /** Bytes that its restores brought, as far as that is known. */
  restoredBytes = 0
  /** Bytes of the contents of entries that it lacks, and got already. */
  arrivedBytes = 0

  constructor(id: string, handle: FollowerHandle, mayCount: boolean, readmission: Readmission) {
    this.id = id
    this.handle = handle
    this.mayCount = mayCount
    this.readmission = readmission
  }

  /**
   * Another stream begins. What it had only in memory may be gone, so that it starts from nothing
   * until it answers.
   */
  restart(handle: FollowerHandle, mayCount: boolean): void {
    this.handle = handle
    this.mayCount = mayCount
    this.received = 0
    this.durable = 0
    this.heard = false
    this.begun = false
    this.caughtUp = false
    this.joined = false
    this.isGone = false
    this.arrivedBytes = 0
    this.restores = false
    this.cutOrdinal = -1
  }

  /** Whether it could be in the set, as far as its stream is concerned. */
  get isReady(): boolean {
    return this.caughtUp && this.lostSinceMs === undefined
  }

  /** Any sign of life on its stream. */
  spoke(): void {
    this.lostSinceMs = undefined
    this.heard = true
  }

  answered(received: number, durable: number): void {
    this.spoke()
    this.received = Math.max(this.received, received, durable)
    if (durable > this.durable) this.arrivedBytes = 0
    this.durable = Math.max(this.durable, durable)
  }

  /**
   * Content moved to it, while it lags so many bytes. Answers whether that is progress, see
   * {@link Follower.progressed}.
   */
  moved(progress: FollowerProgress, lagBytes: number, nowMs: number): boolean {
    const { bytes, restores, arrivedBytes, offeredBytes } = progress
    this.restores = restores
    if (restores) {
      this.restoredBytes += bytes
    } else {
      const neededBytes = progressTimesMax * (lagBytes + offeredBytes)
      if (arrivedBytes > neededBytes + progressSlackBytes) return false
      // What was offered belongs to no entry yet.
      this.arrivedBytes = Math.min(lagBytes, Math.max(0, arrivedBytes - offeredBytes))
    }
    this.movedAtMs = nowMs
    return true
  }

  /** Time in which it could not be heard through no fault of its own. */
  grant(ms: number): void {
    this.addedAtMs += ms
    this.movedAtMs += ms
    if (this.lostSinceMs !== undefined) this.lostSinceMs += ms
  }
}

/** What a follower's stream tells the set. */
export interface FollowerCalls {
  answer(handle: FollowerHandle, received: number, durable: number): void
  begins(handle: FollowerHandle, restores: boolean): void
  progressed(handle: FollowerHandle, progress: FollowerProgress): boolean
  caughtUp(handle: FollowerHandle): void
  lost(handle: FollowerHandle, proven: boolean, sinceMs: number | undefined): void
  leave(handle: FollowerHandle, reason: string): void
  tooSlow(handle: FollowerHandle, why: string): void
}

/** What the shell holds of a follower. */
export class FollowerHandle implements Follower {
  readonly id: string
  readonly #set: FollowerCalls

  constructor(id: string, set: FollowerCalls) {
    this.id = id
    this.#set = set
  }

  received(ordinal: number, durableOrdinal: number): void {
    this.#set.answer(this, ordinal, durableOrdinal)
  }

  begins(restores: boolean): void {
    this.#set.begins(this, restores)
  }

  progressed(progress: FollowerProgress): boolean {
    return this.#set.progressed(this, progress)
  }

  caughtUp(): void {
    this.#set.caughtUp(this)
  }

  lost(proven: boolean, sinceMs?: number): void {
    this.#set.lost(this, proven, sinceMs)
  }

  leave(reason: string): void {
    this.#set.leave(this, reason)
  }

  tooSlow(why: string): void {
    this.#set.tooSlow(this, why)
  }
}
