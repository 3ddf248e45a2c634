/** Telling a document that is damaged from a storage that cannot be read now. */
import { HotspareError } from '../../errors.js'

/** Whether bytes were read that cannot be believed, and never will be. */
export function isBroken(error: unknown): error is HotspareError {
  return HotspareError.is(error, 'STORAGE_CORRUPT') || HotspareError.is(error, 'PROTOCOL_VIOLATION')
}
