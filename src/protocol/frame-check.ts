/**
 * The check at the end of each frame after the handshake, over a counter, the type and the payload.
 * The counter is not sent: frames arrive in order until the connection ends, so both ends count
 * them. A frame that was dropped, repeated, reordered or taken from another session fails its
 * check.
 *
 * Short frames carry HMAC-SHA-256 (truncated to 16 bytes), long ones AES-256-GMAC with the counter
 * as nonce. GMAC has a higher cost per frame, but runs at 4 GB/s where SHA-256 reaches 1.6.
 */
import { createCipheriv, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { DirectionKeys } from './keys.js'

/** `none` under TLS, which authenticates; `crc` detects accidental damage, `mac` also forgery. */
export type CheckMode = 'none' | 'crc' | 'mac'

/**
 * Longest payload whose frame carries an HMAC; longer ones carry a GMAC, which is faster above
 * this.
 */
const shortBytesMax = 2048
const macBytes = 16
const crcBytes = 4
/** Length of the longest check, in bytes. */
export const checkBytesMax: number = macBytes

const noBytes = new Uint8Array(0)

/** Length of the check of a mode, in bytes. */
export function checkBytes(mode: CheckMode): number {
  return mode === 'mac' ? macBytes : mode === 'crc' ? crcBytes : 0
}

/** Makes or verifies the checks of one direction. Each call uses the next value of the counter. */
export class FrameCheck {
  readonly #short: ShortMac
  readonly #longKey: KeyObject
  /** Four zero bytes, eight bytes of counter, the type. The first twelve bytes are the nonce. */
  readonly #head = Buffer.alloc(13)
  readonly #nonce: Buffer = this.#head.subarray(0, 12)
  #counter = 0

  constructor(keys: DirectionKeys) {
    this.#short = new ShortMac(keys.short)
    this.#longKey = createSecretKey(keys.long)
  }

  /** The check of the next frame to send. */
  make(mode: CheckMode, type: number, parts: readonly Uint8Array[], length: number): Uint8Array {
    this.#next(type)
    if (mode === 'none') return noBytes
    if (mode === 'crc') return this.#crc(parts)
    return length > shortBytesMax ? this.#long(parts) : this.#short.make(this.#head, parts)
  }

  /** Whether `check` is that of the next frame received. */
  verify(mode: CheckMode, type: number, payload: Uint8Array, check: Uint8Array): boolean {
    const expected = this.make(mode, type, [payload], payload.length)
    return expected.length === check.length && timingSafeEqual(expected, check)
  }

  #next(type: number): void {
    const counter = this.#counter++
    this.#head.writeUInt32BE(Math.floor(counter / 2 ** 32), 4)
    this.#head.writeUInt32BE(counter >>> 0, 8)
    this.#head[12] = type
  }

  #long(parts: readonly Uint8Array[]): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#longKey, this.#nonce)
    cipher.setAAD(this.#head)
    for (const part of parts) cipher.setAAD(part)
    cipher.final()
    return cipher.getAuthTag()
  }

  #crc(parts: readonly Uint8Array[]): Uint8Array {
    let crc = crc32(this.#head)
    for (const part of parts) crc = crc32(part, crc)
    const check = Buffer.allocUnsafe(crcBytes)
    check.writeUInt32BE(crc)
    return check
  }
}

const hashBytes = 32
const blockBytes = 64

/**
 * HMAC-SHA-256 over short inputs, made of two one-shot hashes: 1.5 µs for each frame, where an
 * `Hmac` object costs 4. (One-shot hashes that return a string are the fastest way into OpenSSL.)
 */
class ShortMac {
  readonly #inner = Buffer.alloc(blockBytes + 13 + shortBytesMax, 0x36)
  readonly #outer = Buffer.alloc(blockBytes + hashBytes, 0x5c)

  /** @param key - at most 64 bytes */
  constructor(key: Uint8Array) {
    for (const [index, byte] of key.entries()) {
      this.#inner[index]! ^= byte
      this.#outer[index]! ^= byte
    }
  }

  make(head: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
    let end = blockBytes
    this.#inner.set(head, end)
    end += head.length
    for (const part of parts) {
      this.#inner.set(part, end)
      end += part.length
    }
    const inner = hash('sha256', this.#inner.subarray(0, end), 'binary')
    this.#outer.write(inner, blockBytes, hashBytes, 'binary')
    const check = Buffer.allocUnsafe(macBytes)
    check.write(hash('sha256', this.#outer, 'binary'), 0, macBytes, 'binary')
    return check
  }
}
