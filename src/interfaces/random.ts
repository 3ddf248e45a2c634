/**
 * Where a node gets its randomness from: boot ids, nonces, jitter. The simulator gives a seeded
 * one.
 */
export interface Random {
  /** `count` fresh random bytes, of cryptographic quality outside the simulator. */
  bytes(count: number): Uint8Array
  /** A number in [0, 1), for jitter. */
  number(): number
}
