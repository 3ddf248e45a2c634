/**
 * Finds loss after a start: members whose copies show that the cluster had continued without this
 * node. The disk of the last active may have been restored to an older state that includes the
 * proof of its clean stop, or two nodes may have served without each other. Only one history is
 * kept, so the members with the other one are named before they follow.
 */
import { positionOf, relate, sameTerm } from '../../history/position.js'
import { emit } from '../state/acts.js'
import { decide } from '../state/explain.js'
import { type CoreState, type Peer, peersOf, type Tenure } from '../state/state.js'
import { heard } from './liveness.js'
import { incidentOf } from './views.js'

export function checkStartLoss(core: CoreState, tenure: Tenure): void {
  const { startedWith, named, term } = tenure
  if (startedWith === undefined) return
  const found = peersOf(core).filter(
    (peer) => !named.has(peer.id) && heard(core, peer) && wentOn(core, peer, startedWith),
  )
  if (found.length === 0) return
  const missing = found.map(({ id }) => id)
  for (const id of missing) named.add(id)
  decide(core, 'start.loss', 'named', { missing })
  emit(core, { name: 'possibleLoss', incident: incidentOf(core, term), missing })
}

/**
 * Whether a member's copy ends in a term that was unknown at the start and that this node's history
 * lacks. The rest of a known term on the node that wrote it is only what a crashed process had
 * alone, which was never acknowledged as held by others; on another node it may have been
 * acknowledged.
 */
function wentOn(
  core: CoreState,
  { id, view }: Peer,
  startedWith: NonNullable<Tenure['startedWith']>,
): boolean {
  // The cheap checks come first: this is called with every input, histories may be long, and a
  // standby has this node's history. Of two actives neither has stepped down yet, and followers of
  // the other one follow on.
  if (view === undefined || view.role === 'standby' || view.role === 'active') return false
  if (view.follows?.heard === true && view.follows.id !== core.options.nodeId) return false
  const last = positionOf(view.copy)?.term
  if (last === undefined) return false
  const isKnown = startedWith.history.some((known) => sameTerm(known, last))
  if (isKnown && id === last.nodeId) return false
  return relate(core.copy, view.copy).kind === 'diverged'
}
