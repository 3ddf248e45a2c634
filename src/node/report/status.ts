/** What a node says of itself to its operator. */

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
 * The operator's word for what a node does: `searching` stands for the roles `discovering` and
 * `restoring` and for a start that opens the storage, `failed` for a node that is not active and
 * whose storage failed, `shutdown` for one that does not run.
 */
export type OperatorState = 'searching' | 'active' | 'standby' | 'failed' | 'shutdown'

/** What is known of one peer. */
export interface PeerStatus {
  /** Its id, as `members` lists it. */
  readonly id: string
  /** What it said last; undefined when it was never heard. */
  readonly role: Role | undefined
  /** Whether something was heard of it within `deadMs`. */
  readonly heard: boolean
  /** Whether it hears this node, as far as it said so. */
  readonly hearsUs: boolean
  /** Milliseconds since something was heard of it; undefined when nothing ever was. */
  readonly lastContactMs: number | undefined
  /**
   * The sequence number of the last change that it said to have; undefined when it was never heard.
   */
  readonly seq: number | undefined
  /** Whether its acknowledgements count, as far as this node knows. */
  readonly inSync: boolean
  /** How far its disk is behind; only on the active, and only while it follows, else undefined. */
  readonly lag: PeerLag | undefined
  /**
   * Why this node's last dial of it failed, in words, for people; undefined while the connection
   * stands.
   */
  readonly unreachable: string | undefined
  /**
   * Whether it says that it cannot dial this node: this machine's port is closed to it, or it has
   * another address for it. Nobody who cannot dial this node could follow it, so that it is the
   * last choice for the role.
   */
  readonly cannotDialUs: boolean
  /** Why it gets no data, when its classes differ. */
  readonly mismatch: string | undefined
  /** The `appVersion` that it was started with; undefined without one, or when it was never met. */
  readonly appVersion: string | undefined
}

/** The state of a node. */
export interface NodeStatus {
  /** This node's id. */
  readonly id: string
  /** The name of the cluster. */
  readonly cluster: string
  /** What this node is doing. */
  readonly role: Role
  /** The same in the operator's words. */
  readonly state: OperatorState
  /** The highest epoch this node took part in; 0 before the first. */
  readonly epoch: number
  /** The term in which this node is active; undefined while it is not. */
  readonly term: Term | undefined
  /** The active, as far as it is known. */
  readonly active: string | undefined
  /**
   * The last change that this node's copy has; undefined for an empty copy and for a stopped node.
   */
  readonly position: Position | undefined
  /** Whether the copy is a consistent state that may be served. */
  readonly complete: boolean
  /**
   * The members of the in-sync set, without the active; on other nodes as the journal and, while it
   * is heard, the active say.
   */
  readonly inSync: readonly string[]
  /**
   * On the active: no standby is in sync, and writes with the level `standby` are acknowledged with
   * one copy.
   */
  readonly degraded: boolean
  /** On the active: no standby is in sync, and such writes wait (`onNoStandby: 'block'`). */
  readonly blocked: boolean
  /**
   * On the active: how its writers are paced for a standby that does not gain on them; undefined
   * while they are not.
   */
  readonly pace:
    | {
        /** The standby for which they are. */
        readonly peer: string
        /** How far it is behind. */
        readonly lag: PeerLag
        /** Changes that get their places in a second, at the size that they have of late. */
        readonly changesPerSecond: number
      }
    | undefined
  /** Whether the loss of any one machine is survived now, as far as this node knows. */
  readonly redundant: boolean
  /** A restore under way on this node, else undefined. */
  readonly restore:
    | ({
        /** The node that the copy comes from. */
        readonly source: string
        /** How: the rest of the journal, a delta, or everything. */
        readonly method: string
      } & RestoreProgress)
    | undefined
  /**
   * Why this node makes no progress, often beginning with an error code; undefined when nothing is
   * in its way. It is the first of `causes`, and goes away when the attempt succeeds.
   */
  readonly stuck: string | undefined
  /**
   * Everything that this node tries again and again in vain, or waits for; empty when nothing is in
   * its way.
   */
  readonly causes: readonly CauseStatus[]
  /**
   * What `start()` waits for, in words, for people; undefined before it was called and when it has
   * ended.
   */
  readonly starting: string | undefined
  /**
   * Classes of application state whose snapshot failed when it was last tried, each with the
   * reason.
   */
  readonly snapshotFailures: readonly {
    /** The class. */
    readonly className: string
    /** Why, in words, for people. */
    readonly reason: string
  }[]
  /**
   * What a synced class seems to claim and is not synced, because of its name or of what it is, as
   * the last start found it. No other node has it.
   */
  readonly skippedPaths: {
    /** How many there are. */
    readonly count: number
    /** The first of them, at most 100. */
    readonly paths: readonly {
      /**
       * Relative to the root of the storage, its end left out where it is longer than 1 024
       * characters.
       */
      readonly path: string
      /** What keeps it, in words, for people. */
      readonly why: string
    }[]
  }
  /**
   * Whether this node's storage takes names that differ only in upper and lower case for one file;
   * false while none is open.
   */
  readonly foldsCase: boolean
  /** All other members, in takeover order. */
  readonly peers: readonly PeerStatus[]
  /** Bytes that the vault holds. */
  readonly vaultBytes: number
  /** The timers that this node runs with, defaults filled in, in milliseconds. */
  readonly options: {
    /** How often it says that it lives. */
    readonly heartbeatMs: number
    /** Silence after which a peer is dead. */
    readonly deadMs: number
    /** The longest search for an active at start. */
    readonly discoveryMs: number
    /** The wait for the others after a total outage. */
    readonly startupWaitMs: number
    /** How long a silent standby holds up acknowledgements. */
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
  // What only one of the two says is on its way: until then it is not so.
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

/** The active: this node, or the one it follows or last followed while that one is heard. */
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
 * The set as the active that this node hears says. The own journal may lack that it was changed.
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
