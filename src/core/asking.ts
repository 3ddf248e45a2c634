/**
 * After having been late: a node distrusts what it knew. An active asks whether it was replaced,
 * and accepts nothing until it knows; a candidate begins again, also one whose term was being
 * opened; who discovers asks again.
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

/** Called with every input that came late, before it is taken in. */
export function afterLate(core: CoreState, lateMs: number): void {
  const { round } = core
  if (lateMs <= core.options.deadMs) return
  distrustEnds(core)
  if (core.role === 'active') askAfterLate(core, lateMs)
  else if (round !== undefined) round.abandoned = 'this node was late'
  else if (core.role === 'discovering' && core.bootPersistId === undefined) askAgain(core)
}

/**
 * Whoever was gone may have come back while we stood still, may even be active by now, and may
 * count on us no more.
 */
function distrustEnds(core: CoreState): void {
  core.counted = undefined
  for (const peer of peersOf(core)) {
    // It was not heard since it ended.
    if (provenEnd(peer)) peer.heardAtMs = undefined
    peer.gone = false
    peer.stopped = false
    peer.refused = false
    peer.refusedSinceMs = undefined
  }
}

/** The active accepts nothing until it knows its place. */
export function askAfterLate(core: CoreState, lateMs: number): void {
  const { tenure } = core
  if (tenure === undefined) return
  decide(core, 'late', 'ask', { lateMs })
  freeze(core, 'late')
  tenure.asking = { queryId: takeId(core), answers: new Map(), sinceMs: core.nowMs }
  arm(core, 'asking', core.options.deadMs)
  askPeers(core)
}

/** The question of a late active; repeated with the heartbeat until it goes on. */
export function askPeers(core: CoreState): void {
  for (const peer of peersOf(core)) askPeer(core, peer)
}

/** True when there is a question. */
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
 * True when it stepped down. That somebody became active is true whenever it was said. That nobody
 * did only answers to this very question can say: whatever else arrives now may have waited in a
 * socket while this node stood still.
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
  // Connections end during a pause: one to be made again may lead to whoever was promoted
  // meanwhile.
  const open = peersOf(core).filter((peer) => !cannotAnswer(peer))
  const allAnswered = open.every((peer) => asking.answers.has(peer.id))
  // A refused dial counts once there was time for another one: the first may be older than the
  // pause.
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
 * The question is repeated with each heartbeat: who does not answer any more binds nobody after
 * `deadMs`.
 */
function standingAnswers(core: CoreState, { answers }: Asking): PeerView[] {
  return [...answers.values()]
    .filter(({ atMs }) => core.nowMs - atMs < core.options.deadMs)
    .map(({ view }) => view)
}

/** An active of a newer term that a member hears, whatever we heard of that one ourselves. */
function newerTold(core: CoreState, own: Term, answers: readonly PeerView[]): string | undefined {
  for (const { follows } of answers) {
    if (follows?.heard !== true || follows.id === core.options.nodeId) continue
    if (follows.term.epoch > own.epoch && !isNoSuccessor(core, follows)) return follows.id
  }
  return undefined
}
