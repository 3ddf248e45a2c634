/**
 * What an operator is told where no member in reach may be promoted: what is the matter with the
 * copy of this node itself.
 */
import type { CoreEvent } from '../../core/state/types.js'

type Holding = Extract<CoreEvent, { name: 'holding' }>

/** What of a copy says why it is not whole. */
interface OwnCopy {
  readonly stateNeedsRestore: readonly string[]
}

/**
 * The event, with the cause that lies in the own copy, if nobody's return would end the wait and
 * there is one.
 */
export function withOwnCause(event: Holding, { stateNeedsRestore }: OwnCopy): Holding {
  if (event.missing.length > 0 || stateNeedsRestore.length === 0) return event
  const names = stateNeedsRestore.map((name) => `'${name}'`).join(', ')
  const reason =
    `${event.reason}: the copy of this node is incomplete, since it lacks changes of ${names}: either its policy did not ` +
    'have that class while they came, or its state was lost. Start a member whose copy is complete, so that this one is ' +
    'restored from it; where there is none, only a policy without that class lets this node serve the rest'
  return { ...event, reason }
}
