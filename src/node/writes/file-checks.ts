/** What a call on a file is checked for, before anything of it happens, and what it finds. */

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

/** Own bytes of content that is short enough to stay inline; undefined for all else. */
export function inlineOf(content: ContentSource, inlineBytesMax: number): Uint8Array | undefined {
  if (typeof content === 'string') {
    // A character takes at least one byte.
    if (content.length > inlineBytesMax) return undefined
    const bytes = Buffer.from(content)
    return bytes.length > inlineBytesMax ? undefined : bytes
  }
  if (!(content instanceof Uint8Array)) return undefined
  if (content.length > inlineBytesMax) return undefined
  // The caller may write into its buffer again at once; the change must not see that.
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
 * How durably content is stored before it is submitted: as the caller chose, else as its class
 * says.
 */
export function contentDurability(
  { declaration }: NamedFileClass,
  { durability }: WriteOptions,
): Durability {
  // A class without levels takes no changes: the write is refused when it is submitted.
  return durability ?? kindOf(declaration).levels(declaration)?.durability ?? 'disk'
}

/** The paths that begin with a text, or match a glob; sorted. */
export function listMatching(files: Pick<ReadableFiles, 'list'>, pattern: string): string[] {
  if (typeof pattern !== 'string')
    throw new TypeError('list() takes a prefix or a glob as a string')
  const wildcard = pattern.search(/[*?[\]{}!()]/)
  if (wildcard < 0) return files.list(pattern)
  const globs = compileGlobs(normaliseGlobs(pattern))
  const prefix = pattern.slice(0, pattern.lastIndexOf('/', wildcard) + 1)
  return files.list(prefix).filter((path) => globs.matches(path))
}

/** What a copy knows of a file. */
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

/** A number of bytes. */
export function checkSize(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${name} is a whole number of bytes, 0 or more, not ${String(value)}`)
}

/** A size that a file is to have, or a place that it is to reach. @throws `WRITE_TOO_LARGE` */
export function checkFileSize(path: string, value: number, name: string): number {
  const bytes = checkSize(value, name)
  requireFileSize(path, bytes)
  return bytes
}

/** Permission bits. */
export function checkMode(mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode
  throw new TypeError(`mode is a number from 0 to 0o777, not ${String(mode)}`)
}

/** What is known of a file. */
export interface FileInfo {
  /** Relative to the root of the storage, with `/` between the parts. */
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** The class that claims it. */
  readonly className: string
  /** Sequence number of its last change. */
  readonly version: number
  /**
   * Whether there may be a newer version already: true on every node but the active one, and on an
   * active that has to make sure that it still is. False says that no acknowledged change was
   * missing when this was looked at.
   */
  readonly stale: boolean
}
