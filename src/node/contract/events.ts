/** The events of a node, typed and loggable as plain data. */

import type { VaultIncident } from '../../copy/vault/incident.js'
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { RestoreProgress } from '../../replication/restore/plan.js'
import type { PeerEvent, PeerLag, RestoredEvent, RestoreEvent, RoleEvent } from './event-parts.js'
import type { Tried } from './tried.js'

/** The events of a node, by name. */
export interface NodeEvents {
  /** The node's role changed. */
  role: [event: RoleEvent]
  /** This node became active after the loss of another. */
  failover: [
    event: {
      /** The id of this takeover in all its events. */
      readonly incident: string
      /** The previous active. */
      readonly from: string
      /** The new active, which is this node. */
      readonly to: string
      /** The term that it opened. */
      readonly term: Term
    },
  ]
  /** This node gave up the role without a handover. */
  steppedDown: [
    event: {
      /** The reason, for people. */
      readonly reason: string
      /** The term that it gave up. */
      readonly term: Term
    },
  ]
  /** A peer is heard, for the first time or again. */
  peerUp: [event: PeerEvent]
  /** A peer is no longer heard. */
  peerDown: [
    event: PeerEvent & {
      /**
       * Why: `silent` for `deadMs`; `gone`, because its process has provably ended; or `stopped` in
       * order.
       */
      readonly cause: 'silent' | 'gone' | 'stopped'
    },
  ]
  /** A restore started, with this node as its target or source. */
  restoreStarted: [event: RestoreEvent]
  /** The progress of a restore, at most a few times per second. */
  restoreProgress: [event: RestoreEvent & RestoreProgress]
  /** The target has completed its restore and rejoined. */
  restored: [event: RestoredEvent]
  /** The acknowledgements of a standby count from now on. */
  standbyInSync: [event: PeerEvent]
  /** The acknowledgements of a standby no longer count. */
  standbyLost: [
    event: PeerEvent & {
      /** The reason, for people. */
      readonly reason: string
    },
  ]
  /** No standby is in sync: writes continue with one copy, or wait when `blocked`. */
  degraded: [
    event: {
      /** Whether writes wait, as with `onNoStandby: 'block'`. */
      readonly blocked: boolean
    },
  ]
  /** At least one standby is in sync, so that the loss of any one machine would be survived. */
  redundant: [event: Record<string, never>]
  /**
   * A standby is alive and does not catch up, so writes are paced to its rate until it does
   * (`flowControl: 'redundancy'`).
   */
  writersPaced: [
    event: PeerEvent & {
      /** Its lag. */
      readonly lag: PeerLag
      /** Changes per second that get a position now, at their recent size. */
      readonly changesPerSecond: number
    },
  ]
  /** Writers are no longer paced, because the standby keeps up or pacing was of no use. */
  writersReleased: [event: PeerEvent]
  /**
   * A takeover continued without these members of the in-sync set, so acknowledged writes may be
   * missing. Also emitted when, after a start of the whole cluster or of its last active, these
   * members turn out to have continued in a term that the serving copy does not know, as after a
   * disk was restored to an older state.
   */
  possibleLoss: [
    event: {
      /** The incident of the `failover` or of the start: cluster, epoch and node. */
      readonly incident: string
      /** The members that may have later changes. */
      readonly missing: readonly string[]
    },
  ]
  /** This node starts and waits for these members, which may hold newer data, before it serves. */
  waiting: [
    event: {
      /** The missing members; the wait ends when the last of them is heard. */
      readonly missing: readonly string[]
      /** The longest duration of the wait in milliseconds: what remains of `startupWaitMs`. */
      readonly forMs: number
    },
  ]
  /** This node serves although these members, which may hold newer data, are missing. */
  unprovenStart: [
    event: {
      /** The missing members. */
      readonly missing: readonly string[]
    },
  ]
  /**
   * This node serves only after an operator's decision or the return of these members: they are
   * missing or answer with a refusal, or this node joins and has no member to be restored from.
   */
  holding: [
    event: {
      /**
       * The members whose return would end the wait; empty when no reachable member may be
       * promoted.
       */
      readonly missing: readonly string[]
      /** The reason, for people. */
      readonly reason: string
    },
  ]
  /** Later data is known than any reachable copy holds. */
  outdated: [
    event: {
      /** The term of that data; the node of the term has it. */
      readonly known: Term
    },
  ]
  /** Other members hear the active, and this node does not. */
  activeUnreachable: [
    event: {
      /** The active. */
      readonly active: string
      /** The members that hear it. */
      readonly heardBy: readonly string[]
    },
  ]
  /** Two nodes are active. */
  splitBrain: [
    event: {
      /** The id of this pair of actives, the same on both. */
      readonly incident: string
      /** Both actives, the one with the lower epoch first. */
      readonly actives: readonly {
        /** The id of the active. */
        readonly id: string
        /** Its term. */
        readonly term: Term
      }[]
    },
  ]
  /** Data that the surviving history lacks went into the vault. */
  vaulted: [
    event: {
      /** The incident: what it was, and where it is. */
      readonly incident: VaultIncident
      /** The number of listed changes that had certainly been acknowledged to their callers. */
      readonly lostAcks: number
      /**
       * The number of listed changes that may or may not have been acknowledged; see `acknowledged`
       * of a change.
       */
      readonly unknownAcks: number
    },
  ]
  /** The classes or the library of a peer differ from those of this node, so it gets no data. */
  configMismatch: [
    event: PeerEvent & {
      /** Which classes differ, for people. */
      readonly reason: string
    },
  ]
  /**
   * A peer was refused, refused this node, or cannot be dialled as configured (an unknown name, a
   * certificate); or it has been connected for `deadMs` only by its own dial (a closed port, a
   * wrong address). Emitted once a minute for the same peer and reason.
   */
  refused: [
    event: PeerEvent & {
      /** An error code, for example `HANDSHAKE_FAILED`. */
      readonly code: string
      /** The reason, for people. */
      readonly reason: string
    },
  ]
  /**
   * Two processes run with the id of one member. They invalidate each other's reports, so one has
   * to be stopped.
   */
  duplicateId: [
    event: PeerEvent & {
      /** `DUPLICATE_ID` */
      readonly code: string
      /** The boot ids, which differ with each start, of the processes that alternated. */
      readonly bootIds: readonly string[]
      /** What to do, for people. */
      readonly reason: string
    },
  ]
  /**
   * This node's storage failed. A standby leaves the in-sync set, and an active gives up the role.
   */
  storageFailed: [
    event: {
      /** The error of the storage, for example `STORAGE_FULL`. */
      readonly error: HotspareError
    },
  ]
  /** The storage accepts writes again. */
  storageRecovered: [event: Record<string, never>]
  /**
   * The snapshot of a class of application state could not be taken or stored. The last stored
   * snapshot is kept with the journal after it, which may then exceed `journalBytesMax`. The next
   * checkpoint tries again.
   */
  snapshotFailed: [
    event: {
      /** The name of the class. */
      readonly className: string
      /** `SNAPSHOT_FAILED`, with the failure in its message and as its cause. */
      readonly error: HotspareError
    },
  ]
  /**
   * The journal no longer contains what a known member lacks, so that member will need a restore.
   */
  historyLost: [
    event: {
      /** The sequence number of the last change that was trimmed. */
      readonly upTo: number
    },
  ]
  /**
   * A path that a synced class claims is not synced, because of its name or type (a link, a special
   * file, an unreadable folder). Emitted at every start for the first 100, which are also in
   * `status().skippedPaths`.
   */
  skippedPath: [
    event: {
      /** The path relative to the root of the storage. */
      readonly path: string
      /** The reason, for people. */
      readonly why: string
    },
  ]
  /** There are more such paths than `skippedPath` reported. Emitted after the last of these. */
  skippedPaths: [
    event: {
      /** The total number of them. */
      readonly count: number
    },
  ]
  /**
   * A synced class claims an SQLite database that is open, or was when its process ended, because
   * its write-ahead log exists beside it. Such a file must not be synced: a copy of it is no valid
   * database, and reading it may drop the locks that SQLite holds in this process. Every start
   * looks for such databases, and emits this for the first 100.
   */
  liveDatabase: [
    event: {
      /** The path of the database, relative to the root of the storage. */
      readonly path: string
      /** The class that claims the database or its log. */
      readonly className: string
      /** What to do, for people. */
      readonly whatToDo: string
    },
  ]
  /**
   * Files of synced classes were changed outside the library while the node was stopped, or later,
   * and were then found by a change, a read or a restore.
   */
  outsideChange: [
    event: {
      /** The first of them, at most 100. */
      readonly paths: readonly string[]
      /** The number of them. */
      readonly count: number
      /**
       * What was done. `adopted`: they became changes of this node, which is about to become
       * active, and what they replaced is in its vault as far as it could be read. `repaired`: they
       * went to the vault, and the active's version is restored. `kept`: they stay as they are on
       * this active, unlike on its standbys, until it is no longer active. If they could not be
       * adopted, an event `error` reports why, and `adopted` follows once they could.
       */
      readonly outcome: 'repaired' | 'adopted' | 'kept'
    },
  ]
  /** The process was paused for this long, so its knowledge of the others was outdated. */
  late: [
    event: {
      /** The pause in milliseconds. */
      readonly lateMs: number
    },
  ]
  /**
   * A repeated attempt of this node does not succeed, as `status().stuck` shows. The same reason is
   * reported once a minute. Causes with an event of their own (`storageFailed`, `holding`,
   * `waiting`, `refused`) are reported here only when they last.
   */
  stuck: [
    event: {
      /** What is tried. */
      readonly what: Tried
      /** The code of the error; undefined when nothing failed. */
      readonly code: string | undefined
      /** The reason and what to do, for people. */
      readonly reason: string
      /** The number of consecutive failed attempts. */
      readonly attempts: number
    },
  ]
  /** A cause that was reported as `stuck` is over: an attempt succeeded, or the attempts ended. */
  unstuck: [
    event: {
      /** What was tried. */
      readonly what: Tried
      /** Milliseconds since the first failed attempt. */
      readonly forMs: number
    },
  ]
  /**
   * A failure that belongs to no call of the application, for example that of a listener. Without a
   * listener it is only logged.
   */
  error: [error: unknown]
}

/** An event as the logger gets it; `name` determines the type of `event`. */
export type NodeLogEvent = {
  [Name in keyof NodeEvents]: {
    /** The id of the node. */
    readonly node: string
    /** The name of the event. */
    readonly name: Name
    /** The wall-clock time in milliseconds since 1970, for people. */
    readonly atWallMs: number
    /** The argument of the listeners of this event. */
    readonly event: NodeEvents[Name][0]
  }
}[keyof NodeEvents]

/** Emits an event to the application and to the log. */
export type Emit = <Name extends keyof NodeEvents>(name: Name, ...event: NodeEvents[Name]) => void
