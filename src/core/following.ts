/**
 * Following an active, as a restoring node or a standby. A node that hears its active never starts
 * a takeover.
 */
import { sameTerm, type Term } from '../history/position.js'
import { becomeDiscovering, becomeRestoring, becomeStandby, trustSet } from './roles.js'
import { settleKnown } from './standing/highest-known.js'
import { heard } from './standing/liveness.js'
import { hearsFollowed } from './standing/views.js'
import { arm, disarm, passed, persist } from './state/acts.js'
import { decide } from './state/explain.js'
import type { CoreState, Following } from './state/state.js'
import type { CoreInput } from './state/types.js'

/**
 * Starts to follow. The term is promised durably first, so that older streams are refused from then
 * on.
 */
export function follow(core: CoreState, id: string, term: Term): void {
  decide(core, 'follow', id, { epoch: term.epoch })
  becomeRestoring(core, id, term, promise(core, term))
  startStream(core)
}

function promise(core: CoreState, term: Term): number | undefined {
  const { promised } = core.durable
  // An earlier promise of this term may still be on its way to the disk.
  if (promised !== undefined && sameTerm(promised, term)) return core.promisePersistId
  return persist(core, { promised: term })
}

function startStream(core: CoreState): void {
  const { following } = core
  if (following === undefined || following.persistId !== undefined) return
  core.effects.push({ type: 'follow', peer: following.id, term: following.term })
}

export function followPersisted(core: CoreState, id: number): void {
  if (core.following?.persistId !== id) return
  core.following.persistId = undefined
  startStream(core)
}

/**
 * Takes in a report of the shell about the stream. Reports of an earlier term are late and are
 * ignored.
 */
export function followingReport(
  core: CoreState,
  input: Extract<CoreInput, { type: 'following' }>,
): void {
  const { following } = core
  if (following === undefined || !sameTerm(following.term, input.term)) return
  if (following.persistId !== undefined) return
  if (input.state === 'complete') {
    core.completedTerm = following.term
    following.attempts = 0
    disarm(core, 'refollow')
    settleKnown(core)
    trustSet(core)
    if (core.role === 'restoring') becomeStandby(core)
  } else if (input.state === 'started') {
    const restores = input.restoring === true && core.role === 'standby'
    if (restores) becomeRestoring(core, following.id, following.term)
  } else {
    retryLater(core, following, input.state, input.reason)
  }
}

/**
 * A standby whose stream breaks remains a standby, because it had caught up; its copy facts show
 * the lost stream.
 */
function retryLater(
  core: CoreState,
  following: Following,
  state: string,
  reason: string | undefined,
): void {
  const { heartbeatMs, deadMs } = core.options
  const delayMs = Math.min(heartbeatMs * 2 ** Math.min(following.attempts, 10), deadMs)
  following.attempts += 1
  arm(core, 'refollow', delayMs)
  decide(core, 'follow.retry', state, { active: following.id, reason, delayMs })
}

export function checkFollowing(core: CoreState): void {
  const { following } = core
  if (following === undefined) return
  const peer = core.peers.get(following.id)
  if (peer === undefined || !heard(core, peer)) {
    const how = peer?.stopped ? 'stopped' : peer?.gone ? 'gone' : 'silent'
    becomeDiscovering(core, `the active ${following.id} is ${how}`)
    return
  }
  const term = peer.view?.activeTerm
  if (term === undefined) {
    becomeDiscovering(core, `${following.id} is not active any more`)
  } else if (!hearsFollowed(core)) {
    followNewTerm(core, following, term)
  } else if (passed(core, 'refollow')) {
    disarm(core, 'refollow')
    startStream(core)
  }
}

/** Follows the new term of the same active, without a change of role. */
function followNewTerm(core: CoreState, following: Following, term: Term): void {
  const { promised } = core.durable
  const blocked =
    promised !== undefined && promised.epoch >= term.epoch && !sameTerm(promised, term)
  if (blocked) {
    becomeDiscovering(core, `${following.id} is active in a term below the promised one`)
    return
  }
  decide(core, 'follow.newTerm', following.id, { epoch: term.epoch })
  core.followed = { id: following.id, term }
  core.following = { id: following.id, term, persistId: promise(core, term), attempts: 0 }
  disarm(core, 'refollow')
  startStream(core)
}
