import { HotspareError } from '../errors.js'

/**
 * A failure that an adapter detected itself, not the operating system. `whatToDo` replaces the
 * remedy of the code.
 */
export function storageFailed(what: string, path?: string, whatToDo?: string): HotspareError {
  const details = path === undefined ? {} : { details: { path } }
  return new HotspareError('STORAGE_FAILED', what, { ...details, whatToDo })
}

/**
 * The error for a path that is obstructed by something that may not be removed. `what` follows the
 * name of the obstacle and describes it.
 */
export function pathBlocked(path: string, obstacle: string, what: string): HotspareError {
  return new HotspareError(
    'PATH_BLOCKED',
    `${JSON.stringify(path)} is not touched, because ${JSON.stringify(obstacle)} ${what}`,
    { details: { path, obstacle } },
  )
}
