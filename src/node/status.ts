/** What a node says of itself to its operator. */
import type { CoreState } from '../core/state.js'
import type { Role } from '../core/types.js'
import type { Position, Term } from '../replication/position.js'
import { positionOf } from '../replication/position.js'
import type { RestoreProgress } from '../replication/stream/wire.js'
import type { NodeOptions } from './options.js'
import type { Replica } from './replica.js'

/** The derived operator's word. */
export type OperatorState = 'searching' | 'active' | 'standby' | 'failed' | 'shutdown'

/** What is known of one peer. */
export interface PeerStatus {
  readonly id: string
  readonly role: Role | undefined
  /** Whether something was heard of it within `deadMs`. */
  readonly heard: boolean
  /** Whether it hears this node, as far as it said so. */
  readonly hearsUs: boolean
  /** Milliseconds since something was heard of it; undefined when nothing ever was. */
  readonly lastContactMs: number | undefined
  readonly seq: number | undefined
  readonly inSync: boolean
  /** Only on the active: changes, bytes and milliseconds that its disk is behind. */
  readonly lag: { readonly changes: number; readonly bytes: number; readonly ms: number } | undefined
  /** Why it gets no data, when its classes differ. */
  readonly mismatch: string | undefined
  readonly appVersion: string | undefined
}

/** The state of a node. */
export interface NodeStatus {
  readonly id: string
  readonly cluster: string
  readonly role: Role
  readonly state: OperatorState
  /** The highest epoch this node took part in. */
  readonly epoch: number
  readonly term: Term | undefined
  /** The active, as far as it is known. */
  readonly active: string | undefined
  readonly position: Position | undefined
  /** Whether the copy is a consistent state that may be served. */
  readonly complete: boolean
  readonly inSync: readonly string[]
  /** Writes with the level `standby` are acknowledged with one copy, or wait when `blocked`. */
  readonly degraded: boolean
  readonly blocked: boolean
  /** Whether the loss of any one machine is survived now, as far as this node knows. */
  readonly redundant: boolean
  /** A restore under way on this node. */
  readonly restore: ({ readonly source: string; readonly method: string } & RestoreProgress) | undefined
  /** Why this node makes no progress, and what would help. */
  readonly stuck: string | undefined
  readonly peers: readonly PeerStatus[]
  /** Bytes that the vault holds. */
  readonly vaultBytes: number
  readonly options: {
    readonly heartbeatMs: number
    readonly deadMs: number
    readonly discoveryMs: number
    readonly startupWaitMs: number
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
  readonly mismatches: ReadonlyMap<string, string>
  readonly appVersions: ReadonlyMap<string, string>
  readonly restore: NodeStatus['restore']
  readonly stuck: string | undefined
}

export function statusOf(parts: StatusParts): NodeStatus {
  const { options, role, term, state, replica } = parts
  const { id, cluster, heartbeatMs, deadMs, discoveryMs, startupWaitMs, degradeAfterMs } = options
  const copy = replica?.copy
  const writer = replica?.writer?.status
  const inSync = writer?.inSync ?? copy?.inSync ?? []
  const active = activeOf(parts)
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
    redundant: active !== undefined && inSync.length > 0,
    restore: parts.restore,
    stuck: parts.stuck,
    peers: options.members.filter((member) => member.id !== id).map((member) => peerStatus(parts, member.id, inSync)),
    vaultBytes: replica?.vault.bytes ?? 0,
    options: { heartbeatMs, deadMs, discoveryMs, startupWaitMs, degradeAfterMs },
  }
}

/** The active: this node, or the one it follows or last followed while that one is heard. */
export function activeOf(parts: Pick<StatusParts, 'options' | 'role' | 'state'>): string | undefined {
  const { options, role, state } = parts
  if (role === 'active') return options.id
  if (role === 'standby' || role === 'restoring') return state?.followed?.id
  let best: { id: string; epoch: number } | undefined
  for (const peer of state?.peers.values() ?? []) {
    const epoch = peer.view?.activeTerm?.epoch
    const heard = peer.heardAtMs !== undefined && (state?.nowMs ?? 0) - peer.heardAtMs < options.deadMs
    if (epoch === undefined || !heard || peer.gone || peer.stopped) continue
    if (best === undefined || epoch > best.epoch) best = { id: peer.id, epoch }
  }
  return best?.id
}

function operatorState(parts: StatusParts): OperatorState {
  if (parts.role === 'stopped') return 'shutdown'
  if (parts.role === 'active') return 'active'
  if (parts.replica?.copy.failed !== undefined) return 'failed'
  return parts.role === 'standby' ? 'standby' : 'searching'
}

function peerStatus(parts: StatusParts, id: string, inSync: readonly string[]): PeerStatus {
  const { state, options, replica } = parts
  const peer = state?.peers.get(id)
  const nowMs = options.clock.nowMs()
  const lastContactMs = peer?.heardAtMs === undefined ? undefined : nowMs - peer.heardAtMs
  const follower = replica?.writer?.status.followers.find((one) => one.id === id)
  return {
    id,
    role: peer?.stopped === true ? 'stopped' : peer?.view?.role,
    heard: lastContactMs !== undefined && lastContactMs < options.deadMs && peer?.gone !== true,
    hearsUs: peer?.view?.hears.includes(options.id) ?? false,
    lastContactMs,
    seq: peer?.view?.copy.seq,
    inSync: inSync.includes(id),
    lag:
      follower === undefined
        ? undefined
        : { changes: follower.lagSeq, bytes: follower.lagBytes, ms: follower.lagMs },
    mismatch: parts.mismatches.get(id),
    appVersion: parts.appVersions.get(id),
  }
}
