/** Types that several events share. */
import type { Role } from '../../core/state/facts.js'
import type { Term } from '../../history/position.js'
import type { RestoreMethod } from '../../replication/restore/plan.js'

/** A change of the node's role. */
export interface RoleEvent {
  /** The new role. */
  readonly role: Role
  /** The previous role. */
  readonly from: Role
  /** The reason, for people. */
  readonly reason: string
  /**
   * The term in which it is `active`, or which it follows as `restoring` or `standby`; otherwise
   * undefined.
   */
  readonly term: Term | undefined
}

/** A remote restore, reported on both sides with the same `restoreId`. */
export interface RestoreEvent {
  /** The id of this attempt, the same on both sides. */
  readonly restoreId: string
  /** The node that is restored. */
  readonly target: string
  /** The node that it is restored from. */
  readonly source: string
  /**
   * The method. `none`: nothing was missing; `journal`: the rest of the journal; `delta`: the files
   * that differ; `full`: everything.
   */
  readonly method: RestoreMethod
}

/** The end of a remote restore, after which the target is a standby again. */
export interface RestoredEvent extends RestoreEvent {
  /** The number of files that were transferred. */
  readonly files: number
  /** Bytes of files and state that were transferred. */
  readonly bytesMoved: number
  /** The duration in milliseconds. */
  readonly ms: number
}

/** An event about a peer. */
export interface PeerEvent {
  /** The id of the peer, or the address of one that was refused before it identified itself. */
  readonly peer: string
}

/** The lag of a standby's disk behind the active. */
export interface PeerLag {
  /** The number of changes that are missing on its disk. */
  readonly changes: number
  /** Bytes of the journal, and of the contents that it names, that are missing on its disk. */
  readonly bytes: number
  /** The age of the oldest of these changes in milliseconds; 0 when none is missing. */
  readonly ms: number
}
