/**
 * The handshake: both ends prove that they know the secret, then exchange their identities.
 *
 * ```text
 * dialer                                        listener
 *   hello: versions, lane, nonce          ->
 *                                         <-    challenge: versions, chosen version, nonce
 *   proof of everything above             ->    one HMAC decides; a wrong one is closed, unanswered
 *   one HMAC decides                      <-    welcome: proof, identity (sealed)
 *   introduce: identity (sealed)          ->    admits, or refuses with a reason
 *                                         <-    verdict (sealed)
 * ```
 *
 * The transcript, which both proofs and all session keys cover, contains both nonces. So a recorded
 * handshake cannot be replayed, and a version, a lane or a limit that was changed in transit makes
 * the handshake fail. Under TLS the transcript also covers the TLS session.
 */
import { HotspareError } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { Random } from '../interfaces/random.js'
import type { Connection } from '../interfaces/transport.js'
import { FrameExchange } from './handshake-exchange.js'
import {
  decodeHello,
  decodeHelloAnswer,
  decodeIntroduce,
  decodeProof,
  decodeVerdict,
  decodeWelcome,
  encodeChallenge,
  encodeHello,
  encodeIntroduce,
  encodeProof,
  encodeUnsupported,
  encodeVerdict,
  encodeWelcome,
  nonceBytes,
  proofInWelcome,
  strangerBytesMax,
  type Verdict,
} from './handshake-frames.js'
import { defaultHandshakesMax, HandshakeGuard } from './handshake-guard.js'
import {
  type BulkIntegrity,
  frameBytesMin,
  type Identity,
  identityBytesMax,
  type Lane,
  type OwnIdentity,
} from './identity.js'
import {
  type DirectionKeys,
  type HandshakeKey,
  proofOf,
  sameBytes,
  sessionKeys,
  transcriptOf,
} from './keys.js'
import { commonVersion, protocolVersions, type VersionRange } from './version.js'

/** Why a peer that has proved the secret is refused. */
export interface Refusal {
  /** A short word for programs, such as `unknownMember`. */
  readonly reason: string
  /** A sentence for people. */
  readonly message?: string
}

/** What both ends of a handshake need. */
export interface HandshakeOptions {
  /** From `handshakeKey(secret, cluster)`, once for each node. */
  readonly key: HandshakeKey
  /** Who this end is. */
  readonly identity: OwnIdentity
  /** The limit given to the transport: the longest frame this end accepts. */
  readonly frameBytesMax: number
  readonly clock: Clock
  readonly random: Random
  /**
   * The integrity check that this end requests for bulk bytes; a CRC is used only when both ends
   * request it. Default `mac`.
   */
  readonly bulkIntegrity?: BulkIntegrity
  /**
   * Decides whether a peer that has proved the secret is accepted; called before the peer gets its
   * verdict.
   */
  readonly admit?: (peer: Identity) => Refusal | undefined
  /** Milliseconds for the whole handshake; then it fails with `HANDSHAKE_FAILED`. Default 5 000. */
  readonly handshakeMs?: number
  /** Replaces the protocol versions of this end, to test rolling upgrades. */
  readonly versions?: VersionRange
  readonly signal?: AbortSignal | undefined
}

/** The result of a handshake. */
export interface Session {
  readonly connection: Connection
  readonly peer: Identity
  readonly lane: Lane
  readonly version: number
  readonly sendKeys: DirectionKeys
  readonly receiveKeys: DirectionKeys
  /** The check of frames with bulk bytes, unless TLS protects them. */
  readonly bulkIntegrity: BulkIntegrity
  /** Whether the two share a secret. */
  readonly hasSecret: boolean
}

/** Default of `handshakeMs`: longest time for a handshake; then it ends with `HANDSHAKE_FAILED`. */
const defaultHandshakeMs = 5_000
/**
 * Longest frame accepted from a peer that has proved the secret, until the handshake ends; a longer
 * one ends the connection.
 */
const welcomeBytesMax = identityBytesMax + 1024

/**
 * The dialer's side.
 *
 * @throws `HANDSHAKE_FAILED` with `details.reason`, `HANDSHAKE_VERSION`, `PROTOCOL_VIOLATION`,
 * `FRAME_CORRUPT`, `CONNECTION_CLOSED`, `ABORTED`
 */
