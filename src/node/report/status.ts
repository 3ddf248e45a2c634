/** The status of a node, as its operator sees it. */

import { nothingSkipped } from '../../copy/files/skipped-paths.js'
import type { Role } from '../../core/state/facts.js'
import type { CoreState } from '../../core/state/state.js'
import type { Position, Term } from '../../history/position.js'
import { positionOf } from '../../history/position.js'
import type { Pace } from '../../replication/in-sync/flow-control.js'
import type { FollowerStatus } from '../../replication/in-sync/types.js'
import type { RestoreProgress } from '../../replication/restore/plan.js'
import type { PeerLag } from '../contract/event-parts.js'
import type { NodeOptions } from '../contract/options.js'
import type { Replica } from '../data/replica.js'
import type { CauseStatus } from '../roles/causes.js'
import { textOf } from '../roles/causes.js'
import { peerLagOf } from './reports.js'

/**
 * The state of a node in the words of operators: `searching` for the roles `discovering` and
 * `restoring` and for a start that is opening the storage, `failed` for a node that is not active
 * and whose storage failed, `shutdown` for one that does not run.
 */
export type OperatorState = 'searching' | 'active' | 'standby' | 'failed' | 'shutdown'

/** The status of a peer. */
export interface PeerStatus {
  /** Its id, as in `members`. */
  readonly id: string
  /** Its last reported role; undefined when it was never heard. */
  readonly role: Role | undefined
  /** Whether a message of it arrived within `deadMs`. */
  readonly heard: boolean
  /** Whether it reports that it hears this node. */
  readonly hearsUs: boolean
  /** Milliseconds since its last message; undefined when none has arrived. */
  readonly lastContactMs: number | undefined
  /** The sequence number of its last reported change; undefined when it was never heard. */
  readonly seq: number | undefined
  /** Whether its acknowledgements count, as far as this node knows. */
  readonly inSync: boolean
  /** The lag of its disk; only on the active and while it follows, otherwise undefined. */
  readonly lag: PeerLag | undefined
  /** Why this node's last dial of it failed, for people; undefined while the connection is open. */
  readonly unreachable: string | undefined
  /**
   * Whether it reports that it cannot dial this node, because a port is closed or it has another
   * address. A node that no member can dial is the last choice for the role, because no other could
   * follow it.
   */
  readonly cannotDialUs: boolean
  /** Why it gets no data, when its classes differ; otherwise undefined. */
  readonly mismatch: string | undefined
  /** Its `appVersion`; undefined when it has none or was never met. */
  readonly appVersion: string | undefined
}

