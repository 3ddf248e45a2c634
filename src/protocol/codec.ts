/**
 * The one encoding of messages and records: MessagePack without extensions, but for `undefined` and
 * dates. Whole numbers beyond 32 bits travel as doubles and stay exact up to 2^53; a BigInt travels
 * as 64 bits and comes back as a BigInt.
 */
import { Packr, Unpackr } from 'msgpackr'
import { HotspareError } from '../errors.js'
import { scanMessage } from './scan.js'

// One Packr for all: its tables and buffers are warm, and records would carry state between
// messages.
const packr = new Packr({ useRecords: false, mapsAsObjects: true })
/** For objects of more than 65,535 keys, which the other one refuses. */
const wide = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })
const keeping = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true })

/**
 * Encoded values above this many bytes leave the buffer that they were written to, and a new one
 * takes its place.
 */
const keptBytesMax = 16 * 1024 * 1024
/** Bytes of such a new buffer. */
const newBufferBytes = 64 * 1024

/**
 * Bytes of one encoded value that {@link decode} accepts unless told otherwise; a longer one is
 * `PROTOCOL_VIOLATION`.
 */
const decodeBytesMax = 64 * 1024 * 1024

/** How {@link decode} treats what it reads. */
export interface DecodeOptions {
  /** Longest accepted input in bytes. Default 64 MiB; frames are limited before. */
  readonly bytesMax?: number
  /**
   * Whether byte arrays inside the value are copied. Without, they share the memory of the input,
   * which stays alive as long as they do: copy what is kept. Default `false`.
   */
  readonly copyBytes?: boolean
}

/**
 * Encodes a value. The result is never written again.
 *
 * @param value - plain data: null, booleans, numbers, strings, bytes, arrays, maps, dates, BigInts
 * @throws `TypeError` when it cannot be encoded
 */
export function encode(value: unknown): Uint8Array {
  const encoded = encodeNarrow(value)
  // What comes next would be written behind it, in a buffer of that size again.
  if (encoded.length > keptBytesMax) packr.useBuffer(Buffer.allocUnsafeSlow(newBufferBytes))
  return encoded
}

function encodeNarrow(value: unknown): Uint8Array {
  try {
    return packr.pack(value)
  } catch {
    return encodeWide(value)
  }
}

function encodeWide(value: unknown): Uint8Array {
  try {
    return wide.pack(value)
  } catch (error) {
    throw new TypeError(`the value cannot be encoded: ${String(error)}`, { cause: error })
  }
}

/**
 * Decodes one value. Structure and announced lengths are checked before anything is built, so that
 * memory follows the bytes that are there. The shape is for the caller to check.
 *
 * @throws `PROTOCOL_VIOLATION` when the bytes are not exactly one well-formed value
 */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): unknown {
  const bytesMax = options.bytesMax ?? decodeBytesMax
  if (bytes.length > bytesMax) {
    throw new HotspareError(
      'PROTOCOL_VIOLATION',
      `a message of ${bytes.length} bytes exceeds ${bytesMax} bytes`,
      { details: { limit: bytesMax, actual: bytes.length } },
    )
  }
  scanMessage(bytes)
  try {
    return (options.copyBytes === true ? keeping : packr).unpack(bytes)
  } catch (error) {
    throw new HotspareError('PROTOCOL_VIOLATION', 'a message cannot be decoded', { cause: error })
  }
}
