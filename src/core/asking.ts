/**
 * What a node does after a pause in which it read no messages. An active asks the members whether
 * it was replaced and accepts no writes until it knows; a candidate ends its round, even while its
 * term is being opened; a node that looks for an active starts a new search.
 */
import type { Term } from '../history/position.js'
import { isNoSuccessor, newerActive } from './rivals.js'
import { askAgain, stepDown } from './roles.js'
import { cannotAnswer, dialTimeMs, provenEnd } from './standing/liveness.js'
import { viewOf } from './standing/views.js'
import { arm, disarm, freeze, passed, send, takeId, unfreeze } from './state/acts.js'
import { decide } from './state/explain.js'
import type { CoreMessage, PeerView } from './state/messages.js'
import { type Asking, type CoreState, type Peer, peersOf, type Tenure } from './state/state.js'

/** Called with every input that came late, before it is processed. */
export function afterLate(core: CoreState, lateMs: number): void {
  const { round } = core
  if (lateMs <= core.options.deadMs) return
  distrustEnds(core)
  if (core.role === 'active') askAfterLate(core, lateMs)
  else if (round !== undefined) round.abandoned = 'this node was late'
  else if (core.role === 'discovering' && core.bootPersistId === undefined) askAgain(core)
}

/**
 * Drops the proofs that members have ended, because they may have restarted during the pause, may
 * be active, and may no longer count on this node.
 */
function distrustEnds(core: CoreState): void {
  core.counted = undefined
  for (const peer of peersOf(core)) {
    // It has not been heard since its end.
    if (provenEnd(peer)) peer.heardAtMs = undefined
    peer.gone = false
    peer.stopped = false
    peer.refused = false
    peer.refusedSinceMs = undefined
  }
}

/** Freezes the active and asks all members for newer actives. */
export function askAfterLate(core: CoreState, lateMs: number): void {
  const { tenure } = core
  if (tenure === undefined) return
  decide(core, 'late', 'ask', { lateMs })
  freeze(core, 'late')
  tenure.asking = { queryId: takeId(core), answers: new Map(), sinceMs: core.nowMs }
  arm(core, 'asking', core.options.deadMs)
  askPeers(core)
}

/** Sends the query of a paused active, repeated with each heartbeat until it is settled. */
export function askPeers(core: CoreState): void {
  for (const peer of peersOf(core)) askPeer(core, peer)
}

/** Answers true when a query is outstanding. */
export function askPeer(core: CoreState, peer: Peer): boolean {
  const queryId = core.tenure?.asking?.queryId
  if (queryId === undefined) return false
  send(core, peer, { type: 'query', queryId, view: viewOf(core) })
  return true
}

export function answerReceived(
  core: CoreState,
  from: string,
  { queryId, view }: Extract<CoreMessage, { type: 'answer' }>,
): void {
  const asking = core.tenure?.asking
  if (asking?.queryId === queryId) asking.answers.set(from, { view, atMs: core.nowMs })
}

/**
 * Answers true when the active stepped down. A report of a newer active is true whenever it was
 * sent. That there is none follows only from answers to this query, because other messages may have
 * waited in a socket buffer during the pause.
 */
export function checkAsking(core: CoreState, tenure: Tenure): boolean {
  const { asking } = tenure
  if (asking === undefined) return false
  const answers = standingAnswers(core, asking)
  const newer = newerActive(core, tenure.term) ?? newerTold(core, tenure.term, answers)
  if (newer !== undefined) {
    stepDown(core, `was late, and ${newer} is active in a newer term`)
    return true
  }
  if (answers.some((view) => (view.round?.epoch ?? 0) > tenure.term.epoch)) return false
  // Connections often end during a pause, and one that is being restored may lead to a newer
  // active.
  const open = peersOf(core).filter((peer) => !cannotAnswer(peer))
  const allAnswered = open.every((peer) => asking.answers.has(peer.id))
  // A refused dial counts only after there was time for another one, because the first may date
  // from before the pause.
  const nobodyThere = open.length === 0 && core.nowMs - asking.sinceMs >= dialTimeMs(core)
  const known = nobodyThere || (open.length > 0 && allAnswered)
  if (!known && !passed(core, 'asking')) return false
  decide(core, 'late', 'goOn', { answered: [...asking.answers.keys()] })
  tenure.asking = undefined
  disarm(core, 'asking')
  unfreeze(core, 'late')
  return false
}

/**
 * The answers that are not older than `deadMs`. The query is repeated with each heartbeat, so a
 * member that stops answering no longer counts.
 */
function standingAnswers(core: CoreState, { answers }: Asking): PeerView[] {
  return [...answers.values()]
    .filter(({ atMs }) => core.nowMs - atMs < core.options.deadMs)
    .map(({ view }) => view)
}

/** The id of an active of a newer term that a member hears, even if this node does not. */
function newerTold(core: CoreState, own: Term, answers: readonly PeerView[]): string | undefined {
  for (const { follows } of answers) {
    if (follows?.heard !== true || follows.id === core.options.nodeId) continue
    if (follows.term.epoch > own.epoch && !isNoSuccessor(core, follows)) return follows.id
  }
  return undefined
}
