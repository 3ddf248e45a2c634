/**
 * The types of the frames on the stream and bulk lanes between a follower and its source. Both
 * lanes share one number space.
 */

/** Frame types; 0 is reserved for messages of the channel. */
export const frameTypes = {
  entry: 1,
  acknowledge: 2,
  answer: 3,
  /**
   * A part of an entry that is longer than a frame. A frame of type `entry` follows as its last
   * part.
   */
  entryPart: 4,
} as const

const knownFrames: ReadonlySet<number> = new Set(Object.values(frameTypes))

/** Whether this version knows frames of this type. */
export function isKnownFrame(type: number): boolean {
  return knownFrames.has(type)
}
