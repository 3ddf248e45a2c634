import { HotspareError } from '../../errors.js'
import { requireKnown } from '../../util/option-names.js'
import { normaliseGlobs } from '../glob.js'
import type { ClassKind } from './kind.js'

/** Files that belong to one machine: hotspare neither reads, sends, writes nor deletes them. */
export interface NeverSyncedClass {
  /** Tells the kinds of classes apart. */
  readonly kind: 'neverSynced'
  /** Which paths the class claims; a glob that begins with `!` takes paths away again. */
  readonly globs: readonly string[]
  /** Why these files stay on their machine; shown to operators. */
  readonly reason: string
}

/**
 * Declares files that are never touched, whatever another node says. A path that no class claims is
 * never synced either; a declaration also states the reason, and makes a later class that claims
 * the path a `POLICY_CONFLICT`.
 *
 * @param globs - one glob or several, as for {@link synced}
 * @param options - `reason`: why these files stay on their machine, at least one character
 * @returns the declaration, for a {@link SyncPolicy}
 * @throws `OPTION_INVALID` for a glob that cannot work, or an empty reason
 *
 * @example
 * ```ts
 * neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' })
 * ```
 */
export function neverSynced(
  globs: string | readonly string[],
  options: { readonly reason: string },
): NeverSyncedClass {
  if (typeof options?.reason !== 'string') throw new TypeError('neverSynced() needs { reason }')
  requireKnown('neverSynced()', options, ['reason'])
  if (options.reason.trim() === '') {
    throw new HotspareError('OPTION_INVALID', 'the reason of a never-synced class is empty', {
      details: { option: 'reason' },
    })
  }
  return Object.freeze({
    kind: 'neverSynced',
    globs: normaliseGlobs(globs),
    reason: options.reason,
  })
}

/** What a class of never-synced files does. */
export const neverSyncedKind: ClassKind<NeverSyncedClass> = {
  holdsFiles: true,
  isReplicated: false,
  takesFileChanges: false,
  takesUpdates: false,
  isScanned: false,
  levels: () => undefined,
  whyLocal: ({ reason }) => `which is never synced: ${reason}`,
}
