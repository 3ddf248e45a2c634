/** What a node tells its application: one typed event each, also loggable as plain data. */

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
      /** Names this takeover in all events about it. */
      readonly incident: string
      /** The node that was active before. */
      readonly from: string
      /** The node that is active now: this one. */
      readonly to: string
      /** The term that it opened. */
      readonly term: Term
    },
  ]
  /** This node is not active any more, and did not hand over. */
  steppedDown: [
    event: {
      /** Why, in words, for people. */
      readonly reason: string
      /** The term that it gave up. */
      readonly term: Term
    },
  ]
  /** A peer is heard, for the first time or again. */
  peerUp: [event: PeerEvent]
  /** A peer is not heard any more. */
  peerDown: [
    event: PeerEvent & {
      /**
       * `silent` for `deadMs`; `gone`: its process is dead, that is proven; `stopped`: it said
       * goodbye.
       */
      readonly cause: 'silent' | 'gone' | 'stopped'
    },
  ]
  /** A restore began, with this node as its target or source. */
  restoreStarted: [event: RestoreEvent]
  /** How far a restore is; at most a few times a second. */
  restoreProgress: [event: RestoreEvent & RestoreProgress]
  /** The target completed its restore and rejoined. */
  restored: [event: RestoredEvent]
  /** A standby's acknowledgements count from now on. */
  standbyInSync: [event: PeerEvent]
  /** A standby's acknowledgements do not count any more. */
  standbyLost: [
    event: PeerEvent & {
      /** Why, in words, for people. */
      readonly reason: string
    },
  ]
  /** No standby is in sync: writes go on with one copy, or wait when `blocked`. */
  degraded: [
    event: {
      /** True with `onNoStandby: 'block'`. */
      readonly blocked: boolean
    },
  ]
  /** At least one standby is in sync: the loss of any one machine is survived. */
  redundant: [event: Record<string, never>]
  /**
   * A standby is alive and does not gain on the active, so writes get their places at its rate
   * until it does (`flowControl: 'redundancy'`).
   */
  writersPaced: [
    event: PeerEvent & {
      /** How far it is behind. */
      readonly lag: PeerLag
      /** Changes that get their places in a second now, at the size that they have of late. */
      readonly changesPerSecond: number
    },
  ]
  /**
   * Writers are not paced any more: the standby for which they were last keeps up, or pacing was of
   * no use to it.
   */
  writersReleased: [event: PeerEvent]
  /**
   * A takeover went on without these members of the in-sync set: acknowledged writes may be
   * missing. Also: after a start of the whole cluster, or of its last active, these members turn
   * out to have gone on in a term of which the copy that serves knows nothing, as after a disk was
   * put back to an older state.
   */
  possibleLoss: [
    event: {
      /** That of the `failover`, or of the start: cluster, epoch and node. */
      readonly incident: string
      /** The members that may have more. */
      readonly missing: readonly string[]
    },
  ]
  /**
   * This node starts, and gives these members, which may hold newer data, time to show up before it
   * serves.
   */
  waiting: [
    event: {
      /** The members that are waited for; the wait ends when the last of them is heard. */
      readonly missing: readonly string[]
      /** For how long at most, in milliseconds: what is left of `startupWaitMs`. */
      readonly forMs: number
    },
  ]
  /** This node serves although these members, which may hold newer data, did not show up. */
  unprovenStart: [
    event: {
      /** The members that were waited for. */
      readonly missing: readonly string[]
    },
  ]
  /**
   * This node waits for an operator or for these members before it serves: they are missing, or
   * answer with a refusal, or it joins and has nobody to be restored from.
   */
  holding: [
    event: {
      /**
       * The members whose return would end the wait; empty when no member in reach may be promoted.
       */
      readonly missing: readonly string[]
      /** Why, in words, for people. */
      readonly reason: string
    },
  ]
  /** Later data is known of than any copy in reach holds. */
  outdated: [
    event: {
      /** The term of that data; its node has it. */
      readonly known: Term
    },
  ]
  /** Others hear the active, this node does not. */
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
      /** Names this pair of actives; the same on both. */
      readonly incident: string
      /** Both of them, the lower epoch first. */
      readonly actives: readonly {
        /** The active node. */
        readonly id: string
        /** The term that it is active in. */
        readonly term: Term
      }[]
    },
  ]
  /** Something that the surviving history does not have went into the vault. */
  vaulted: [
    event: {
      /** What it was, and where it lies. */
      readonly incident: VaultIncident
      /** Listed changes whose callers had certainly been told that they are safe. */
      readonly lostAcks: number
      /** Listed changes whose callers may have been told or not; see `acknowledged` of a change. */
      readonly unknownAcks: number
    },
  ]
  /** A peer's classes or library differ from ours; it gets no data. */
  configMismatch: [
    event: PeerEvent & {
      /** Which classes differ, in words, for people. */
      readonly reason: string
    },
  ]
  /**
   * A peer was refused, or refused us, or cannot be dialled as things are set up (an unknown name,
   * a certificate), or was heard for `deadMs` over connections of its own alone (a closed port, a
   * wrong address); the same one for the same reason once a minute.
   */
  refused: [
    event: PeerEvent & {
      /** An error code, for example `HANDSHAKE_FAILED`. */
      readonly code: string
      /** Why, in words, for people. */
      readonly reason: string
    },
  ]
  /**
   * Two processes run under the id of one member: each makes void what the other one said, so both
   * must not run.
   */
  duplicateId: [
    event: PeerEvent & {
      /** `DUPLICATE_ID` */
      readonly code: string
      /** What each start of a node draws anew: the processes that spoke in turns. */
      readonly bootIds: readonly string[]
      /** What to do, in words, for people. */
      readonly reason: string
    },
  ]
  /** This node's storage failed; a standby leaves the in-sync set, an active gives up the role. */
  storageFailed: [
    event: {
      /** What the storage said, for example `STORAGE_FULL`. */
      readonly error: HotspareError
    },
  ]
  /** The storage takes writes again. */
  storageRecovered: [event: Record<string, never>]
  /**
   * The snapshot of a class of application state could not be taken or stored. The last one that is
   * stored stays, with the journal after it, which may then grow beyond `journalBytesMax`; it is
   * tried again at the next checkpoint.
   */
  snapshotFailed: [
    event: {
      /** The class. */
      readonly className: string
      /** `SNAPSHOT_FAILED`, with what went wrong in its message and as its cause. */
      readonly error: HotspareError
    },
  ]
  /** The journal no longer reaches back to what a known member lacks: it will need a restore. */
  historyLost: [
    event: {
      /** The sequence number of the last change that was trimmed. */
      readonly upTo: number
    },
  ]
  /**
   * Something that a synced class seems to claim is not synced, because of its name or of what it
   * is (a link, a special file, a folder that cannot be read). Told at every start, for the first
   * 100; `status().skippedPaths` has them, too.
   */
  skippedPath: [
    event: {
      /** Relative to the root of the storage. */
      readonly path: string
      /** What it is, in words, for people. */
      readonly why: string
    },
  ]
  /** There are more such paths than `skippedPath` told: it comes after the last of those. */
  skippedPaths: [
    event: {
      /** How many there are in all. */
      readonly count: number
    },
  ]
  /**
   * A synced class claims an SQLite database that is open, or was when its process ended: its
   * write-ahead log lies beside it. Such a file must not be synced: what is copied of it is no
   * database, and reading it may drop the locks that SQLite holds in this process. Every start
   * looks for such databases, and emits this for the first 100.
   */
  liveDatabase: [
    event: {
      /** The database, relative to the root of the storage. */
      readonly path: string
      /** The class that claims it, or its log. */
      readonly className: string
      /** What to do, in words, for people. */
      readonly whatToDo: string
    },
  ]
  /**
   * Somebody else changed files of synced classes: while the node was stopped, or later, and then a
   * change, a read or a restore of a standby met what they did.
   */
  outsideChange: [
    event: {
      /** The first of them, at most 100. */
      readonly paths: readonly string[]
      /** How many there are. */
      readonly count: number
      /**
       * `adopted`: they are changes of this node now, which is about to become active, and what
       * they replaced is in its vault as far as it could be had; `repaired`: they went to the
       * vault, and the active's version is back; `kept`: they are as they are on this active, and
       * otherwise on its standbys, until it is active no more. Where they could not be adopted, an
       * event `error` says why, and `adopted` follows when they could.
       */
      readonly outcome: 'repaired' | 'adopted' | 'kept'
    },
  ]
  /** The process was late by this much and distrusted itself. */
  late: [
    event: {
      /** In milliseconds. */
      readonly lateMs: number
    },
  ]
  /**
   * Something that this node tries again and again does not succeed, and `status().stuck` says so.
   * The same reason is told once a minute. What has an event of its own (`storageFailed`,
   * `holding`, `waiting`, `refused`) is told here only when it lasts.
   */
  stuck: [
    event: {
      /** What is tried. */
      readonly what: Tried
      /** The code of the error; undefined where it is no failure. */
      readonly code: string | undefined
      /** Why, in words, for people, and what to do. */
      readonly reason: string
      /** Attempts that failed in a row. */
      readonly attempts: number
    },
  ]
  /** What was told as `stuck` succeeded, or is not tried any more. */
  unstuck: [
    event: {
      /** What was tried. */
      readonly what: Tried
      /** Milliseconds since the first failed attempt. */
      readonly forMs: number
    },
  ]
  /**
   * Something failed that no call of the application was waiting for, a listener of another event
   * among it. Without a listener it is only logged.
   */
  error: [error: unknown]
}

/** An event as the logger gets it: `name` tells what `event` is. */
export type NodeLogEvent = {
  [Name in keyof NodeEvents]: {
    /** The id of the node. */
    readonly node: string
    /** Which event. */
    readonly name: Name
    /** Wall clock, milliseconds since 1970, for people. */
    readonly atWallMs: number
    /** What a listener of this event gets. */
    readonly event: NodeEvents[Name][0]
  }
}[keyof NodeEvents]

/** Gives an event to the application and to the log. */
export type Emit = <Name extends keyof NodeEvents>(name: Name, ...event: NodeEvents[Name]) => void
