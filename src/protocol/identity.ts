import { fromPeer, optional } from './fields.js'

/**
 * The purpose of a connection. Heartbeats use `control`, so that they never queue behind bulk data.
 */
export type Lane = 'control' | 'stream' | 'bulk'

/**
 * `member`: has a copy and may be promoted; `observer`: has a copy and is never promoted; `client`:
 * has no copy.
 */
export type PeerKind = 'member' | 'observer' | 'client'

/**
 * How bulk bytes are protected without TLS: `mac` authenticates them, `crc` detects accidental
 * damage only.
 */
export type BulkIntegrity = 'mac' | 'crc'

/** The identity that a peer states in the handshake. */
export interface Identity {
  readonly nodeId: string
  /** New at every start of the process. */
  readonly bootId: string
  readonly kind: PeerKind
  readonly lane: Lane
  readonly cluster: string
  readonly libraryVersion: string
  readonly appVersion?: string
  /** Longest frame that the peer accepts, in bytes. */
  readonly limits: { readonly frameBytesMax: number }
  /** Optional features that the peer supports; later versions add some. */
  readonly features: readonly string[]
  /**
   * Fingerprints of what must be equal on both nodes, by name: the classes of the policy, the list
   * of members.
   */
  readonly fingerprints: Readonly<Record<string, string>>
  /**
   * The integrity check that the peer requests; bulk bytes carry a CRC only when both ends request
   * it.
   */
  readonly integrity: { readonly bulk: BulkIntegrity }
  /** Whether the peer was configured with a secret. */
  readonly hasSecret: boolean
}

/**
 * The part of a node's identity that the caller provides; the rest follows from the options of the
 * channel.
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
 * Longest encoded identity. The longest frame during a handshake is slightly longer; frames above
 * that end the connection.
 */
export const identityBytesMax: number = 64 * 1024

/**
 * Lowest `frameBytesMax` of a node; a peer with a lower one is refused. A heartbeat contains the
 * whole history, which takes 150 KiB with 1 024 terms and the longest ids.
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
