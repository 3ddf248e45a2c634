/** What several events have in common. */
import type { Role } from '../../core/state/facts.js'
import type { Term } from '../../history/position.js'
import type { RestoreMethod } from '../../replication/restore/plan.js'

/** A change of the node's role. */
export interface RoleEvent {
  /** What the node is doing now. */
  readonly role: Role
  /** What it was doing before. */
  readonly from: Role
  /** Why, in words, for people. */
  readonly reason: string
  /**
   * The term that it is `active` in, or that it follows as `restoring` or `standby`; else
   * undefined.
   */
  readonly term: Term | undefined
}

/** A remote restore, told on both sides with the same `restoreId`. */
export interface RestoreEvent {
  /** The same on both sides; every attempt has one of its own. */
  readonly restoreId: string
  /** The node whose copy is brought up to date. */
  readonly target: string
  /** The node it is brought up to date from. */
  readonly source: string
  /**
   * `none`: nothing was missing; `journal`: its rest; `delta`: the files that changed; `full`:
   * everything.
   */
  readonly method: RestoreMethod
}

/** The end of a remote restore: the target is a standby again. */
export interface RestoredEvent extends RestoreEvent {
  /** Files that were moved. */
  readonly files: number
  /** Bytes of files and state that came over the wire for it. */
  readonly bytesMoved: number
  /** How long it took. */
  readonly ms: number
}

/** Something about one peer. */
export interface PeerEvent {
  /** Its id; of one that was refused before it said who it is, its address. */
  readonly peer: string
}

/** How far a standby's disk is behind the active. */
export interface PeerLag {
  /** Changes that it has not on its disk. */
  readonly changes: number
  /** Bytes of journal, and of the contents that it names, that it has not on its disk. */
  readonly bytes: number
  /** Age of the oldest of them in milliseconds; 0 when it has all. */
  readonly ms: number
}
