/** What a node tells its application: one typed event each, also loggable as plain data. */
import type { Role } from '../core/types.js'
import type { HotspareError } from '../errors.js'
import type { Term } from '../replication/position.js'
import type { RestoreMethod, RestoreProgress } from '../replication/stream/wire.js'
import type { VaultIncident } from '../replication/vault.js'

/** A change of the node's role. */
export interface RoleEvent {
  readonly role: Role
  readonly from: Role
  readonly reason: string
  /** The term, while the role is `active`. */
  readonly term: Term | undefined
}

/** A remote restore, told on both sides with the same `restoreId`. */
export interface RestoreEvent {
  readonly restoreId: string
  /** The node whose copy is brought up to date. */
  readonly target: string
  /** The node it is brought up to date from. */
  readonly source: string
  readonly method: RestoreMethod
}

/** The end of a remote restore: the target is a standby again. */
export interface RestoredEvent extends RestoreEvent {
  readonly files: number
  readonly bytesMoved: number
  readonly ms: number
}

/** The events of a node, by name. */
export interface NodeEvents {
  role: [event: RoleEvent]
  /** This node became active after the loss of another. */
  failover: [event: { readonly incident: string; readonly from: string; readonly to: string; readonly term: Term }]
  /** This node is not active any more, and did not hand over. */
  steppedDown: [event: { readonly reason: string; readonly term: Term }]
  peerUp: [event: { readonly peer: string }]
  peerDown: [event: { readonly peer: string; readonly cause: 'silent' | 'gone' | 'stopped' }]
  restoreStarted: [event: RestoreEvent]
  restoreProgress: [event: RestoreEvent & RestoreProgress]
  /** The target completed its restore and rejoined. */
  restored: [event: RestoredEvent]
  /** A standby's acknowledgements count from now on. */
  standbyInSync: [event: { readonly peer: string }]
  standbyLost: [event: { readonly peer: string; readonly reason: string }]
  /** No standby is in sync: writes go on with one copy, or wait when `blocked`. */
  degraded: [event: { readonly blocked: boolean }]
  redundant: [event: Record<string, never>]
  /** A takeover went on without these members of the in-sync set: acknowledged writes may be missing. */
  possibleLoss: [event: { readonly incident: string; readonly missing: readonly string[] }]
  /** This node serves although these members, which may hold newer data, did not show up. */
  unprovenStart: [event: { readonly missing: readonly string[] }]
  /** This node waits for an operator or for these members before it serves. */
  holding: [event: { readonly missing: readonly string[]; readonly reason: string }]
  outdated: [event: { readonly known: Term }]
  /** Others hear the active, this node does not. */
  activeUnreachable: [event: { readonly active: string; readonly heardBy: readonly string[] }]
  splitBrain: [event: { readonly incident: string; readonly actives: readonly { readonly id: string; readonly term: Term }[] }]
  /** Something that the surviving history does not have went into the vault. */
  vaulted: [event: { readonly incident: VaultIncident; readonly lostAcks: number; readonly unknownAcks: number }]
  /** A peer's classes or library differ from ours; it gets no data. */
  configMismatch: [event: { readonly peer: string; readonly reason: string }]
  /** A peer was refused, or refused us. */
  refused: [event: { readonly peer: string; readonly code: string; readonly reason: string }]
  /** This node's storage failed; a standby leaves the in-sync set, an active gives up the role. */
  storageFailed: [event: { readonly error: HotspareError }]
  storageRecovered: [event: Record<string, never>]
  /** The journal no longer reaches back to what a known member lacks: it will need a restore. */
  historyLost: [event: { readonly upTo: number }]
  /** Paths that are not synced because of what they are (links, special files, odd names). */
  skippedPath: [event: { readonly path: string; readonly why: string }]
  /** Files of synced classes changed while the node was stopped. */
  outsideChange: [event: { readonly paths: readonly string[]; readonly count: number; readonly outcome: 'repaired' | 'adopted' }]
  /** The process was late by this much and distrusted itself. */
  late: [event: { readonly lateMs: number }]
  error: [error: unknown]
}

/** An event as the logger gets it. */
export interface NodeLogEvent {
  readonly node: string
  readonly name: keyof NodeEvents
  /** Wall clock, milliseconds since 1970, for people. */
  readonly atWallMs: number
  readonly event: unknown
}
