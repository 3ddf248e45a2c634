import { HotspareError } from '../errors.js'

/** A failure that an adapter found itself, rather than the operating system. */
export function storageFailed(what: string, path?: string): HotspareError {
  return new HotspareError('STORAGE_FAILED', what, path === undefined ? {} : { details: { path } })
}

/** Something that may not be removed stands in the way of a path. `what` it is follows its name. */
export function pathBlocked(path: string, obstacle: string, what: string): HotspareError {
  return new HotspareError(
    'PATH_BLOCKED',
    `${JSON.stringify(path)} is not touched, because ${JSON.stringify(obstacle)} ${what}`,
    { details: { path, obstacle } },
  )
}
