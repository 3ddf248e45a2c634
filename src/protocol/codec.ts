/**
 * The encoding of all messages and records: MessagePack without extensions, except for `undefined`
 * and dates. Integers beyond 32 bits are encoded as doubles, exact up to 2^53; a BigInt is encoded
 * in 64 bits and decoded as a BigInt.
 */
import { Packr, Unpackr } from 'msgpackr'
import { HotspareError } from '../errors.js'
import { scanMessage } from './scan.js'

// One shared Packr, because its buffers are then reused. Records are off, because they would carry
// state from one message to the next.
const packr = new Packr({ useRecords: false, mapsAsObjects: true })
/** For objects of more than 65,535 keys, which `packr` refuses. */
const wide = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })
const keeping = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true })

/**
 * After an encoded value of more than this many bytes, the encoder gets a new buffer, because it
 * would otherwise keep one of that size.
 */
const keptBytesMax = 16 * 1024 * 1024
/** Bytes of that new buffer. */
const newBufferBytes = 64 * 1024

/** Default of `bytesMax`: bytes of one encoded value; a longer one is `PROTOCOL_VIOLATION`. */
const decodeBytesMax = 64 * 1024 * 1024

/** Options of {@link decode}. */
export interface DecodeOptions {
  /** Longest accepted input in bytes. Default 64 MiB; frames have a lower limit of their own. */
  readonly bytesMax?: number
  /**
   * Whether byte arrays inside the value are copied. If not, they are views that keep the whole
   * input alive. Default `false`.
   */
  readonly copyBytes?: boolean
}

/**
 * Encodes a value. The bytes of the result are never reused.
 *
 * @param value - plain data: null, booleans, numbers, strings, bytes, arrays, maps, dates, BigInts
 * @throws `TypeError` when it cannot be encoded
 */
export function encode(value: unknown): Uint8Array {
  const encoded = encodeNarrow(value)
  // Otherwise the next value would be appended to this buffer, or to a new one of the same size.
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
 * Decodes one value. Structure and announced lengths are checked before anything is allocated, so
 * memory is bounded by the input. The caller checks the shape.
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
