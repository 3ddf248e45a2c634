/**
 * The receiving side of a round: this node promises durably, cuts its old stream, and then reports
 * its copy, which stays frozen until the round ends.
 */
import { sameTerm, type Term } from '../history/position.js'
import { becomeDiscovering } from './roles.js'
import { abandonRound, isOverdue } from './round.js'
import { isFetching, ownFetchMoves } from './standing/progress.js'
import { activesHeard, hearsFollowed, viewOf } from './standing/views.js'
import { arm, awaitCandidate, persist, send, takeId } from './state/acts.js'
import { decide } from './state/explain.js'
import type { CoreMessage } from './state/messages.js'
import type { CoreState, Peer } from './state/state.js'

type Refusal = Extract<CoreMessage, { type: 'promise' }>['refused']

export function promiseRequested(core: CoreState, peer: Peer, term: Term): void {
  const { pledge } = core
  if (pledge !== undefined && sameTerm(pledge.term, term)) {
    answerPledge(core)
    return
  }
  // The other members continue without an answer. A refusal would block them for as long as this
  // node's disk.
  if (core.round !== undefined && isOverdue(core, core.round)) return
  const refused = refusal(core, peer, term)
  decide(core, 'promise', refused ?? 'given', { to: peer.id, epoch: term.epoch })
  if (refused !== undefined) {
    send(core, peer, { type: 'promise', term, refused, view: viewOf(core) })
    return
  }
  give(core, peer, term)
}

/**
 * Why this node does not promise; undefined when it does. Of two concurrent rounds the one with the
 * higher epoch wins, and of equal epochs the candidate that is first in takeover order. A round
 * whose fetch makes progress is not disturbed, because the next round would need the same data.
 */
function refusal(core: CoreState, peer: Peer, term: Term): Refusal {
  const { round, durable, pledge } = core
  if (core.role === 'active') return 'isActive'
  const pledged = pledge === undefined ? undefined : core.peers.get(pledge.candidate)
  // A next round of the same candidate may replace its fetch.
  if (pledged !== peer && isFetching(core, pledged)) return 'betterCandidate'
  if (hearsFollowed(core) || activesHeard(core).length > 0) return 'hearsActive'
  if (core.handover !== undefined) return 'betterCandidate'
  if (round !== undefined) {
    if (round.phase === 'opening' || round.kind === 'handover') return 'betterCandidate'
    if (ownFetchMoves(core, round)) return 'betterCandidate'
    if (round.term.epoch === term.epoch && core.index < peer.index) return 'betterCandidate'
    if (round.term.epoch === term.epoch) round.abandoned = `${peer.id} goes first`
  }
  const { promised } = durable
  const higher = promised !== undefined && promised.epoch >= term.epoch
  return higher && !sameTerm(promised, term) ? 'promisedHigher' : undefined
}

function give(core: CoreState, peer: Peer, term: Term): void {
  if (core.round !== undefined) abandonRound(core, `promised to ${peer.id}`)
  if (core.role !== 'discovering') becomeDiscovering(core, `promised epoch ${term.epoch}`)
  core.tookPart = true
  if (core.served?.declinedBy === peer.id) core.served = { ...core.served, declinedBy: undefined }
  const cutId = takeId(core)
  core.effects.push({ type: 'cutStream', id: cutId })
  const persistId = persist(core, { promised: term })
  core.pledge = { term, candidate: peer.id, persistId, cutId }
  arm(core, 'pledge', 2 * core.options.deadMs)
  awaitCandidate(core, peer.id)
}

/**
 * Sends the promise once it is durable and the old stream is cut, and again whenever it is
 * requested.
 */
export function answerPledge(core: CoreState): void {
  const { pledge } = core
  if (pledge === undefined || pledge.persistId !== undefined || pledge.cutId !== undefined) return
  const peer = core.peers.get(pledge.candidate)
  if (peer === undefined) return
  send(core, peer, { type: 'promise', term: pledge.term, refused: undefined, view: viewOf(core) })
}

/** Handles `persisted` and `cut` for the current promise. */
export function pledgeProgress(core: CoreState, id: number): void {
  const { pledge } = core
  if (pledge === undefined) return
  if (pledge.persistId === id) pledge.persistId = undefined
  else if (pledge.cutId === id) pledge.cutId = undefined
  else return
  answerPledge(core)
}
