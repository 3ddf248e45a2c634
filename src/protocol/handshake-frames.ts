/**
 * The frames of a handshake. Those before the proofs have fixed layouts, so that the bytes of an
 * unauthenticated peer never reach the decoder; later ones carry a MAC under a session key
 * ("sealed").
 *
 * | frame | from | content |
 * | --- | --- | --- |
 * | hello | dialer | magic, 1, versions min and max, lane, nonce |
 * | challenge | listener | magic, 2, versions min and max, chosen version, nonce |
 * | unsupported | listener | magic, 3, versions min and max |
 * | proof | dialer | 4, proof |
 * | welcome | listener | 5, proof, sealed identity |
 * | introduce | dialer | 6, sealed identity |
 * | verdict | either | 7, sealed verdict |
 */
import { HotspareError } from '../errors.js'
import { decode, encode } from './codec.js'
import { fromPeer, optional } from './fields.js'
import { asIdentity, type Identity, type Lane, lanes } from './identity.js'
import { type DirectionKeys, handshakeTag, proofBytes, sameBytes } from './keys.js'
import { magic, type VersionRange } from './version.js'

export const nonceBytes = 32
const helloBytes = 4 + 1 + 4 + 1 + nonceBytes
const challengeBytes = 4 + 1 + 4 + 2 + nonceBytes
const unsupportedBytes = 4 + 1 + 4
/**
 * Longest frame accepted from a peer that has proved nothing; a longer one ends the connection
 * before memory is allocated for it.
 */
export const strangerBytesMax = 64
/**
 * Longest reason in a verdict, in UTF-16 units. The sender truncates it; a longer one is
 * `PROTOCOL_VIOLATION`.
 */
const reasonLengthMax = 64
/**
 * Longest message in a verdict, in UTF-16 units. The sender truncates it; a longer one is
 * `PROTOCOL_VIOLATION`.
 */
const messageLengthMax = 512

const read = fromPeer('a verdict')

const frameKind = {
  hello: 1,
  challenge: 2,
  unsupported: 3,
  proof: 4,
  welcome: 5,
  introduce: 6,
  verdict: 7,
} as const

/** The first frame of the dialer. */
export interface Hello {
  readonly versions: VersionRange
  readonly lane: Lane
}

/** The listener's answer to it. */
export type HelloAnswer =
  | { readonly kind: 'challenge'; readonly versions: VersionRange; readonly version: number }
  | { readonly kind: 'unsupported'; readonly versions: VersionRange }

/** Whether the peer is accepted, and the reason if not. */
export interface Verdict {
  readonly ok: boolean
  /** A short word for programs. */
  readonly reason?: string | undefined
  /** A sentence for people. */
  readonly message?: string | undefined
}

/** The error for a frame that does not belong to the handshake. */
export function notThisProtocol(what: string): HotspareError {
  return new HotspareError('PROTOCOL_VIOLATION', `the peer does not speak this protocol: ${what}`)
}

function head(kind: number, versions: VersionRange, length: number): Buffer {
  const frame = Buffer.alloc(length)
  frame.set(magic, 0)
  frame[4] = kind
  frame.writeUInt16BE(versions.min, 5)
  frame.writeUInt16BE(versions.max, 7)
  return frame
}

function readHead(frame: Uint8Array): { bytes: Buffer; kind: number; versions: VersionRange } {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  if (bytes.length < unsupportedBytes) throw notThisProtocol('its first frame is too short')
  for (const [index, byte] of magic.entries()) {
    if (bytes[index] !== byte) throw notThisProtocol('its first frame does not begin with HSPR')
  }
  const versions = { min: bytes.readUInt16BE(5), max: bytes.readUInt16BE(7) }
  return { bytes, kind: bytes[4]!, versions }
}

export function encodeHello(hello: Hello, nonce: Uint8Array): Uint8Array {
  const frame = head(frameKind.hello, hello.versions, helloBytes)
  frame[9] = lanes.indexOf(hello.lane)
  frame.set(nonce, 10)
  return frame
}

/**
 * The magic and the versions come first and stay in place for ever; the rest may change with
 * versions.
 */