/** The state of a node. */
export interface NodeStatus {
  /** This node's id. */
  readonly id: string
  /** The name of the cluster. */
  readonly cluster: string
  /** The role of this node. */
  readonly role: Role
  /** The role in the words of operators. */
  readonly state: OperatorState
  /** The highest epoch that this node took part in; 0 before the first. */
  readonly epoch: number
  /** The term in which this node is active; undefined while it is not. */
  readonly term: Term | undefined
  /** The id of the active, if known. */
  readonly active: string | undefined
  /** The last change in this node's copy; undefined for an empty copy and for a stopped node. */
  readonly position: Position | undefined
  /** Whether the copy is consistent and may be served. */
  readonly complete: boolean
  /**
   * The members of the in-sync set without the active. On other nodes: as the journal and, while it
   * is heard, the active report them.
   */
  readonly inSync: readonly string[]
  /**
   * On the active: whether no standby is in sync, so that writes with the level `standby` are
   * acknowledged with one copy.
   */
  readonly degraded: boolean
  /** On the active: whether no standby is in sync and such writes wait (`onNoStandby: 'block'`). */
  readonly blocked: boolean
  /**
   * On the active: the pacing of its writers for a standby that does not catch up; undefined
   * without pacing.
   */
  readonly pace:
    | {
        /** The standby that the writers are paced for. */
        readonly peer: string
        /** Its lag. */
        readonly lag: PeerLag
        /** Changes per second that get a position, at their recent size. */
        readonly changesPerSecond: number
      }
    | undefined
  /** Whether the loss of any one machine would be survived now, as far as this node knows. */
  readonly redundant: boolean
  /** The restore in progress on this node; otherwise undefined. */
  readonly restore:
    | ({
        /** The node that is the source. */
        readonly source: string
        /** The method: the rest of the journal, a delta, or everything. */
        readonly method: string
      } & RestoreProgress)
    | undefined
  /**
   * Why this node makes no progress, often starting with an error code; undefined when nothing
   * blocks it. It is the first of `causes`, and disappears when an attempt succeeds.
   */
  readonly stuck: string | undefined
  /** Everything that this node tries in vain or waits for; empty when nothing blocks it. */
  readonly causes: readonly CauseStatus[]
  /** What `start()` waits for, for people; undefined before the call and after its end. */
  readonly starting: string | undefined
  /** Classes of application state whose last snapshot failed, each with the reason. */
  readonly snapshotFailures: readonly {
    /** The name of the class. */
    readonly className: string
    /** The reason, for people. */
    readonly reason: string
  }[]
  /**
   * Paths that a synced class claims and that are not synced, because of their name or type, as
   * found by the last start. They exist on no other node.
   */
  readonly skippedPaths: {
    /** The number of such paths. */
    readonly count: number
    /** The first of them, at most 100. */
    readonly paths: readonly {
      /** The path relative to the root of the storage, cut after 1 024 characters. */
      readonly path: string
      /** The reason, for people. */
      readonly why: string
    }[]
  }
  /**
   * Whether this node's storage treats names that differ only in upper and lower case as one file;
   * false while no storage is open.
   */
  readonly foldsCase: boolean
  /** All other members, in takeover order. */
  readonly peers: readonly PeerStatus[]
  /** Bytes in the vault. */
  readonly vaultBytes: number
  /** The timers of this node in milliseconds, with defaults. */
  readonly options: {
    /** The interval of heartbeats. */
    readonly heartbeatMs: number
    /** The silence after which a peer counts as dead. */
    readonly deadMs: number
    /** The longest search for an active at start. */
    readonly discoveryMs: number
    /** The wait for the others after a total outage. */
    readonly startupWaitMs: number
    /** How long a silent standby delays acknowledgements. */
    readonly degradeAfterMs: number
  }
}

/** What the node adds to the facts of its parts. */
export interface StatusParts {
  readonly options: NodeOptions
  readonly role: Role
  readonly term: Term | undefined
  readonly state: Readonly<CoreState> | undefined
  readonly replica: Replica | undefined
  /** Why the last dial of a member failed. */
  unreachable(id: string): string | undefined
  readonly mismatches: ReadonlyMap<string, string>
  readonly appVersions: ReadonlyMap<string, string>
  readonly restore: NodeStatus['restore']
  readonly causes: readonly CauseStatus[]
  readonly starting: string | undefined
}

export function statusOf(parts: StatusParts): NodeStatus {
  const { options, role, term, state, replica } = parts
  const { id, cluster, heartbeatMs, deadMs, discoveryMs, startupWaitMs, degradeAfterMs } = options
  const copy = replica?.copy
  const writer = replica?.writer?.status
  const active = activeOf(parts)
  const said = inSyncSaidBy(parts, active)
  const journaled = copy?.inSync ?? []
  // A standby counts as in sync only if both the journal and the active say so.
  const inSync = writer?.inSync ?? journaled.filter((one) => said?.includes(one) ?? true)
  return {
    id,
    cluster,
    role,
    state: operatorState(parts),
    epoch: Math.max(term?.epoch ?? 0, state?.durable.promised?.epoch ?? 0),
    term,
    active,
    position: copy === undefined ? undefined : positionOf(copy.extent),
    complete: copy?.complete ?? false,
    inSync,
    degraded: writer?.degraded ?? false,
    blocked: writer?.blocked ?? false,
    pace: paceOf(writer?.pace),
    redundant: active !== undefined && inSync.length > 0,
    restore: parts.restore,
    stuck: parts.causes[0] === undefined ? undefined : textOf(parts.causes[0]),
    causes: parts.causes,
    starting: parts.starting,
    snapshotFailures: copy?.states.failures ?? [],
    skippedPaths: copy?.skipped ?? nothingSkipped,
    foldsCase: copy?.names.foldsCase ?? false,
    peers: options.members
      .filter((member) => member.id !== id)
      .map((member) => peerStatus(parts, member.id, inSync, writer?.followers ?? [])),
    vaultBytes: replica?.vault.bytes ?? 0,
    options: { heartbeatMs, deadMs, discoveryMs, startupWaitMs, degradeAfterMs },
  }
}

