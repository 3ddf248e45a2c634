/**
 * The types of the frames on both lanes between a follower and its source: they share one number
 * space.
 */

/** Frame types above the channel; 0 is a message of the channel itself. */
export const frameTypes = {
  entry: 1,
  acknowledge: 2,
  answer: 3,
  /**
   * A stretch of an entry that is longer than a frame; the frame of type `entry` that follows is
   * its end.
   */
  entryPart: 4,
} as const

const knownFrames: ReadonlySet<number> = new Set(Object.values(frameTypes))

/** Whether frames of this type mean anything to this version. */
export function isKnownFrame(type: number): boolean {
  return knownFrames.has(type)
}
