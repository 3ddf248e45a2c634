import { HotspareError } from '../errors.js'

/** A failure that an adapter found itself, rather than the operating system. */
export function storageFailed(what: string, path?: string): HotspareError {
  return new HotspareError('STORAGE_FAILED', what, path === undefined ? {} : { details: { path } })
}
