/**
 * What the in-sync set records of a follower, and the handle by which the follower's stream reports
 * to the set.
 */

import type { Readmission } from './readmission.js'
import type { Follower, FollowerProgress } from './types.js'

/**
 * Transferred content counts as progress of a member up to this multiple of what it lacks, until it
 * acknowledges.
 */
export const progressTimesMax: number = 3
/** Bytes beyond that which still count, for lists and message overhead. */
export const progressSlackBytes: number = 8 * 1024 * 1024

/** What is known of one follower, across all its successive streams. */
export class FollowerRecord {
  readonly id: string
  readonly readmission: Readmission
  /** The handle of its current stream; calls on an earlier handle do nothing. */
  handle: FollowerHandle
  mayCount: boolean
  /** The last entries that it acknowledged, in memory and on disk. */
  received = 0
  durable = 0
  /** Whether it sent anything on its current stream; until then it may lack everything. */
  heard = false
  /** Whether entries are sent on its current stream. */
  begun = false
  /** Whether it has caught up on its current stream. */
  caughtUp = false
  /** Whether it has joined the set since it caught up. */
  joined = false
  /** Whether its process is known to be gone, or to follow another active. */
  isGone = false
  /** Since when it is silent or without a stream; undefined while it is heard. */
  lostSinceMs: number | undefined
  /** When it was added to the set; entries from before do not need its acknowledgement. */
  addedAtMs = 0
  /** When content was last transferred to it. */
  movedAtMs = 0
  /**
   * Whether a restore is under way, and the last entry before its stream began, up to which nothing
   * counts as lag.
   */
  restores = false
  cutOrdinal = -1
  /** Bytes that its restores transferred. */
  restoredBytes = 0
  /** Bytes of contents that it already has of entries that it lacks. */
  arrivedBytes = 0

  constructor(id: string, handle: FollowerHandle, mayCount: boolean, readmission: Readmission) {
    this.id = id
    this.handle = handle
    this.mayCount = mayCount
    this.readmission = readmission
  }

  /**
   * A new stream begins. Nothing counts as acknowledged until its first answer, because what it had
   * only in memory may be lost.
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

  /** Whether its stream allows it to join the set. */
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
   * Content was transferred to it while it lagged by `lagBytes`. Answers whether that counts as
   * progress, see {@link Follower.progressed}.
   */
  moved(progress: FollowerProgress, lagBytes: number, nowMs: number): boolean {
    const { bytes, restores, arrivedBytes, offeredBytes } = progress
    this.restores = restores
    if (restores) {
      this.restoredBytes += bytes
    } else {
      const neededBytes = progressTimesMax * (lagBytes + offeredBytes)
      if (arrivedBytes > neededBytes + progressSlackBytes) return false
      // Offered blobs belong to no entry yet, so they are no part of the lag.
      this.arrivedBytes = Math.min(lagBytes, Math.max(0, arrivedBytes - offeredBytes))
    }
    this.movedAtMs = nowMs
    return true
  }

  /** Extends its deadlines by a time in which this node could not hear it. */
  grant(ms: number): void {
    this.addedAtMs += ms
    this.movedAtMs += ms
    if (this.lostSinceMs !== undefined) this.lostSinceMs += ms
  }
}

/** What a follower's stream reports to the set. */
export interface FollowerCalls {
  answer(handle: FollowerHandle, received: number, durable: number): void
  begins(handle: FollowerHandle, restores: boolean): void
  progressed(handle: FollowerHandle, progress: FollowerProgress): boolean
  caughtUp(handle: FollowerHandle): void
  lost(handle: FollowerHandle, proven: boolean, sinceMs: number | undefined): void
  leave(handle: FollowerHandle, reason: string): void
  tooSlow(handle: FollowerHandle, why: string): void
}

/** The handle that the follower's stream uses. */
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