export async function handshakeAsDialer(
  connection: Connection,
  lane: Lane,
  options: HandshakeOptions,
): Promise<Session> {
  return exchanging(connection, options, async (exchange) => {
    const versions = options.versions ?? protocolVersions
    const hello = encodeHello({ versions, lane }, options.random.bytes(nonceBytes))
    exchange.send(hello)
    const answer = await exchange.next()
    const challenge = decodeHelloAnswer(answer)
    const version = commonVersion(versions, challenge.versions)
    if (challenge.kind === 'unsupported' || version !== challenge.version) {
      throw versionsDiffer(connection, versions, challenge.versions)
    }
    const { key } = options
    const transcript = transcriptOf([hello, answer, bindingOf(connection)])
    exchange.send(encodeProof(proofOf(key, 'dialer', transcript)))
    connection.limitFrames(welcomeBytesMax)
    const welcome = await exchange.next().catch((error: unknown) => {
      throw closedUnanswered(connection, error)
    })
    if (!sameBytes(proofInWelcome(welcome), proofOf(key, 'listener', transcript))) {
      throw notProved(connection)
    }
    const keys = sessionKeys(key, transcript)
    const peer = decodeWelcome(keys.fromListener, welcome)
    const refusal = refusalOf(peer, lane, options)
    if (refusal !== undefined) {
      exchange.sendLast(encodeVerdict(keys.fromDialer, { ok: false, ...refusal }))
      throw refused(peer, refusal, 'here')
    }
    exchange.send(encodeIntroduce(keys.fromDialer, ownIdentity(lane, options)))
    const verdict = decodeVerdict(keys.fromListener, await exchange.next())
    if (!verdict.ok) throw refused(peer, verdict, 'peer')
    return {
      ...{ connection, peer, lane, version, hasSecret: key.hasSecret },
      ...{ sendKeys: keys.fromDialer, receiveKeys: keys.fromListener },
      bulkIntegrity: agreedIntegrity(peer, options),
    }
  })
}

/**
 * The listener's side. An unauthenticated peer costs it a nonce, one HMAC, and a place in `guard`.
 *
 * @throws as {@link handshakeAsDialer}
 */
export async function handshakeAsListener(
  connection: Connection,
  options: HandshakeOptions & { readonly guard?: HandshakeGuard },
): Promise<Session> {
  const guard = options.guard ?? new HandshakeGuard()
  return exchanging(connection, options, async (exchange) => {
    const leave = guard.enter(connection.remote, () => exchange.fail(evicted(connection)))
    try {
      return await listenerSteps(connection, exchange, options, leave)
    } finally {
      leave()
    }
  })
}

async function listenerSteps(
  connection: Connection,
  exchange: FrameExchange,
  options: HandshakeOptions,
  proved: () => void,
): Promise<Session> {
  const versions = options.versions ?? protocolVersions
  const hello = await exchange.next()
  const offered = decodeHello(hello)
  const version = commonVersion(versions, offered)
  if (version === undefined) {
    exchange.sendLast(encodeUnsupported(versions))
    throw versionsDiffer(connection, versions, offered)
  }
  const lane = offered.laneOf()
  const challenge = encodeChallenge(versions, version, options.random.bytes(nonceBytes))
  exchange.send(challenge)
  const proof = decodeProof(await exchange.next())
  const { key } = options
  const transcript = transcriptOf([hello, challenge, bindingOf(connection)])
  if (!sameBytes(proof, proofOf(key, 'dialer', transcript))) throw notProved(connection)
  proved()
  const keys = sessionKeys(key, transcript)
  const mine = proofOf(key, 'listener', transcript)
  connection.limitFrames(welcomeBytesMax)
  exchange.send(encodeWelcome(keys.fromListener, mine, ownIdentity(lane, options)))
  const peer = decodeIntroduce(keys.fromDialer, await exchange.next())
  if ('ok' in peer) throw refused(undefined, peer, 'peer')
  const refusal = refusalOf(peer, lane, options)
  if (refusal !== undefined) {
    exchange.sendLast(encodeVerdict(keys.fromListener, { ok: false, ...refusal }))
    throw refused(peer, refusal, 'here')
  }
  connection.limitFrames(options.frameBytesMax)
  exchange.send(encodeVerdict(keys.fromListener, { ok: true }))
  return {
    ...{ connection, peer, lane, version, hasSecret: key.hasSecret },
    ...{ sendKeys: keys.fromListener, receiveKeys: keys.fromDialer },
    bulkIntegrity: agreedIntegrity(peer, options),
  }
}

/** Runs the steps of one side under the deadline, and ends the connection when they fail. */
async function exchanging(
  connection: Connection,
  options: HandshakeOptions,
  steps: (exchange: FrameExchange) => Promise<Session>,
): Promise<Session> {
  const { clock, handshakeMs = defaultHandshakeMs, signal } = options
  connection.limitFrames(strangerBytesMax)
  const exchange = new FrameExchange(connection, { clock, handshakeMs, signal })
  try {
    const session = await steps(exchange)
    exchange.release()
    connection.limitFrames(options.frameBytesMax)
    return session
  } catch (error) {
    exchange.end()
    throw error
  }
}

