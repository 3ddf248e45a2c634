import { decode, encode } from './codec.js'
import { fromPeer, isRecord } from './fields.js'

/**
 * The wrapper of control messages. It says who wrote the message and for whom it is, so that a
 * member that hears both can pass it on; the channel it arrives on only proves who passed it.
 */
export interface Envelope {
  /** The version of this format. */
  readonly v: 1
  readonly cluster: string
  /** Unique for each message of its origin; whoever relays drops repeated ones. */
  readonly id: string
  /** The node that wrote it. */
  readonly origin: string
  /** The node that it is for; `*` for everybody. */
  readonly destination: string
  /** How many nodes passed it on. */
  readonly hops: number
  /**
   * What kind of message the body is. An unknown one is passed up as it is: later versions add
   * some.
   */
  readonly type: string
  /** The message; its shape belongs to its type and is not checked here. */
  readonly body: unknown
}

/** An envelope that was passed on more often is dropped. */
export const hopsMax = 4
/** Longest name in an envelope, in UTF-16 units; a longer one is `PROTOCOL_VIOLATION`. */
const nameLengthMax = 128

const read = fromPeer('an envelope')

/** What the sender fills in. */
export type NewEnvelope = Omit<Envelope, 'v' | 'hops'>

/** A fresh envelope. */
export function envelope(parts: NewEnvelope): Envelope {
  return { v: 1, hops: 0, ...parts }
}

/**
 * Whether this is an envelope of a format that only a later version reads: it is for nobody here.
 */
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
