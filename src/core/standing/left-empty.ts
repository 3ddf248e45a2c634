/**
 * Terms that left this node's history because it got no change in them before the next one began.
 * Whoever has changes of such a term does not find it here any more, and could not tell this copy
 * from one that lost them. So this node keeps durably that there were none.
 */
import { sameTerm, type Term } from '../../history/position.js'
import { persist } from '../state/acts.js'
import type { CopyFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import type { CoreState } from '../state/state.js'

/**
 * Terms that are remembered; the oldest are forgotten beyond it, and then prove nothing any more.
 */
export const leftEmptyMax = 8

/**
 * Notes the last term of a copy, if it was left without a change; `before` is the copy as it was
 * seen last.
 */
export function noteLeftEmpty(core: CoreState, before: CopyFacts): void {
  const { copy, completedTerm, durable } = core
  const last = before.history.at(-1)
  // Cheap first: this is asked with every change of the copy.
  if (copy.history === before.history || last === undefined || last.firstSeq <= before.seq) return
  if (copy.history.some((term) => sameTerm(term, last))) return
  // One that had not caught up, or has forgotten something, does not know what this node had
  // acknowledged in that term.
  if (before.forgot === true || completedTerm === undefined || !sameTerm(completedTerm, last))
    return
  const { epoch, nodeId, bootId } = last
  const leftEmpty = [...(durable.leftEmpty ?? []), { epoch, nodeId, bootId }]
  persist(core, { leftEmpty: leftEmpty.slice(-leftEmptyMax) })
}

/** Whether a member says that it had all of this term, and that this was nothing. */
export function hasLeftEmpty({ leftEmpty = [] }: PeerView, term: Term): boolean {
  return leftEmpty.some((one) => sameTerm(one, term))
}
