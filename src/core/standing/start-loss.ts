/**
 * A start after which others turn out to have gone on: the disk of whoever was the last active may
 * have been put back to an older state, with the proof of its clean stop, or two may have gone on
 * without each other. Only one history stays, and what the others held and acknowledged is named
 * before they follow.
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
 * Whether a member's copy ends in a term of which the start knew nothing, and which our history
 * lacks. The rest of a term that it did know is, with the node that wrote it, what a process that
 * crashed had alone, and was never acknowledged as held by others. With another node it may have
 * been acknowledged for being there.
 */
function wentOn(
  core: CoreState,
  { id, view }: Peer,
  startedWith: NonNullable<Tenure['startedWith']>,
): boolean {
  // Cheap first: this is asked with every input, histories may be long, and a standby's is our own.
  // Of two actives nobody has given way yet, nor has who follows the other one.
  if (view === undefined || view.role === 'standby' || view.role === 'active') return false
  if (view.follows?.heard === true && view.follows.id !== core.options.nodeId) return false
  const last = positionOf(view.copy)?.term
  if (last === undefined) return false
  const isKnown = startedWith.history.some((known) => sameTerm(known, last))
  if (isKnown && id === last.nodeId) return false
  return relate(core.copy, view.copy).kind === 'diverged'
}
