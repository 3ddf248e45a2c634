/**
 * Remembers empty terms that left this node's history because it received no change in them before
 * the next term began. A member with changes of such a term could not distinguish this copy from
 * one that lost them, so this node records durably that it had none.
 */
import { sameTerm, type Term } from '../../history/position.js'
import { persist } from '../state/acts.js'
import type { CopyFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import type { CoreState } from '../state/state.js'

/**
 * Empty terms that are remembered; beyond it the oldest are dropped and no longer prove anything.
 */
export const leftEmptyMax = 8

/**
 * Records the last term of a copy if it has left the history without a change. `before` is the copy
 * as last seen.
 */
export function noteLeftEmpty(core: CoreState, before: CopyFacts): void {
  const { copy, completedTerm, durable } = core
  const last = before.history.at(-1)
  // The cheap check comes first, because this is called with every change of the copy.
  if (copy.history === before.history || last === undefined || last.firstSeq <= before.seq) return
  if (copy.history.some((term) => sameTerm(term, last))) return
  // Without having caught up, and after a loss of changes, this node does not know what it
  // acknowledged in that term.
  if (before.forgot === true || completedTerm === undefined || !sameTerm(completedTerm, last))
    return
  const { epoch, nodeId, bootId } = last
  const leftEmpty = [...(durable.leftEmpty ?? []), { epoch, nodeId, bootId }]
  persist(core, { leftEmpty: leftEmpty.slice(-leftEmptyMax) })
}

/** Whether a member reports that it had all of this term, and that the term was empty. */
export function hasLeftEmpty({ leftEmpty = [] }: PeerView, term: Term): boolean {
  return leftEmpty.some((one) => sameTerm(one, term))
}
