/**
 * The keys of a handshake. The secret and the cluster id give one authentication key; that key and
 * the transcript, which contains both nonces, give session keys that differ in each direction and
 * session.
 */
import { createHash, createHmac, hkdfSync, scryptSync, timingSafeEqual } from 'node:crypto'

/** The key that a handshake proves; derived once for each node by {@link handshakeKey}. */
export interface HandshakeKey {
  readonly bytes: Uint8Array
  /** Whether there is a secret at all. */
  readonly hasSecret: boolean
}

/**
 * Makes it costly to guess a weak secret from a recorded proof; about 10 ms, once for each node.
 */
const scryptParameters = { N: 4096, r: 8, p: 1 } as const
const keyBytes = 32
export const proofBytes = 32

/**
 * Derives the key for a secret and a cluster: a node with another secret, or of another cluster,
 * cannot prove it. Without a secret every node can prove it, and the cluster ids are compared after
 * the proofs.
 */
export function handshakeKey(
  secret: string | Uint8Array | undefined,
  cluster: string,
): HandshakeKey {
  if (secret === undefined || secret.length === 0) {
    return { bytes: new Uint8Array(keyBytes), hasSecret: false }
  }
  const salt = createHash('sha256').update('hotspare cluster ').update(cluster).digest()
  return { bytes: scryptSync(secret, salt, keyBytes, scryptParameters), hasSecret: true }
}

/** One hash over all frames before the proofs, each with its length. */
export function transcriptOf(parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  const length = Buffer.alloc(4)
  for (const part of parts) {
    length.writeUInt32BE(part.length)
    hash.update(length).update(part)
  }
  return hash.digest()
}

/**
 * The proof of one side that it knows the key. It covers the side, so that a proof cannot be
 * reflected to its sender.
 */
export function proofOf(
  key: HandshakeKey,
  side: 'dialer' | 'listener',
  transcript: Uint8Array,
): Uint8Array {
  return createHmac('sha256', key.bytes).update(`hotspare 1 ${side} `).update(transcript).digest()
}

/** Compares in constant time. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** The keys of one direction. */
export interface DirectionKeys {
  /** Authenticates the rest of the handshake. */
  readonly handshake: Uint8Array
  /** Authenticates short frames (HMAC-SHA-256). */
  readonly short: Uint8Array
  /** Authenticates long frames (AES-256-GMAC). */
  readonly long: Uint8Array
}

/** The keys of one session. */
export interface SessionKeys {
  readonly fromDialer: DirectionKeys
  readonly fromListener: DirectionKeys
}

/**
 * Derives the session keys. The transcript contains both nonces, so they differ in each session.
 */
export function sessionKeys(key: HandshakeKey, transcript: Uint8Array): SessionKeys {
  const bytes = Buffer.from(hkdfSync('sha256', key.bytes, transcript, 'hotspare 1 session', 192))
  const part = (index: number): Uint8Array =>
    bytes.subarray(index * keyBytes, (index + 1) * keyBytes)
  return {
    fromDialer: { handshake: part(0), short: part(1), long: part(2) },
    fromListener: { handshake: part(3), short: part(4), long: part(5) },
  }
}

/** The MAC of a handshake frame after the proofs. */
export function handshakeTag(keys: DirectionKeys, bytes: Uint8Array): Uint8Array {
  return createHmac('sha256', keys.handshake).update(bytes).digest()
}
