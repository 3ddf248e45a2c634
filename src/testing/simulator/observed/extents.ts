/**
 * Questions about the history of a copy: its terms, its changes, and the copy of the only active.
 */
import type { Extent, Position, Term } from '../../../history/position.js'
import { sameTerm } from '../../../history/position.js'
import type { World } from '../world.js'

/** The term that a change of this history was written in. */
export function termAt({ history, seq }: Extent, at: number): Term | undefined {
  if (at < 1 || at > seq) return undefined
  let found: Term | undefined
  for (const term of history) if (term.firstSeq <= at) found = term
  return found
}

/** The terms of a history from this change on. */
export function termsFrom(extent: Extent, at: number): Term[] {
  const first = termAt(extent, at)
  if (first === undefined) return []
  return extent.history.filter((term) => term.firstSeq > at || sameTerm(term, first))
}

/** Whether a copy has the change at this position. */
export function contains(extent: Extent, position: Position): boolean {
  const term = termAt(extent, position.seq)
  return term !== undefined && sameTerm(term, position.term)
}

export function written({ epoch, nodeId }: Term): string {
  return `${epoch}-${nodeId}`
}

/** The only active's copy. @throws when there is not exactly one active */
export function survivor(world: World): Extent & { readonly id: string } {
  const [id, other] = world.actives()
  const copy = id === undefined ? undefined : world.process(id).copy
  if (id === undefined || other !== undefined || copy === undefined)
    throw new Error('not one active')
  return { id, history: copy.history, seq: copy.seq }
}
