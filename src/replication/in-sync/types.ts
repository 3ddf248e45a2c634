/** What the in-sync set is told of its followers, and what it tells of them. */
import type { PaceEvent } from './flow-control.js'
import type { Lag } from './lag-meter.js'

/** How far a follower is behind. */
export interface FollowerStatus extends Lag {
  readonly id: string
  /** `following`: not in the set; `adding`: its addition is not durable everywhere yet. */
  readonly state: 'following' | 'adding' | 'inSync' | 'removing'
}

/** What moved to a follower beside its stream. */
export interface FollowerProgress {
  /** Bytes in this piece. */
  readonly bytes: number
  /** Whether a restore asked for it, which brings what stands in no entry of the stream. */
  readonly restores: boolean
  /** Bytes since it last acknowledged anything, without those of restores. */
  readonly arrivedBytes: number
  /** Bytes of large contents that it is to have before their entries get a place. */
  readonly offeredBytes: number
}

/**
 * One follower of the active's stream. Calls on a handle that was replaced by a newer one do
 * nothing.
 */
export interface Follower {
  readonly id: string
  /** It holds every entry up to these ordinals of this process: in memory, and on disk. */
  received(ordinal: number, durableOrdinal: number): void
  /**
   * It is sent entries, and answers them: writers may be paced for it from now on.
   *
   * @param restores - whether all that there is now comes by a restore, and the stream begins after
   *   it
   */
  begins(restores: boolean): void
  /**
   * A piece of content moved to it, which counts like an answer: it is at work. Answers whether it
   * does: not when more moved than it can need.
   */
  progressed(progress: FollowerProgress): boolean
  /** It has all there was when its stream went live: it may join the in-sync set. */
  caughtUp(): void
  /**
   * Its stream ended, or it is silent. `proven`: its process is gone, said goodbye, or follows
   * another active; it is removed from the set at once. Otherwise it has until `degradeAfterMs`
   * after `sinceMs` (of the clock; default now) to answer.
   */
  lost(proven: boolean, sinceMs?: number): void
  /** It cannot hold the data: it is removed from the set at once. */
  leave(reason: string): void
  /**
   * It does not keep up: it is removed at once, and stays out the longer the more often that
   * happens.
   */
  tooSlow(why: string): void
}

/** What the writer reports. */
export type WriterEvent =
  /** No standby is in sync: writes go on with one copy, or wait when `blocked`. */
  | { readonly name: 'degraded'; readonly blocked: boolean }
  /** At least one standby is in sync. */
  | { readonly name: 'redundant' }
  /** This standby's answers count from now on. */
  | { readonly name: 'standbyInSync'; readonly peer: string }
  /** This standby left the in-sync set. */
  | { readonly name: 'standbyLost'; readonly peer: string; readonly reason: string }
  | PaceEvent
