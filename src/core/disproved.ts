/**
 * A clean stop proves a copy to be the last one, unless the disk was put back to an older state since: nobody can tell
 * that before a member shows up that went on without it. Then the loss is named, before that member follows.
 */
import { relate, sameTerm, termsWithChanges } from '../replication/position.js'
import { decide } from './explain.js'
import { heard } from './liveness.js'
import { type CoreState, emit, type Peer, peersOf, type Tenure } from './state.js'
import { incidentOf } from './views.js'

export function checkProof(core: CoreState, tenure: Tenure): void {
  const { proved } = tenure
  if (proved === undefined) return
  const found = peersOf(core).filter(
    (peer) => !tenure.disprovedBy.has(peer.id) && heard(core, peer) && wentOn(core, peer, proved),
  )
  if (found.length === 0) return
  const missing = found.map(({ id }) => id)
  for (const id of missing) tenure.disprovedBy.add(id)
  decide(core, 'start.proof', 'disproved', { by: missing })
  emit(core, { name: 'possibleLoss', incident: incidentOf(core, tenure.term), missing })
}

/**
 * Whether a member has changes of a later term than the stop knew, which our history lacks. The rest of a term that the
 * stop did know is what a process that crashed had alone, and was never acknowledged.
 */
function wentOn(core: CoreState, { view }: Peer, proved: NonNullable<Tenure['proved']>): boolean {
  // Cheap first: this is asked with every input, histories may be long, and a standby's is our own.
  if (view === undefined || view.role === 'standby' || view.copy.seq === 0) return false
  const hasLater = termsWithChanges(view.copy).some(
    (term) => !proved.history.some((known) => sameTerm(known, term)),
  )
  return hasLater && relate(core.copy, view.copy).kind === 'diverged'
}
