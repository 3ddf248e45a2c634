/** Adds a cause in this node's copy to the event that no reachable member may be promoted. */
import type { CoreEvent } from '../../core/state/types.js'

type Holding = Extract<CoreEvent, { name: 'holding' }>

/** The part of a copy that tells why it is not complete. */
interface OwnCopy {
  readonly stateNeedsRestore: readonly string[]
}

/**
 * The event, with the cause in this node's copy if there is one and no returning member would end
 * the wait.
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
