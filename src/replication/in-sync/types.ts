/** What followers report to the in-sync set, and what the set reports of them. */
import type { PaceEvent } from './flow-control.js'
import type { Lag } from './lag-meter.js'

/** How far a follower is behind. */
export interface FollowerStatus extends Lag {
  readonly id: string
  /**
   * `following`: not in the set; `adding`: its addition is not durable everywhere yet; `removing`:
   * its removal is not durable yet.
   */
  readonly state: 'following' | 'adding' | 'inSync' | 'removing'
}

/** Content that was transferred to a follower over its bulk lane. */
export interface FollowerProgress {
  /** Bytes of this answer. */
  readonly bytes: number
  /** Whether a restore requested it; its bytes belong to no entry of the stream. */
  readonly restores: boolean
  /** Bytes since its last acknowledgement, without those of restores. */
  readonly arrivedBytes: number
  /** Bytes of blobs that it was offered before their entries are appended. */
  readonly offeredBytes: number
}

/** One follower of the active. Calls on a handle do nothing once the follower has a newer one. */
export interface Follower {
  readonly id: string
  /**
   * It acknowledged every entry up to these ordinals of the active's journal: in memory, and on
   * disk.
   */
  received(ordinal: number, durableOrdinal: number): void
  /**
   * Entries are sent to it from now on, so writers may be paced for it.
   *
   * @param restores - whether a restore transfers the present state, and the stream begins after it
   */
  begins(restores: boolean): void
  /**
   * Content was transferred to it, which counts as progress like an acknowledgement. Answers
   * whether it counted: not when more was transferred than it can need.
   */
  progressed(progress: FollowerProgress): boolean
  /** It has everything that there was when its stream went live, so it may join the in-sync set. */
  caughtUp(): void
  /**
   * Its stream ended, or it is silent. When `proven`, its process is gone, has stopped in order, or
   * follows another active, and it is removed from the set at once. Otherwise it is removed unless
   * it answers within `degradeAfterMs` after `sinceMs` (of the clock; default now).
   */
  lost(proven: boolean, sinceMs?: number): void
  /** It cannot count: it is removed from the set at once. */
  leave(reason: string): void
  /** It does not keep up: it is removed at once, and stays out longer each time that happens. */
  tooSlow(why: string): void
}

/** What the writer and its in-sync set report. */
export type WriterEvent =
  /** No standby is in sync: writes continue with one copy, or wait when `blocked`. */
  | { readonly name: 'degraded'; readonly blocked: boolean }
  /** At least one standby is in sync. */
  | { readonly name: 'redundant' }
  /** This standby's acknowledgements count from now on. */
  | { readonly name: 'standbyInSync'; readonly peer: string }
  /** This standby left the in-sync set. */
  | { readonly name: 'standbyLost'; readonly peer: string; readonly reason: string }
  | PaceEvent
