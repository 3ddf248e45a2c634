import {
  type AckLevel,
  type ClassOptions,
  type Durability,
  givenClassOptions,
  resolveClassOptions,
} from '../class-options.js'
import { normaliseGlobs } from '../glob.js'
import type { ClassKind } from './kind.js'

/** Files that every node has: restored when a node joins, updated continuously afterwards. */
export interface SyncedClass {
  /** Tells the kinds of classes apart. */
  readonly kind: 'synced'
  /** Which paths the class claims; a glob that begins with `!` takes paths away again. */
  readonly globs: readonly string[]
  /** Which journals a write must reach before it is acknowledged. */
  readonly ack: AckLevel
  /** Whether the journal in memory suffices, or it must be on disk. */
  readonly durability: Durability
}

/**
 * Declares files that are replicated to every node.
 *
 * In a glob, `*` and `?` match within one part of a path (dot files too), `**` as a whole part
 * matches any number of parts, so `config/**` matches `config` and everything below it, and `{a,b}`
 * matches either. A glob that begins with `!` excludes, wherever it stands in the list.
 *
 * @param globs - one glob or several, relative, with `/` between the parts
 * @param options - acknowledgement and durability of the writes
 * @returns the declaration, for a {@link SyncPolicy}
 * @throws `OPTION_INVALID` for an invalid glob or option
 *
 * @example
 * ```ts
 * new SyncPolicy({
 *   messages: synced('messages/**'),
 *   data: synced(['data/**', '!data/tmp/**'], { ack: 'all' }),
 * })
 * ```
 */
export function synced(globs: string | readonly string[], options?: ClassOptions): SyncedClass {
  const resolved = givenClassOptions(options)
  return Object.freeze({ kind: 'synced', globs: normaliseGlobs(globs), ...resolved })
}

/** What a class of synced files does. */
export const syncedKind: ClassKind<SyncedClass> = {
  holdsFiles: true,
  isReplicated: true,
  takesFileChanges: true,
  takesUpdates: false,
  isScanned: true,
  levels: resolveClassOptions,
  fingerprinted: ({ globs, durability }) => [[...normaliseGlobs(globs)].sort(), durability],
}