function ownIdentity(lane: Lane, options: HandshakeOptions): Identity {
  return {
    ...options.identity,
    lane,
    limits: { frameBytesMax: options.frameBytesMax },
    integrity: { bulk: options.bulkIntegrity ?? 'mac' },
    hasSecret: options.key.hasSecret,
  }
}

function bindingOf(connection: Connection): Uint8Array {
  return connection.binding ?? new Uint8Array(0)
}

function agreedIntegrity(peer: Identity, options: HandshakeOptions): BulkIntegrity {
  return peer.integrity.bulk === 'crc' && options.bulkIntegrity === 'crc' ? 'crc' : 'mac'
}

/** Why the peer is refused, if at all. The rules of the protocol are checked before `admit`. */
function refusalOf(peer: Identity, lane: Lane, options: HandshakeOptions): Refusal | undefined {
  const own = options.identity
  if (peer.cluster !== own.cluster) {
    return { reason: 'cluster', message: `one belongs to ${own.cluster}, one to ${peer.cluster}` }
  }
  if (peer.lane !== lane) return { reason: 'lane', message: 'the two name different lanes' }
  if (peer.nodeId === own.nodeId) {
    return peer.bootId === own.bootId
      ? { reason: 'self', message: `${own.nodeId} dialled itself` }
      : { reason: 'duplicateId', message: `two running nodes have the id ${own.nodeId}` }
  }
  const { frameBytesMax } = peer.limits
  if (frameBytesMax < frameBytesMin) {
    const message =
      `${peer.nodeId} accepts frames of ${frameBytesMax} bytes, ` +
      `below the minimum of ${frameBytesMin}`
    return { reason: 'frameBytesMax', message }
  }
  return options.admit?.(peer)
}

function refused(
  peer: Identity | undefined,
  verdict: Verdict | Refusal,
  refusedBy: 'here' | 'peer',
): HotspareError {
  const reason = verdict.reason ?? 'unknown'
  const who = peer === undefined ? 'the peer' : `the peer ${peer.nodeId}`
  const what = refusedBy === 'here' ? `${who} was refused` : `${who} refused this node`
  return new HotspareError('HANDSHAKE_FAILED', `${what}: ${verdict.message || reason}`, {
    details: { reason, refusedBy, nodeId: peer?.nodeId },
    whatToDo: remedies[reason],
  })
}

/** Remedies by the reason of a refusal, for the reasons that have a specific one. */
const remedies: Readonly<Record<string, string | undefined>> = {
  cluster: 'Give both nodes the same cluster, or separate their addresses.',
  self: 'Correct the address of that member: this node itself answers there.',
  duplicateId: 'Stop one of the two, and give every member an id and a folder of its own.',
  otherNode: 'Correct the address of that member in members.',
  unknownMember: 'List the same members on all nodes.',
  frameBytesMax: 'Use the same frameBytesMax on all nodes.',
}

function notProved(connection: Connection): HotspareError {
  return new HotspareError(
    'HANDSHAKE_FAILED',
    `${connection.remote} did not prove the secret of this cluster: ` +
      `its secret or its cluster name differs`,
    { details: { reason: 'proof', refusedBy: 'here' } },
  )
}

/**
 * A listener that rejects the proof closes without an answer. One that dies at that moment looks
 * the same, so the message names both causes.
 */
function closedUnanswered(connection: Connection, error: unknown): unknown {
  if (!HotspareError.is(error, 'CONNECTION_CLOSED')) return error
  return new HotspareError(
    'HANDSHAKE_FAILED',
    `${connection.remote} did not accept this node's proof: ` +
      `its secret or its cluster name differs, or its process ended`,
    { cause: error, retryable: true, details: { reason: 'proof', refusedBy: 'peer' } },
  )
}

function evicted(connection: Connection): HotspareError {
  return new HotspareError(
    'HANDSHAKE_FAILED',
    `the handshake of ${connection.remote} was ended in favour of newer ones: ` +
      `more than handshakesMax (default ${defaultHandshakesMax}) were under way`,
    {
      retryable: true,
      details: { reason: 'handshakesMax', option: 'handshakesMax' },
      whatToDo:
        'Nothing if it stays rare: the dial is repeated. Otherwise find out who opens so many connections.',
    },
  )
}

function versionsDiffer(
  connection: Connection,
  ours: VersionRange,
  theirs: VersionRange,
): HotspareError {
  return new HotspareError(
    'HANDSHAKE_VERSION',
    `this node speaks protocol ${ours.min} to ${ours.max}, ` +
      `${connection.remote} speaks ${theirs.min} to ${theirs.max}`,
    { details: { ours: [ours.min, ours.max], theirs: [theirs.min, theirs.max] } },
  )
}
