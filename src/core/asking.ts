/**
 * After having been late: a node distrusts what it knew. An active asks whether it was replaced, and
 * accepts nothing until it knows; a candidate begins again; who discovers asks again.
 */
import { decide } from './explain.js'
import { cannotAnswer, dialTimeMs, heard, provenEnd } from './liveness.js'
import { newerActive } from './rivals.js'
import { askAgain, stepDown } from './roles.js'
import {
  arm,
  type CoreState,
  disarm,
  freeze,
  passed,
  peersOf,
  send,
  type Tenure,
  takeId,
  unfreeze,
} from './state.js'
import { viewOf } from './views.js'

/** Called with every input that came late, before it is taken in. */
export function afterLate(core: CoreState, lateMs: number): void {
  const { round } = core
  if (lateMs <= core.options.deadMs) return
  distrustEnds(core)
  if (core.role === 'active') askAfterLate(core, lateMs)
  else if (round?.phase === 'opening') round.lateMs = lateMs
  else if (round !== undefined) round.abandoned = 'this node was late'
  else if (core.role === 'discovering' && core.bootPersistId === undefined) askAgain(core)
}

/** Whoever was gone may have come back while we stood still, and may even be active by now. */
function distrustEnds(core: CoreState): void {
  for (const peer of peersOf(core)) {
    // It was not heard since it ended.
    if (provenEnd(peer)) peer.heardAtMs = undefined
    peer.gone = false
    peer.stopped = false
    peer.refused = false
  }
}

/** The active accepts nothing until it knows its place. */
export function askAfterLate(core: CoreState, lateMs: number): void {
  const { tenure } = core
  if (tenure === undefined) return
  decide(core, 'late', 'ask', { lateMs })
  freeze(core, 'late')
  tenure.asking = { queryId: takeId(core), answered: new Set(), sinceMs: core.nowMs }
  arm(core, 'asking', core.options.deadMs)
  askPeers(core, tenure)
}

/** The question of a late active; repeated with the heartbeat until it goes on. */
export function askPeers(core: CoreState, tenure: Tenure): void {
  if (tenure.asking === undefined) return
  const { queryId } = tenure.asking
  for (const peer of peersOf(core)) send(core, peer, { type: 'query', queryId, view: viewOf(core) })
}

/** True when it stepped down. */
export function checkAsking(core: CoreState, tenure: Tenure): boolean {
  const { asking } = tenure
  if (asking === undefined) return false
  const newer = newerActive(core, tenure.term)
  if (newer !== undefined) {
    stepDown(core, `was late, and ${newer} is active in a newer term`)
    return true
  }
  const open = peersOf(core).filter((peer) => !cannotAnswer(peer))
  const able = open.filter((peer) => peer.link || heard(core, peer))
  const allAnswered = able.every((peer) => asking.answered.has(peer.id))
  // A refused dial counts once there was time for another one: the first may be older than the pause.
  const nobodyThere = open.length === 0 && core.nowMs - asking.sinceMs >= dialTimeMs(core)
  const known = nobodyThere || (able.length > 0 && allAnswered && !roundAbove(core, tenure))
  if (!known && !passed(core, 'asking')) return false
  decide(core, 'late', 'goOn', { answered: [...asking.answered] })
  tenure.asking = undefined
  disarm(core, 'asking')
  unfreeze(core, 'late')
  return false
}

function roundAbove(core: CoreState, tenure: Tenure): boolean {
  return peersOf(core).some(
    (peer) => heard(core, peer) && (peer.view?.round?.epoch ?? 0) > tenure.term.epoch,
  )
}
