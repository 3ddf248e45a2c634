import { decode, encode } from './codec.js'
import { fromPeer, isRecord } from './fields.js'

/**
 * The wrapper of control messages. It names the author and the destination, so that a member
 * connected to both can relay the message, because the channel authenticates only its sender. This
 * version relays none.
 */
export interface Envelope {
  /** The version of this format. */
  readonly v: 1
  readonly cluster: string
  /** Unique for each message of its origin, so that repeated ones can be dropped. */
  readonly id: string
  /** The node that wrote it. */
  readonly origin: string
  /** The node that it is for; `*` means every node. */
  readonly destination: string
  /** How many nodes have relayed it. */
  readonly hops: number
  /** The type of the body. Unknown types are delivered too, because later versions add some. */
  readonly type: string
  /** The message; not checked here, because its shape depends on its type. */
  readonly body: unknown
}

/** Times that an envelope may be relayed; one with a higher count is `PROTOCOL_VIOLATION`. */
export const hopsMax = 4
/** Longest name in an envelope, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
const nameLengthMax = 128

const read = fromPeer('an envelope')

/** The fields that the sender provides. */
export type NewEnvelope = Omit<Envelope, 'v' | 'hops'>

/** Makes an envelope that has not been relayed. */
export function envelope(parts: NewEnvelope): Envelope {
  return { v: 1, hops: 0, ...parts }
}

/** Whether this is an envelope of a later format version, which this version must ignore. */
export function isOfLaterVersion(value: unknown): boolean {
  return isRecord(value) && typeof value.v === 'number' && value.v > 1
}

/**
 * Checks a decoded envelope, not its body.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
export function asEnvelope(value: unknown): Envelope {
  const record = read.fields(value, 'envelope')
  if (record.v !== 1) throw read.bad('v', '1')
  return {
    v: 1,
    cluster: read.name(record.cluster, 'cluster', nameLengthMax),
    id: read.name(record.id, 'id', nameLengthMax),
    origin: read.name(record.origin, 'origin', nameLengthMax),
    destination: read.name(record.destination, 'destination', nameLengthMax),
    hops: read.count(record.hops, 'hops', hopsMax),
    type: read.name(record.type, 'type', nameLengthMax),
    body: record.body,
  }
}

/** Encodes an envelope. @throws `TypeError` when the body cannot be encoded */
export function encodeEnvelope(value: Envelope): Uint8Array {
  return encode(value)
}

/** Decodes and checks an envelope. @throws `PROTOCOL_VIOLATION` */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  return asEnvelope(decode(bytes))
}
