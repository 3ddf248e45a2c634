/** The error for what takes room of a device that has none left. */
import { HotspareError } from '../../errors.js'

/**
 * Refuses what takes room of a device that has none left; removals are still taken. @throws
 * `STORAGE_FULL`
 */
export function requireDisk(refusal: string | undefined): void {
  if (refusal !== undefined) throw noRoom(refusal)
}

/** Why what takes room is refused, with what to do about it. */
export function noRoom(refusal: string): HotspareError {
  return new HotspareError('STORAGE_FULL', refusal, { whatToDo: makeRoom })
}

const makeRoom =
  'Remove files through node.files, or free space on the device; the node goes on by itself.'
