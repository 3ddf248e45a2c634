/** The error for a write that needs disk space when none is left. */
import { HotspareError } from '../../errors.js'

/**
 * Throws when there is a reason to refuse a write that needs space; removals need none and are not
 * checked.
 *
 * @throws `STORAGE_FULL`
 */
export function requireSpace(refusal: string | undefined): void {
  if (refusal !== undefined) throw noRoom(refusal)
}

/** The error with this reason, and with advice for the operator. */
export function noRoom(refusal: string): HotspareError {
  return new HotspareError('STORAGE_FULL', refusal, { whatToDo: howToFreeSpace })
}

const howToFreeSpace =
  'Remove files through node.files, or free space on the device; the node goes on by itself.'
