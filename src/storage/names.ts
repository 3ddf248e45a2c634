/**
 * The names that storage adapters accept. Adapters check them although their callers do too,
 * because a name becomes a path, and a path that leaves the storage would break every other
 * guarantee.
 */

import { HotspareError } from '../errors.js'
import type { ObjectArea } from '../interfaces/object-store.js'

/** The folder of the storage itself inside the root. */
export const stateFolder = '.hotspare'

/** Names in that folder that adapters use themselves. No document or area of logs may have one. */
export const reservedNames: ReadonlySet<string> = new Set([
  'lock',
  'format',
  'tmp',
  'room',
  'blobs',
  'staging',
  'incoming',
  'vault',
])

/**
 * Longest name of a document, a log, an area or an object, in UTF-16 units; a longer one is
 * `PATH_INVALID`.
 */
const nameLengthMax = 1024
/**
 * Longest path of the tree, in UTF-16 units; a longer one is `PATH_INVALID`. The policy's limit is
 * lower.
 */
const pathLengthMax = 4096
const plainName = /^[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/
const plainPart = /^[a-z0-9._-]+$/
const emptyOrDots = /(?:^|\/)\.{0,2}(?:\/|$)/

/**
 * Checks the name of an object: `[a-z0-9._-]+(/[a-z0-9._-]+)*` without parts `.` or `..`; in
 * `incoming`, a path of the tree.
 *
 * @throws `PATH_INVALID`
 */
export function checkObjectName(area: ObjectArea, name: string): void {
  if (area === 'incoming') checkTreePath(name)
  else check(name, plainName, 'object')
}

/**
 * Checks the name of a document: like that of an object, but its first part must not be reserved.
 *
 * @throws `PATH_INVALID`
 */
export function checkDocumentName(name: string): void {
  check(name, plainName, 'document')
}

/**
 * Checks the name of an area of logs: one part that is not reserved.
 *
 * @throws `PATH_INVALID`
 */
export function checkLogArea(name: string): void {
  check(name, plainPart, 'log area')
}

/**
 * Checks the name of a log: one part.
 *
 * @throws `PATH_INVALID`
 */
export function checkLogName(name: string): void {
  check(name, plainPart, 'log')
}

function check(name: string, pattern: RegExp, what: string): void {
  const wellFormed = name.length <= nameLengthMax && pattern.test(name) && !emptyOrDots.test(name)
  const inState = what === 'document' || what === 'log area'
  const taken = inState && reservedNames.has(name.split('/', 1)[0] ?? '')
  if (wellFormed && !taken) return
  const reason = taken ? 'is reserved, and cannot be the name of a' : 'is not a valid name of a'
  throw new HotspareError('PATH_INVALID', `${JSON.stringify(name)} ${reason} ${what}`)
}

/**
 * Checks that a path of the tree stays inside the root and outside the storage's own folder.
 *
 * @throws `PATH_INVALID`
 */
export function checkTreePath(path: string): void {
  if (
    path.length > 0 &&
    path.length <= pathLengthMax &&
    !emptyOrDots.test(path) &&
    !path.includes('\0') &&
    !isStatePath(path)
  ) {
    return
  }
  throw new HotspareError(
    'PATH_INVALID',
    `${JSON.stringify(path)} is not a valid path of the tree`,
    {
      details: { path },
    },
  )
}

/** Whether a path is in the storage's own folder, in any upper and lower case. */
function isStatePath(path: string): boolean {
  if (path.charCodeAt(0) !== 46) return false
  const slash = path.indexOf('/')
  const first = slash < 0 ? path : path.slice(0, slash)
  return first.toLowerCase() === stateFolder
}

/** The folder that a path lies in, '' for the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}
