import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'

/**
 * Takes the files of an existing folder as the beginning of the history of a copy that has none.
 *
 * @throws `ADOPT_REQUIRED` unless `adopt`
 */
export async function adoptFound(copy: LocalCopy, term: Term, adopt: boolean): Promise<void> {
  const { unknown } = copy.outside.report
  // A damaged copy does have a history, which a peer restores.
  if (copy.seq > 0 || !copy.complete || unknown.length === 0) return
  if (!adopt) {
    const example = unknown[0]?.path ?? ''
    throw new HotspareError(
      'ADOPT_REQUIRED',
      `${unknown.length} files (${example}, …) are in paths of synced classes and have no history here`,
    )
  }
  await copy.restoreSwitch.adopt(term)
  // The files are the beginning of the history, so they are no outside changes.
  copy.outside.settle()
}
