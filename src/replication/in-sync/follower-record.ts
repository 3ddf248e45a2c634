/** What the in-sync set knows of a follower, and what the follower's stream holds of the set. */

import type { Readmission } from './readmission.js'
import type { Follower, FollowerProgress } from './types.js'

/**
 * What is known of one follower; it outlives the streams that the follower opens one after the
 * other.
 */
export interface FollowerRecord {
  readonly id: string
  handle: FollowerHandle
  mayCount: boolean
  received: number
  durable: number
  /** Whether it said anything on its present stream; until then it may lack everything. */
  heard: boolean
  /** Whether it is sent entries on its present stream. */
  begun: boolean
  /** When large content moved to it last. */
  movedAtMs: number
  /** Whether a restore is under way, and up to which entry it lacks none of the stream. */
  restores: boolean
  cutOrdinal: number
  /** Bytes that its restores brought, as far as that is known. */
  restoredBytes: number
  /** Bytes of the contents of entries that it lacks, and got already. */
  arrivedBytes: number
  /** Whether it had caught up on its present stream. */
  caughtUp: boolean
  /** Whether it was in the set since it caught up. */
  joined: boolean
  /** Since when it is silent, whether it owes an answer or not. */
  lostSinceMs: number | undefined
  /**
   * Whether its process is known to be gone, or to follow another active, since its last stream.
   */
  isGone: boolean
  /** When it was added to the set: it owes nothing from before. */
  addedAtMs: number
  readonly readmission: Readmission
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
