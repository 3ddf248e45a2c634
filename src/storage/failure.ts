import { HotspareError } from '../errors.js'

/**
 * A failure that an adapter found itself, rather than the operating system; `whatToDo` in place of
 * what its code says.
 */
export function storageFailed(what: string, path?: string, whatToDo?: string): HotspareError {
  const details = path === undefined ? {} : { details: { path } }
  return new HotspareError('STORAGE_FAILED', what, { ...details, whatToDo })
}

/** Something that may not be removed stands in the way of a path. `what` it is follows its name. */
export function pathBlocked(path: string, obstacle: string, what: string): HotspareError {
  return new HotspareError(
    'PATH_BLOCKED',
    `${JSON.stringify(path)} is not touched, because ${JSON.stringify(obstacle)} ${what}`,
    { details: { path, obstacle } },
  )
}
