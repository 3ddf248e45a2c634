/** The options of a node, as given by the application and as completed. */
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
   * Its id, unique in the cluster: up to 64 letters, digits, `.`, `_` and `-`, beginning with a
   * letter or digit.
   */
  readonly id: string
  /** The address that the transport dials, for tcp `host:port`. No two members have the same. */
  readonly address: string
  /** True for a member that follows and holds a copy but is never promoted. Default false. */
  readonly observer?: boolean
}

/**
 * The options of a {@link ClusterNode}. All durations are in milliseconds, from 1 (unless noted
 * otherwise) to 2^31 - 1; all sizes are in whole bytes.
 */
export interface ClusterNodeOptions<C extends Classes = Classes> {
  /** The name of the cluster, with the rules of an id. Nodes of other clusters are refused. */
  readonly cluster: string
  /** This node's id, one of `members`. */
  readonly id: string
  /**
   * All members in takeover order, the same on every node: 1 to 64, at least one of them no
   * observer.
   */
  readonly members: readonly MemberOptions[]
  /** How nodes reach each other, for example `tcp()`. */
  readonly transport: Transport
  /** Where this node keeps its copy, for example `directory()`; for this node alone. */
  readonly storage: Storage
  /**
   * The classes of data and their rules. Nodes compare their policies, and nodes with different
   * policies exchange no data.
   */
  readonly policy: SyncPolicy<C>
  /**
   * The shared secret, at least 16 bytes; a string is encoded as UTF-8. Default: none, so that
   * everyone who can connect is admitted. An explicit `undefined` is refused.
   */
  readonly secret?: string | Uint8Array
  /** The application's version, shown in `status()` of the others. */
  readonly appVersion?: string
  /** The interval of heartbeats. Default 200. */
  readonly heartbeatMs?: number
  /** The silence after which a peer counts as dead. Default 2 000, at least 3 heartbeats. */
  readonly deadMs?: number
  /**
   * The longest search of a starting node for an active; it ends early when all members have
   * answered. Default 1 000, at least one heartbeat.
   */
  readonly discoveryMs?: number
  /**
   * How long a node that may be outdated waits for the others after a total outage. Default 10 000,
   * at least 0.
   */
  readonly startupWaitMs?: number
  /**
   * How long a standby may leave a write unacknowledged, or make no progress with large content,
   * before it leaves the in-sync set. Default `deadMs`. With a smaller value a standby that was cut
   * off and removed may take over without knowing that writes were acknowledged `local` meanwhile.
   */
  readonly degradeAfterMs?: number
  /** The deadline of a planned switchover. Default 10 000. */
  readonly switchoverMs?: number
  /** The longest duration of a handshake. Default 5 000. */
  readonly handshakeMs?: number
  /**
   * What writes with the level `standby` or `all` do while no standby is in sync: continue with one
   * copy, or wait. Default `degrade`.
   */
  readonly onNoStandby?: 'degrade' | 'block'
  /**
   * What the active does when a living standby does not catch up: `redundancy` paces its writers
   * until one standby is in sync and stays so; `speed` lets them write at full speed, with one copy
   * if necessary. Default `redundancy`.
   */
  readonly flowControl?: 'redundancy' | 'speed'
  /**
   * What a takeover does while a member of the in-sync set is missing, and a start (also the first
   * one, without data) while any promotable member is: `hold` waits for them, or for `takeOver({
   * withoutPeers })`. Default `takeOver`.
   */
  readonly onMissingPeer?: 'takeOver' | 'hold'
  /**
   * Which member is promoted: the one with the freshest copy, or the first of `members` that can
   * fetch what it lacks, which it then does first. Default `freshest`.
   */
  readonly order?: 'freshest' | 'list'
  /**
   * Whether a node may serve that knows of later data than any reachable copy holds. The later data
   * is then lost, or goes to the vault when its node returns. Default false.
   */
  readonly allowStale?: boolean
  /**
   * How bulk bytes are protected without TLS: by a checksum against accidents, or authenticated.
   * Default `crc`.
   */
  readonly integrity?: 'mac' | 'crc'
  /**
   * The longest frame on the wire, the same on all nodes. Default 1 MiB, from 256 KiB, which a
   * heartbeat with the longest history needs, to 16 MiB.
   */
  readonly frameBytesMax?: number
  /**
   * Bytes of journal that are kept for members that return, including large contents. Up to half as
   * much more is used while the journal is written, and up to twice the limit while a member still
   * reads it. Default 256 MiB, at least 1 MiB.
   */
  readonly journalBytesMax?: number
  /**
   * Bytes that the vault may hold. With 0 it can hold nothing, so that a node which needs it is
   * stuck. Default 1 GiB, at least 0.
   */
  readonly vaultBytesMax?: number
  /** The highest rate of restores of this node. Default 0: no limit. */
  readonly restoreBytesPerSecondMax?: number
  /**
   * Called before each promotion of this node, and only then, for example for an external lease.
   * Default: always yes.
   */
  readonly gate?: PromotionGate
  /** The source of time. Default: the machine's clocks. */
  readonly clock?: Clock
  /** The source of randomness. Default: the machine's. */
  readonly random?: Random
  /** Called with every event, besides the `debug` namespace `hotspare:node`. */
  readonly logger?: (event: NodeLogEvent) => void
}

/** The options with every default filled in. */
export type NodeOptions<C extends Classes = Classes> = Required<
  Omit<ClusterNodeOptions<C>, 'secret' | 'appVersion' | 'gate' | 'logger'>
> &
  Pick<ClusterNodeOptions<C>, 'secret' | 'appVersion' | 'gate' | 'logger'>

/** The options that have a constant default. */
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

/** The defaults; `degradeAfterMs` defaults to `deadMs`. */
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