/** The active: this node, or the one that it follows or last followed while that one is heard. */
export function activeOf(
  parts: Pick<StatusParts, 'options' | 'role' | 'state'>,
): string | undefined {
  const { options, role, state } = parts
  if (role === 'active') return options.id
  if (role === 'standby' || role === 'restoring') return state?.followed?.id
  let best: { id: string; epoch: number } | undefined
  for (const peer of state?.peers.values() ?? []) {
    const epoch = peer.view?.activeTerm?.epoch
    const heard =
      peer.heardAtMs !== undefined && (state?.nowMs ?? 0) - peer.heardAtMs < options.deadMs
    if (epoch === undefined || !heard || peer.gone || peer.stopped) continue
    if (best === undefined || epoch > best.epoch) best = { id: peer.id, epoch }
  }
  return best?.id
}

/**
 * The in-sync set as reported by the active that this node hears, because a change of it may not
 * have reached the journal.
 */
function inSyncSaidBy(
  { options, state }: StatusParts,
  active: string | undefined,
): readonly string[] | undefined {
  const peer = active === undefined ? undefined : state?.peers.get(active)
  if (peer?.view?.activeTerm === undefined || peer.heardAtMs === undefined) return undefined
  const heard = options.clock.nowMs() - peer.heardAtMs < options.deadMs
  return heard ? peer.view.copy.inSync : undefined
}

function paceOf(pace: Pace | undefined): NodeStatus['pace'] {
  if (pace === undefined) return undefined
  const { id, lag, changesPerSecond } = pace
  return { peer: id, lag: peerLagOf(lag), changesPerSecond }
}

function operatorState(parts: StatusParts): OperatorState {
  if (parts.role === 'stopped') return parts.starting === undefined ? 'shutdown' : 'searching'
  if (parts.role === 'active') return 'active'
  if (parts.replica?.copy.failed !== undefined) return 'failed'
  return parts.role === 'standby' ? 'standby' : 'searching'
}

function peerStatus(
  parts: StatusParts,
  id: string,
  inSync: readonly string[],
  followers: readonly FollowerStatus[],
): PeerStatus {
  const { state, options } = parts
  const peer = state?.peers.get(id)
  const nowMs = options.clock.nowMs()
  const lastContactMs = peer?.heardAtMs === undefined ? undefined : nowMs - peer.heardAtMs
  const follower = followers.find((one) => one.id === id)
  return {
    id,
    role: peer?.stopped === true ? 'stopped' : peer?.view?.role,
    heard: lastContactMs !== undefined && lastContactMs < options.deadMs && peer?.gone !== true,
    hearsUs: peer?.view?.hears.includes(options.id) ?? false,
    lastContactMs,
    seq: peer?.view?.copy.seq,
    inSync: inSync.includes(id),
    lag: follower === undefined ? undefined : peerLagOf(follower),
    unreachable: parts.unreachable(id),
    cannotDialUs: peer?.view?.cannotDial.includes(options.id) ?? false,
    mismatch: parts.mismatches.get(id),
    appVersion: parts.appVersions.get(id),
  }
}
