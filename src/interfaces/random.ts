/**
 * A node's source of randomness, for boot ids, nonces and jitter. The simulator passes a seeded
 * one.
 */
export interface Random {
  /** `count` fresh random bytes, of cryptographic quality outside the simulator. */
  bytes(count: number): Uint8Array
  /** A number in [0, 1), for jitter. */
  number(): number
}
