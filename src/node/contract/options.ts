/** Options of a node: what an application gives, checked and completed. */
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { Storage } from '../../interfaces/storage.js'
import type { Transport } from '../../interfaces/transport.js'
import type { PromotionGate } from '../../interfaces/witness.js'
import type { ClassDeclaration } from '../../policy/kinds/table.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import type { NodeLogEvent } from './events.js'

/** The classes of a policy by name. */
export type Classes = Readonly<Record<string, ClassDeclaration>>

/** A member of the cluster. Their order in the list is the takeover order. */
export interface MemberOptions {
  /**
   * Unique within the cluster: up to 64 letters, digits, `.`, `_` and `-`, the first a letter or
   * digit.
   */
  readonly id: string
  /** What the transport dials to reach it, for tcp `host:port`; no two members have the same. */
  readonly address: string
  /** True for a member that follows and holds a copy but is never promoted. Default false. */
  readonly observer?: boolean
}

/**
 * What a {@link ClusterNode} is made of. All durations are in milliseconds, from 1 (where not said
 * otherwise) to 2^31 - 1; all sizes are in whole bytes.
 */
export interface ClusterNodeOptions<C extends Classes = Classes> {
  /** The name of the cluster, with the rules of an id; nodes of other clusters are refused. */
  readonly cluster: string
  /** This node's id, one of `members`. */
  readonly id: string
  /**
   * All members, in takeover order, the same on every node: 1 to 64, at least one of them no
   * observer.
   */
  readonly members: readonly MemberOptions[]
  /** How nodes reach each other, for example `tcp()`. */
  readonly transport: Transport
  /** Where this node keeps its copy, for example `directory()`; for this node alone. */
  readonly storage: Storage
  /** What is synced, and how. Nodes compare their policies; those that differ exchange no data. */
  readonly policy: SyncPolicy<C>
  /**
   * The shared secret, at least 16 bytes, of a string in UTF-8. Default: none, and everybody who
   * can connect gets in. Given as `undefined` it is refused.
   */
  readonly secret?: string | Uint8Array
  /** The application's version, for `status()` of the others. */
  readonly appVersion?: string
  /** How often every node tells every other one that it lives. Default 200. */
  readonly heartbeatMs?: number
  /** Silence after which a peer is dead. Default 2 000, at least 3 heartbeats. */
  readonly deadMs?: number
  /**
   * Longest time a starting node looks for an active; ends early when all have answered. Default 1
   * 000, at least one heartbeat.
   */
  readonly discoveryMs?: number
  /**
   * How long a node that may be outdated waits for the others after a total outage. Default 10 000,
   * at least 0.
   */
  readonly startupWaitMs?: number
  /**
   * How long a standby may leave a write unacknowledged, or show no progress with a large content,
   * before it leaves the in-sync set. Default `deadMs`. With less, a standby that was cut off and
   * taken out may take over without knowing that writes were acknowledged `local` meanwhile.
   */
  readonly degradeAfterMs?: number
  /** The deadline of a planned switchover. Default 10 000. */
  readonly switchoverMs?: number
  /** Longest time for a handshake. Default 5 000. */
  readonly handshakeMs?: number
  /**
   * What writes with the level `standby` or `all` do while no standby is in sync. Default
   * `degrade`.
   */
  readonly onNoStandby?: 'degrade' | 'block'
  /**
   * What the active does for a standby that is alive and does not gain on it: paces its writers
   * until one is in sync and stays in (`redundancy`), or lets them write as fast as they can, with
   * one copy if need be (`speed`). Default `redundancy`.
   */
  readonly flowControl?: 'redundancy' | 'speed'
  /**
   * What a takeover does while a member of the in-sync set is missing, and a start while any
   * promotable member is, also the first one of all, when nobody has data: `hold` waits for them,
   * or for `takeOver({ withoutPeers })`. Default `takeOver`.
   */
  readonly onMissingPeer?: 'takeOver' | 'hold'
  /**
   * Who is promoted: the freshest copy, or the first of `members` that can fetch what it lacks,
   * which it does first. Default `freshest`.
   */
  readonly order?: 'freshest' | 'list'
  /**
   * Whether a node may serve that knows of later data than it or anybody in reach holds. What it
   * lacks is lost then, or goes to the vault when its node comes back. Default false.
   */
  readonly allowStale?: boolean
  /**
   * How bulk bytes are protected without TLS: against accidents, or authenticated. Default `crc`.
   */
  readonly integrity?: 'mac' | 'crc'
  /**
   * Longest frame on the wire, the same on all nodes. Default 1 MiB, from 256 KiB, which a
   * heartbeat with the longest history needs, to 16 MiB.
   */
  readonly frameBytesMax?: number
  /**
   * Journal kept for members that come back, in bytes, large contents included. Up to half as much
   * more is used while it is written, and up to twice the limit while a member still reads it.
   * Default 256 MiB, at least 1 MiB.
   */
  readonly journalBytesMax?: number
  /**
   * What the vault may hold; 0 lets it keep nothing, so that a node that has to is stuck. Default 1
   * GiB, at least 0.
   */
  readonly vaultBytesMax?: number
  /** Restores of this node are held below this rate. Default 0: as fast as it goes. */
  readonly restoreBytesPerSecondMax?: number
  /**
   * Asked before each promotion of this node, and only then; the place of an outside lease.
   * Default: always yes.
   */
  readonly gate?: PromotionGate
  /** Where time comes from. Default: the machine's. */
  readonly clock?: Clock
  /** Where randomness comes from. Default: the machine's. */
  readonly random?: Random
  /** Called with every event, besides the `debug` namespace `hotspare:node`. */
  readonly logger?: (event: NodeLogEvent) => void
}

/** Options with every default filled in. */
export type NodeOptions<C extends Classes = Classes> = Required<
  Omit<ClusterNodeOptions<C>, 'secret' | 'appVersion' | 'gate' | 'logger'>
> &
  Pick<ClusterNodeOptions<C>, 'secret' | 'appVersion' | 'gate' | 'logger'>

/** The options that have a default of their own. */
export type NodeDefaults = Readonly<
  Required<
    Omit<
      ClusterNodeOptions,
      | 'cluster'
      | 'id'
      | 'members'
      | 'transport'
      | 'storage'
      | 'policy'
      | 'secret'
      | 'appVersion'
      | 'degradeAfterMs'
      | 'gate'
      | 'clock'
      | 'random'
      | 'logger'
    >
  >
>

/** The defaults; `degradeAfterMs` is that of `deadMs`. */
export const nodeDefaults: NodeDefaults = {
  heartbeatMs: 200,
  deadMs: 2_000,
  discoveryMs: 1_000,
  startupWaitMs: 10_000,
  switchoverMs: 10_000,
  handshakeMs: 5_000,
  onNoStandby: 'degrade',
  flowControl: 'redundancy',
  onMissingPeer: 'takeOver',
  order: 'freshest',
  allowStale: false,
  integrity: 'crc',
  frameBytesMax: 1024 * 1024,
  journalBytesMax: 256 * 1024 * 1024,
  vaultBytesMax: 1024 * 1024 * 1024,
  restoreBytesPerSecondMax: 0,
}
