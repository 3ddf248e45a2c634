import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'

/**
 * Files from before the library become the beginning of the history of a copy without one.
 *
 * @throws `ADOPT_REQUIRED` unless `adopt`
 */
export async function adoptFound(copy: LocalCopy, term: Term, adopt: boolean): Promise<void> {
  const { unknown } = copy.outside.report
  // A copy that is damaged is not without history: a peer restores it.
  if (copy.seq > 0 || !copy.complete || unknown.length === 0) return
  if (!adopt) {
    const example = unknown[0]?.path ?? ''
    throw new HotspareError(
      'ADOPT_REQUIRED',
      `${unknown.length} files (${example}, …) are in paths of synced classes and have no history here`,
    )
  }
  await copy.restoreSwitch.adopt(term)
  // What was found is the beginning of the history now, and no change of it.
  copy.outside.settle()
}
