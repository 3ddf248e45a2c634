/** Checks the arguments of calls on files before they have any effect. */

import { requireFileSize } from '../../changes/file-size.js'
import { HotspareError } from '../../errors.js'
import type { Durability } from '../../policy/class-options.js'
import { compileGlobs, normaliseGlobs } from '../../policy/glob.js'
import { kindOf } from '../../policy/kinds/table.js'
import { checkPath } from '../../policy/path-rules.js'
import type { NamedFileClass, SyncPolicy } from '../../policy/sync-policy.js'
import type { ContentSource } from '../../replication/content/types.js'
import type { WriteOptions } from '../../replication/write/types.js'
import type { ReadableFiles } from './readable-copy.js'

/**
 * A private copy of content that is short enough to be stored inline; undefined for other content.
 */
export function inlineOf(content: ContentSource, inlineBytesMax: number): Uint8Array | undefined {
  if (typeof content === 'string') {
    // A character takes at least one byte.
    if (content.length > inlineBytesMax) return undefined
    const bytes = Buffer.from(content)
    return bytes.length > inlineBytesMax ? undefined : bytes
  }
  if (!(content instanceof Uint8Array)) return undefined
  if (content.length > inlineBytesMax) return undefined
  // The caller may reuse its buffer at once, which must not alter the change.
  return Buffer.from(content)
}

/**
 * The replicated class that claims a path.
 *
 * @throws `PATH_INVALID`, `PATH_UNCLAIMED`, `PATH_NEVER_SYNCED`
 */
export function claimOf(policy: SyncPolicy, path: string): NamedFileClass {
  const claimed = policy.classOf(checkPath(path))
  if (claimed === undefined) {
    throw new HotspareError('PATH_UNCLAIMED', `no class claims '${path}'`, { details: { path } })
  }
  const { name, declaration } = claimed
  const kind = kindOf(declaration)
  if (kind.isReplicated) return claimed
  throw new HotspareError(
    'PATH_NEVER_SYNCED',
    `'${path}' belongs to class '${name}', ${kind.whyLocal(declaration)}`,
    { details: { path, className: name } },
  )
}

/**
 * The durability with which content is stored before it is submitted: that of the caller, else that
 * of its class.
 */
export function contentDurability(
  { declaration }: NamedFileClass,
  { durability }: WriteOptions,
): Durability {
  // A class without levels accepts no changes; the write is refused when it is submitted.
  return durability ?? kindOf(declaration).levels(declaration)?.durability ?? 'disk'
}

/** The paths that start with a text, or match a glob, sorted. */
export function listMatching(files: Pick<ReadableFiles, 'list'>, pattern: string): string[] {
  if (typeof pattern !== 'string')
    throw new TypeError('list() takes a prefix or a glob as a string')
  const wildcard = pattern.search(/[*?[\]{}!()]/)
  if (wildcard < 0) return files.list(pattern)
  const globs = compileGlobs(normaliseGlobs(pattern))
  const prefix = pattern.slice(0, pattern.lastIndexOf('/', wildcard) + 1)
  return files.list(prefix).filter((path) => globs.matches(path))
}

/** The information about a file in a copy. */
export function infoOf(
  files: ReadableFiles,
  claimed: { readonly name: string },
  path: string,
  stale: boolean,
): FileInfo | undefined {
  const known = files.stat(path)
  if (known === undefined) return undefined
  const { size, mode, version } = known
  return { path, size, mode, className: claimed.name, version, stale }
}

/** Checks a number of bytes. */
export function checkSize(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${name} is a whole number of bytes, 0 or more, not ${String(value)}`)
}

/**
 * Checks the size that a file would reach.
 *
 * @throws `WRITE_TOO_LARGE`
 */
export function checkFileSize(path: string, value: number, name: string): number {
  const bytes = checkSize(value, name)
  requireFileSize(path, bytes)
  return bytes
}

/** Checks permission bits. */
export function checkMode(mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode
  throw new TypeError(`mode is a number from 0 to 0o777, not ${String(mode)}`)
}

/** Information about a file. */
export interface FileInfo {
  /** The path relative to the root of the storage, with `/` as separator. */
  readonly path: string
  /** Size in bytes. */
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** The name of the class that claims it. */
  readonly className: string
  /** The sequence number of its last change. */
  readonly version: number
  /**
   * Whether a newer version may exist: true on every node except the active one, and on an active
   * that has to make sure that it still is. False means that no acknowledged change was missing at
   * that moment.
   */
  readonly stale: boolean
}