export function decodeHello(frame: Uint8Array): VersionRange & { laneOf: () => Lane } {
  const { bytes, kind, versions } = readHead(frame)
  if (kind !== frameKind.hello) throw notThisProtocol('its first frame is not a hello')
  return {
    ...versions,
    laneOf: () => {
      const lane = lanes[bytes[9] ?? lanes.length]
      if (bytes.length < helloBytes || lane === undefined)
        throw notThisProtocol('its hello is malformed')
      return lane
    },
  }
}

export function encodeChallenge(
  versions: VersionRange,
  version: number,
  nonce: Uint8Array,
): Uint8Array {
  const frame = head(frameKind.challenge, versions, challengeBytes)
  frame.writeUInt16BE(version, 9)
  frame.set(nonce, 11)
  return frame
}

export function encodeUnsupported(versions: VersionRange): Uint8Array {
  return head(frameKind.unsupported, versions, unsupportedBytes)
}

export function decodeHelloAnswer(frame: Uint8Array): HelloAnswer {
  const { bytes, kind, versions } = readHead(frame)
  if (kind === frameKind.unsupported) return { kind: 'unsupported', versions }
  if (kind !== frameKind.challenge || bytes.length < challengeBytes) {
    throw notThisProtocol('its first frame is not a challenge')
  }
  return { kind: 'challenge', versions, version: bytes.readUInt16BE(9) }
}

export function encodeProof(proof: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(frameKind.proof), proof])
}

export function decodeProof(frame: Uint8Array): Uint8Array {
  if (frame[0] !== frameKind.proof || frame.length !== 1 + proofBytes)
    throw notThisProtocol('no proof follows')
  return frame.subarray(1)
}

function seal(keys: DirectionKeys, ...parts: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts)
  return Buffer.concat([body, handshakeTag(keys, body)])
}

/** What was sealed; the tag is verified before anything is decoded. */
function unseal(keys: DirectionKeys, frame: Uint8Array, kind: number): Uint8Array {
  const body = frame.subarray(0, Math.max(0, frame.length - proofBytes))
  if (!sameBytes(handshakeTag(keys, body), frame.subarray(body.length)) || body[0] !== kind) {
    throw new HotspareError('FRAME_CORRUPT', 'a frame of the handshake was changed on its way')
  }
  return body.subarray(1)
}

export function encodeWelcome(
  keys: DirectionKeys,
  proof: Uint8Array,
  identity: Identity,
): Uint8Array {
  return seal(keys, Uint8Array.of(frameKind.welcome), proof, encode(identity))
}

/** The proof in a welcome, to be verified before {@link decodeWelcome}. */
export function proofInWelcome(frame: Uint8Array): Uint8Array {
  if (frame[0] !== frameKind.welcome || frame.length < 1 + 2 * proofBytes) {
    throw notThisProtocol('no welcome follows')
  }
  return frame.subarray(1, 1 + proofBytes)
}

export function decodeWelcome(keys: DirectionKeys, frame: Uint8Array): Identity {
  return asIdentity(decode(unseal(keys, frame, frameKind.welcome).subarray(proofBytes)))
}

export function encodeIntroduce(keys: DirectionKeys, identity: Identity): Uint8Array {
  return seal(keys, Uint8Array.of(frameKind.introduce), encode(identity))
}

/** The identity, or the dialer's own refusal of the listener. */
export function decodeIntroduce(keys: DirectionKeys, frame: Uint8Array): Identity | Verdict {
  if (frame[0] === frameKind.verdict) return decodeVerdict(keys, frame)
  return asIdentity(decode(unseal(keys, frame, frameKind.introduce)))
}

export function encodeVerdict(keys: DirectionKeys, verdict: Verdict): Uint8Array {
  const { ok, reason = '', message = '' } = verdict
  const short = {
    ok,
    reason: reason.slice(0, reasonLengthMax),
    message: message.slice(0, messageLengthMax),
  }
  return seal(keys, Uint8Array.of(frameKind.verdict), encode(short))
}

export function decodeVerdict(keys: DirectionKeys, frame: Uint8Array): Verdict {
  const { ok, reason, message } = read.fields(
    decode(unseal(keys, frame, frameKind.verdict)),
    'verdict',
  )
  return {
    ok: read.flag(ok, 'ok'),
    reason: optional(reason, (text) => read.text(text, 'reason', reasonLengthMax)),
    message: optional(message, (text) => read.text(text, 'message', messageLengthMax)),
  }
}
