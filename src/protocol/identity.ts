import { fromPeer, optional } from './fields.js'

/**
 * What a connection is for. Heartbeats have their own, so that they never queue behind bulk data.
 */
export type Lane = 'control' | 'stream' | 'bulk'

/** Whether a peer holds a copy and may be promoted, holds one only, or holds none. */
export type PeerKind = 'member' | 'observer' | 'client'

/**
 * How bulk bytes are protected where TLS does not do it: authenticated, or against accidents only.
 */
export type BulkIntegrity = 'mac' | 'crc'

/** Who a peer says it is, and proved that it may say so. */
export interface Identity {
  readonly nodeId: string
  /** Fresh at every start of the process. */
  readonly bootId: string
  readonly kind: PeerKind
  readonly lane: Lane
  readonly cluster: string
  readonly libraryVersion: string
  readonly appVersion?: string
  /** Longest frame that the peer accepts, in bytes. */
  readonly limits: { readonly frameBytesMax: number }
  /** Optional abilities that later versions add. */
  readonly features: readonly string[]
  /**
   * What has to be equal on both nodes, by name: the classes of the policy, the list of members.
   */
  readonly fingerprints: Readonly<Record<string, string>>
  /** What the peer asks for; bulk bytes carry a CRC only when both ask for it. */
  readonly integrity: { readonly bulk: BulkIntegrity }
  /** Whether the peer has a secret. */
  readonly hasSecret: boolean
}

/**
 * What a node says of itself; lane, limits and the rest are added from the options of the channel.
 */
export type OwnIdentity = Omit<Identity, 'lane' | 'limits' | 'integrity' | 'hasSecret'>

export const lanes: readonly Lane[] = ['control', 'stream', 'bulk']
const kinds: readonly PeerKind[] = ['member', 'observer', 'client']
const integrities: readonly BulkIntegrity[] = ['mac', 'crc']

/** Longest name in an identity, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
const nameLengthMax = 128
/** Longest other text in an identity, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
const valueLengthMax = 256
/** Features in an identity; more are `PROTOCOL_VIOLATION`. */
const featuresMax = 64
/** Fingerprints of classes in an identity; more are `PROTOCOL_VIOLATION`. */
const fingerprintsMax = 256
/**
 * Longest encoded identity. The longest frame during a handshake is a little above this, and a
 * longer one ends the connection.
 */
export const identityBytesMax: number = 64 * 1024

/**
 * Least limit of frames that a node may have; a peer with a lower one is refused. A heartbeat names
 * the whole history, which takes 150 KiB with 1 024 terms and the longest ids.
 */
export const frameBytesMin: number = 256 * 1024

const read = fromPeer('an identity')

/**
 * Checks a decoded identity.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
export function asIdentity(value: unknown): Identity {
  const record = read.fields(value, 'identity')
  const name = (each: unknown, field: string): string => read.name(each, field, nameLengthMax)
  const appVersion = optional(record.appVersion, (each) => name(each, 'appVersion'))
  const features = read.list(record.features, 'features', featuresMax)
  const { fingerprints } = record
  return {
    nodeId: name(record.nodeId, 'nodeId'),
    bootId: name(record.bootId, 'bootId'),
    kind: read.word(record.kind, 'kind', kinds),
    lane: read.word(record.lane, 'lane', lanes),
    cluster: name(record.cluster, 'cluster'),
    libraryVersion: name(record.libraryVersion, 'libraryVersion'),
    ...(appVersion === undefined ? {} : { appVersion }),
    limits: {
      frameBytesMax: read.count(
        read.fields(record.limits, 'limits').frameBytesMax,
        'frameBytesMax',
      ),
    },
    features: features.map((each) => name(each, 'features')),
    fingerprints: read.textMap(fingerprints, 'fingerprints', fingerprintsMax, valueLengthMax),
    integrity: {
      bulk: read.word(read.fields(record.integrity, 'integrity').bulk, 'bulk', integrities),
    },
    hasSecret: read.flag(record.hasSecret, 'hasSecret'),
  }
}
