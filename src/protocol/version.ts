/**
 * The versions of the wire protocol. A node speaks every version from `min` to `max`; two nodes use
 * the highest that both speak. The proofs of the handshake cover both ranges, so an attacker cannot
 * force an older version.
 */

/** A range of protocol versions, both ends included. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

/** The versions that this library speaks. */
export const protocolVersions: VersionRange = { min: 1, max: 1 }

/** The first bytes of the first frame in either direction: `HSPR`. */
export const magic: Uint8Array = new Uint8Array([0x48, 0x53, 0x50, 0x52])

/**
 * The highest version in both ranges.
 *
 * @returns undefined when they share none
 */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max)
  return version >= ours.min && version >= theirs.min ? version : undefined
}
