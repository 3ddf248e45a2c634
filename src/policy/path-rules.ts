/**
 * The rules for the path of a replicated file. They are the intersection of what Linux, macOS and
 * Windows can store, because a path that one node accepts must not fail on another; and they keep
 * every path inside the storage and outside hotspare's own directory. Paths from the application
 * and from peers are both checked here.
 */
import { HotspareError } from '../errors.js'

/** Longest path, in bytes of UTF-8; a longer one is `PATH_INVALID`. */
export const pathBytesMax: number = 1024

/**
 * Longest part of a path between two separators, in bytes of UTF-8; a longer one is `PATH_INVALID`.
 */
export const segmentBytesMax: number = 255

/**
 * The directory inside the storage that hotspare keeps for itself; no path and no class reaches it.
 */
export const reservedDirectory: string = '.hotspare'

const deviceNames = 'con|prn|aux|nul|com\\d|lpt\\d'

// A single regular expression accepts the common case, because every write checks its path: plain
// ASCII segments that neither start with a dot nor end with a dot or space, and are no device name.
const ordinarySegment = `(?!(?:${deviceNames})[ ]*(?:[./]|$))[a-z0-9_](?:[a-z0-9_. -]*[a-z0-9_-])?`
const ordinaryPath = new RegExp(`^(?:${ordinarySegment}/)*${ordinarySegment}$`, 'i')

const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/
const reservedCharacter = /[<>"|?*:\\]/
const loneSurrogate = /\p{Surrogate}/u
const deviceName = new RegExp(`^(?:${deviceNames}|com[¹²³]|lpt[¹²³]|conin\\$|conout\\$)$`, 'i')
// Characters that some file systems ignore when they compare names.
const ignoredByFileSystems = /[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g
// What Windows may call the reserved directory in its short form.
const shortReservedName = /^hotspa~\d+$/i

const notNormal = 'is not in Unicode form NFC'

/**
 * What is wrong with a path; undefined when it is valid.
 *
 * @param path - a path as an application or a peer gave it
 * @returns the reason, to follow after "path '…' "
 */
export function pathProblem(path: string): string | undefined {
  if (path.length <= segmentBytesMax && ordinaryPath.test(path)) return undefined
  if (path === '') return 'is empty'
  // UTF-8 has at least as many bytes as UTF-16 has units, so a huge string is refused without
  // encoding it.
  if (path.length > pathBytesMax || Buffer.byteLength(path) > pathBytesMax) {
    return `is longer than ${pathBytesMax} bytes`
  }
  if (loneSurrogate.test(path)) return 'contains half of a surrogate pair'
  if (path.normalize('NFC') !== path) return notNormal
  if (controlCharacter.test(path)) return 'contains a control character'
  const reserved = reservedCharacter.exec(path)
  if (reserved !== null)
    return `contains the character ${reserved[0]}, which not every system can store`
  if (path.startsWith('/')) return 'is absolute'
  const segments = path.split('/')
  if (isReservedName(segments[0] ?? '')) return `reaches into ${reservedDirectory}`
  for (const segment of segments) {
    const problem = segmentProblem(segment)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** What is wrong with one part of a path; undefined when it is valid. */
function segmentProblem(segment: string): string | undefined {
  if (segment === '') return 'contains an empty part (two separators, or one at the end)'
  if (segment === '.' || segment === '..') return `contains the part '${segment}'`
  if (Buffer.byteLength(segment) > segmentBytesMax) {
    return `contains a part longer than ${segmentBytesMax} bytes`
  }
  if (segment.endsWith('.') || segment.endsWith(' ')) {
    return `contains the part '${segment}', which ends with a dot or a space`
  }
  const dot = segment.indexOf('.')
  const base = (dot < 0 ? segment : segment.slice(0, dot)).trimEnd()
  if (deviceName.test(base)) return `contains '${segment}', the name of a device on Windows`
  return undefined
}

/** Whether a file system could treat this first part of a path as hotspare's own directory. */
function isReservedName(segment: string): boolean {
  if (shortReservedName.test(segment)) return true
  // Compared in upper case after NFKC, because that also folds letters such as the long s.
  const folded = segment.normalize('NFKC').replace(ignoredByFileSystems, '').toUpperCase()
  return folded === reservedDirectory.toUpperCase()
}

/**
 * Normalises a path to NFC and replaces control characters, line separators and backslashes by `_`,
 * so that globs match it as they match a valid path.
 */
export function matchablePath(path: string): string {
  return path.normalize('NFC').replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\\]/g, '_')
}

/** Whether a path can be replicated at all, whatever class claims it. */
export function isValidPath(path: string): boolean {
  return pathProblem(path) === undefined
}

/**
 * Checks a path: relative, separated by `/`, in Unicode form NFC, at most {@link pathBytesMax}
 * bytes, without empty, `.` or `..` parts, without names that some system cannot store, and outside
 * `.hotspare`. So `messages/42.txt` passes, and `../secret` does not.
 *
 * @param path - the path as an application or a peer gave it
 * @returns the same path
 * @throws `PATH_INVALID` naming the path and what is wrong with it
 * @throws TypeError when the path is no string
 */
export function checkPath(path: string): string {
  if (typeof path !== 'string') throw new TypeError(`a path is a string, not ${typeof path}`)
  const problem = pathProblem(path)
  if (problem === undefined) return path
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  throw new HotspareError('PATH_INVALID', `path ${JSON.stringify(shown)} ${problem}`, {
    details: { path: shown },
    whatToDo: problem === notNormal ? "Call .normalize('NFC') on it." : undefined,
  })
}
