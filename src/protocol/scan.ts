/**
 * Checks the structure of encoded MessagePack without building any value. The decoder allocates an
 * announced length, recurses as deep as the input nests, and runs extensions that create errors,
 * regular expressions or record definitions; so it gets only bytes that passed this check.
 */
import { HotspareError } from '../errors.js'

/** Levels of nested containers; a deeper value is `PROTOCOL_VIOLATION`. */
const depthMax = 128

/** The values of {@link kinds}. */
const scalarKind = 0
const sizedKind = 1
const arrayKind = 2
const mapKind = 3
const extensionKind = 4
const forbiddenKind = 5

interface Token {
  readonly kind: number
  /** Bytes of the length field that follows the token. */
  readonly lengthBytes: number
  /** Length in bytes or elements, when the token itself gives it. */
  readonly size: number
}

const tokens: readonly Token[] = Array.from({ length: 256 }, (_, token) => describe(token))
// Parallel typed arrays, because the check runs for every message and property loads would dominate
// its cost.
const kinds: Uint8Array = Uint8Array.from(tokens, (token) => token.kind)
const lengthBytesOf: Uint8Array = Uint8Array.from(tokens, (token) => token.lengthBytes)
const sizes: Uint8Array = Uint8Array.from(tokens, (token) => token.size)

function describe(token: number): Token {
  const is = (kind: number, lengthBytes: number, size: number): Token => ({
    kind,
    lengthBytes,
    size,
  })
  if (token <= 0x7f || token >= 0xe0) return is(scalarKind, 0, 0)
  if (token <= 0x8f) return is(mapKind, 0, token & 0x0f)
  if (token <= 0x9f) return is(arrayKind, 0, token & 0x0f)
  if (token <= 0xbf) return is(sizedKind, 0, token & 0x1f)
  if (token === 0xc1) return is(forbiddenKind, 0, 0)
  if (token <= 0xc3) return is(scalarKind, 0, 0)
  if (token <= 0xc6) return is(sizedKind, 1 << (token - 0xc4), 0)
  if (token <= 0xc9) return is(extensionKind, 1 << (token - 0xc7), 0)
  if (token <= 0xcb) return is(scalarKind, 0, token === 0xca ? 4 : 8)
  if (token <= 0xcf) return is(scalarKind, 0, 1 << (token - 0xcc))
  if (token <= 0xd3) return is(scalarKind, 0, 1 << (token - 0xd0))
  if (token <= 0xd8) return is(extensionKind, 0, 1 << (token - 0xd4))
  if (token <= 0xdb) return is(sizedKind, 1 << (token - 0xd9), 0)
  if (token <= 0xdd) return is(arrayKind, token === 0xdc ? 2 : 4, 0)
  return is(mapKind, token === 0xde ? 2 : 4, 0)
}

/**
 * Checks that the bytes are exactly one value, of bounded depth, with no announced length beyond
 * the input.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
export function scanMessage(bytes: Uint8Array): void {
  const end = bytes.length
  // left[depth]: values not yet read in the container at that depth.
  const left = [1]
  let depth = 0
  let at = 0
  while (depth >= 0) {
    if (left[depth] === 0) {
      depth -= 1
      continue
    }
    left[depth]! -= 1
    if (at >= end) throw malformed('it ends early')
    const token = bytes[at]!
    const kind = kinds[token]!
    const lengthBytes = lengthBytesOf[token]!
    at += 1
    let size = sizes[token]!
    if (lengthBytes > 0) {
      if (at + lengthBytes > end) throw malformed('it ends early')
      size = readLength(bytes, at, lengthBytes)
      at += lengthBytes
    }
    if (kind === scalarKind || kind === sizedKind) {
      at += size
    } else if (kind === arrayKind || kind === mapKind) {
      depth += 1
      if (depth > depthMax) throw malformed(`it is nested deeper than ${depthMax}`)
      // A count above the remaining bytes needs no check of its own, because every value has at
      // least one byte: the input ends early before the count is reached.
      left[depth] = kind === mapKind ? size * 2 : size
    } else {
      if (kind === forbiddenKind) throw malformed('it contains an unassigned token')
      checkExtension(bytes, at, size)
      at += 1 + size
    }
    if (at > end) throw malformed('it ends early')
  }
  if (at !== end) throw malformed('bytes follow it')
}

function readLength(bytes: Uint8Array, at: number, count: number): number {
  let length = 0
  for (let index = 0; index < count; index++) length = length * 256 + bytes[at + index]!
  return length
}

/** `undefined` is extension 0 with one zero byte; a date is extension -1 of 4, 8 or 12 bytes. */
function checkExtension(bytes: Uint8Array, at: number, size: number): void {
  const type = bytes[at]
  if (type === 0 && size === 1 && bytes[at + 1] === 0) return
  if (type === 0xff && (size === 4 || size === 8 || size === 12)) return
  throw malformed('it contains an extension that is not allowed')
}

function malformed(why: string): HotspareError {
  return new HotspareError('PROTOCOL_VIOLATION', `a message is malformed: ${why}`)
}
