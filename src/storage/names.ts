/**
 * The names that every storage adapter accepts. Checked in the adapters although the callers checked
 * before: a name becomes a path, and a path that escapes would be the end of every other promise.
 */

import { HotspareError } from '../errors.js'

/** The folder of the storage itself inside the root. */
export const STATE_FOLDER = '.hotspare'

const NAME_LENGTH_MAX = 1024
const PATH_LENGTH_MAX = 4096
const plainName = /^[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/
const plainPart = /^[a-z0-9._-]+$/
const emptyOrDots = /(?:^|\/)\.{0,2}(?:\/|$)/

/**
 * Checks the name of a document or object: `[a-z0-9._-]+(/[a-z0-9._-]+)*`, and no part `.` or `..`.
 *
 * @throws `PATH_INVALID`
 */
export function checkName(name: string, what: string): void {
  if (name.length <= NAME_LENGTH_MAX && plainName.test(name) && !emptyOrDots.test(name)) return
  throw new HotspareError('PATH_INVALID', `${JSON.stringify(name)} is no name of a ${what}`)
}

/**
 * Checks the name of a log or of its area, which has one part only.
 *
 * @throws `PATH_INVALID`
 */
export function checkPart(name: string, what: string): void {
  if (name.length <= NAME_LENGTH_MAX && plainPart.test(name) && !emptyOrDots.test(name)) return
  throw new HotspareError('PATH_INVALID', `${JSON.stringify(name)} is no name of a ${what}`)
}

/**
 * Checks that a path of the tree stays inside the root and outside the storage's own folder.
 *
 * @throws `PATH_INVALID`
 */
export function checkTreePath(path: string): void {
  if (
    path.length > 0 &&
    path.length <= PATH_LENGTH_MAX &&
    !emptyOrDots.test(path) &&
    !path.includes('\0') &&
    !isStatePath(path)
  ) {
    return
  }
  throw new HotspareError('PATH_INVALID', `${JSON.stringify(path)} is no path of the tree`, {
    details: { path },
  })
}

/** Whether a path lies in the storage's own folder, in any spelling that some file system folds. */
function isStatePath(path: string): boolean {
  if (path.charCodeAt(0) !== 46) return false
  const slash = path.indexOf('/')
  const first = slash < 0 ? path : path.slice(0, slash)
  return first.toLowerCase() === STATE_FOLDER
}

/** The folder that a path lies in, '' for the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}
