/**
 * The search for an active, and the decision to become one. The rules in their order: follow an
 * active that is heard; leave an active alone that other members hear; wait for members whose data
 * may be needed; let the best candidate take over.
 */
import { compareFreshness, relate, sameTerm, type Term } from '../history/position.js'
import { follow } from './following.js'
import { checkRound, startRound } from './round.js'
import {
  awaitsDials,
  bestCandidate,
  isCandidate,
  longestOnLine,
  ownStanding,
  provenBy,
  type Standing,
  stampedBy,
  standings,
} from './standing/candidates.js'
import { covers, learnRelayed, mayGoWithout } from './standing/highest-known.js'
import { cannotAnswer, heard, isLate } from './standing/liveness.js'
import {
  heldByOthers,
  hold,
  holdFor,
  lackingReason,
  missingAtStart,
  missingReason,
  outdatedReason,
  silentNeeded,
  triedLongEnough,
} from './standing/needed.js'
import { isFetching } from './standing/progress.js'
import { endsKnown } from './standing/stands.js'
import { holdForJoin, holdForRefusing, refusingMembers } from './standing/start-hold.js'
import { type ActiveSeen, activesHeard } from './standing/views.js'
import { arm, awaitCandidate, disarm, emitOnce, passed, running } from './state/acts.js'
import { decide } from './state/explain.js'
import { type CoreState, type Discovery, type Peer, peersOf } from './state/state.js'

export function checkDiscovery(core: CoreState): void {
  const { discovery } = core
  if (core.role !== 'discovering' || discovery === undefined) return
  if (core.bootPersistId !== undefined || core.handover !== undefined) return
  if (core.stopping !== undefined) return
  if (core.round !== undefined) {
    if (core.round.phase !== 'opening') checkRoundAgainstActives(core)
    checkRound(core)
    return
  }
  // First, because an active with a term below the promise is followed only after the promise has
  // ended.
  const pledged = !pledgeEnded(core)
  if (followActive(core) || pledged) return
  noteComplete(core, discovery)
  if (!discovery.complete || leaveToOthers(core)) return
  choose(core, discovery)
}

/** Rule (a): follows an active that is heard, or waits for it. Answers true when there is one. */
function followActive(core: CoreState): boolean {
  const [active] = activesHeard(core)
  if (active === undefined) return false
  const why = notYet(core, active)
  if (why === undefined) follow(core, active.peer.id, active.term)
  else decide(core, 'discovery.active', 'wait', { active: active.peer.id, why })
  return true
}

/**
 * Why an active is not followed yet. One whose copy is behind steps down when it sees this node's
 * view; one whose term is below this node's promise opens a new term above it.
 */
function notYet(core: CoreState, active: ActiveSeen): string | undefined {
  const { promised } = core.durable
  if (promised !== undefined && promised.epoch >= active.term.epoch) {
    if (!sameTerm(promised, active.term)) return 'its term is not above the promised one'
  }
  const copy = active.peer.view?.copy
  if (copy === undefined || relate(core.copy, copy).kind !== 'ahead') return undefined
  // The active made these changes itself, so only its view is older than this copy.
  return stampedBy(core.copy, active.term) ? undefined : 'its copy is behind'
}

/** Ends this node's round when an active is heard again and the term is not being opened yet. */
function checkRoundAgainstActives(core: CoreState): void {
  const round = core.round
  if (round === undefined) return
  const [active] = activesHeard(core)
  if (active !== undefined && active.term.epoch >= (round.handover?.from.epoch ?? 0)) {
    round.abandoned = `${active.peer.id} is active`
  } else if (round.handover === undefined && relayedActives(core).length > 0) {
    round.abandoned = 'others hear the active'
  } else if (round.kind === 'coldStart' && refusingMembers(core).length > 0) {
    round.abandoned = 'a member answers with a refusal'
  }
}

/**
 * Whether the promise to another candidate has ended. It holds until the candidate is active, gives
 * up, falls silent, or takes too long; a fetch that makes progress may take any time.
 */
function pledgeEnded(core: CoreState): boolean {
  const { pledge } = core
  if (pledge === undefined) return true
  const candidate = core.peers.get(pledge.candidate)
  const opened = candidate?.view?.activeTerm
  if (opened !== undefined && sameTerm(opened, pledge.term)) return true
  const round = candidate?.view?.round
  const under = round !== undefined && sameTerm(round, pledge.term)
  const silent = candidate === undefined || !heard(core, candidate)
  if (under && !silent && (!passed(core, 'pledge') || isFetching(core, candidate))) return false
  decide(core, 'pledge', 'ended', { candidate: pledge.candidate, silent })
  core.pledge = undefined
  disarm(core, 'pledge')
  core.announce = true
  return true
}

function noteComplete(core: CoreState, discovery: Discovery): void {
  if (discovery.complete) return
  const waiting = peersOf(core).filter(
    (peer) => !discovery.answered.has(peer.id) && mayAnswer(core, peer),
  )
  if (waiting.length > 0 && !passed(core, 'discovery')) return
  discovery.complete = true
  decide(core, 'discovery', 'complete', { silent: waiting.map((peer) => peer.id) })
}

/**
 * Whether an answer may still arrive. A member that fell silent gets little more than a heartbeat:
 * if it is alive it answers at once, and if it is frozen or cut off there is no point in waiting.
 * Nothing is known of a member that was never heard, so it gets the whole search.
 */
function mayAnswer(core: CoreState, peer: Peer): boolean {
  if (cannotAnswer(peer)) return false
  return peer.heardAtMs === undefined || heard(core, peer) || running(core, 'silent')
}

/** Peers that hear an active which this node does not hear, with that active. */
function relayedActives(
  core: CoreState,
): { readonly by: Peer; readonly id: string; readonly term: Term }[] {
  const lowest = core.followed?.term.epoch ?? 0
  const found: { readonly by: Peer; readonly id: string; readonly term: Term }[] = []
  for (const by of peersOf(core)) {
    const follows = by.view?.follows
    if (follows === undefined || !heard(core, by) || by.view?.late) continue
    if (!follows.heard || follows.id === core.options.nodeId) continue
    if (follows.term.epoch < lowest) continue
    // In this search the member itself has answered that it is not active, so the reports of others
    // are older.
    const active = core.peers.get(follows.id)
    const answered = core.discovery?.answered.has(follows.id) ?? false
    if (answered && active !== undefined && heard(core, active)) continue
    found.push({ by, id: follows.id, term: follows.term })
  }
  return found
}

/**
 * Rule (b): leaves a member alone that others hear as active, even if this node does not hear it.
 */
function leaveToOthers(core: CoreState): boolean {
  const relayed = relayedActives(core)
  const first = relayed[0]
  if (first === undefined) return false
  // A view from before this search may be older than the loss of the active. This node still waits
  // for its sender.
  const heardBy = relayed
    .filter((one) => one.id === first.id && spokeSince(core, one.by))
    .map((one) => one.by.id)
  if (heardBy.length === 0) {
    decide(core, 'takeover.ask', 'wait', { for: relayed.map((one) => one.by.id) })
    return true
  }
  decide(core, 'takeover.ask', 'othersHearTheActive', { active: first.id, heardBy })
  doubtSet(core)
  const key = `unreachable ${first.id} ${first.term.epoch}`
  emitOnce(core, key, { name: 'activeUnreachable', active: first.id, heardBy })
  for (const { by } of relayed) {
    learnRelayed(core, by.view?.role === 'standby' ? by.view.copy : undefined)
  }
  return true
}

/**
 * Doubts the in-sync set after `degradeAfterMs`, when the active may have removed this node from
 * the set.
 */
function doubtSet(core: CoreState): void {
  if (passed(core, 'doubt')) core.setDoubted = true
  else if (!running(core, 'doubt')) arm(core, 'doubt', core.options.degradeAfterMs / 2)
}

function spokeSince(core: CoreState, peer: Peer): boolean {
  const beganMs = (core.timers.get('discovery') ?? 0) - core.options.discoveryMs
  return (peer.heardAtMs ?? 0) > beganMs
}

/** Rule (c): the best candidate takes over once no other member has to be waited for. */
function choose(core: CoreState, discovery: Discovery): void {
  core.holdsFor = []
  const all = standings(core)
  const best = bestCandidate(all, discovery.excluded, orderOf(core))
  if (isLate(core)) return
  if (awaitOtherRound(core) || holdForJoin(core, best)) return
  if (awaitStartup(core, all, best) || holdForRefusing(core) || awaitDials(core, best)) return
  if (best === undefined) {
    hold(core, 'no member in reach may be promoted', [])
    return
  }
  if (!knowsEnough(core, all, best)) return
  if (best.id !== core.options.nodeId) {
    awaitBetter(core, discovery, best)
    return
  }
  discovery.waitFor = undefined
  const proven = provenBy(all, best)
  const silent = silentNeeded(core, proven)
  const others = heldByOthers(core)
  if (silent.wait.length > 0) {
    decide(core, 'takeover.needed', 'wait', { silent: silent.wait })
  } else if (silent.hold.length > 0) {
    holdFor(core, reasonToHold(core, silent.hold), silent.hold)
  } else if (others.length > 0) {
    hold(core, missingReason, others)
  } else if (!running(core, 'backoff')) {
    startRound(core)
  }
}

function reasonToHold(core: CoreState, ids: readonly string[]): string {
  const allHeard = ids.every((id) => {
    const peer = core.peers.get(id)
    return peer !== undefined && heard(core, peer)
  })
  return allHeard ? lackingReason : missingReason
}

/** The ranking of candidates: `list` only as long as the first listed can fetch what it lacks. */
function orderOf(core: CoreState): 'freshest' | 'list' {
  const unfetched = peersOf(core).some((peer) => peer.promotable && triedLongEnough(core, peer))
  return unfetched ? 'freshest' : core.options.order
}

/**
 * Waits for the round of another node as long as a promise to it would last, and while its fetch
 * makes progress.
 */
function awaitOtherRound(core: CoreState): boolean {
  const term = peersOf(core)
    .filter((peer) => heard(core, peer))
    .map((peer) => peer.view?.round)
    .find((round) => round !== undefined && round.nodeId !== core.options.nodeId)
  if (term === undefined) {
    core.otherRound = undefined
    disarm(core, 'otherRound')
    return false
  }
  if (core.otherRound === undefined || !sameTerm(core.otherRound, term)) {
    core.otherRound = term
    arm(core, 'otherRound', 2 * core.options.deadMs)
  }
  const wait = running(core, 'otherRound') || isFetching(core, core.peers.get(term.nodeId))
  decide(core, 'takeover.otherRound', wait ? 'wait' : 'ignore', { term })
  return wait
}

/**
 * A cold start without proof waits for the missing members. The proof is the clean stop of the last
 * active, if no reachable copy is ahead of it or forked from it.
 */
function awaitStartup(
  core: CoreState,
  all: readonly Standing[],
  best: Standing | undefined,
): boolean {
  if (core.wasReplica || !running(core, 'startup')) return false
  const missing = missingAtStart(core)
  if (missing.length === 0 || (best !== undefined && provenBy(all, best))) return false
  decide(core, 'start', 'wait', { missing })
  const forMs = Math.ceil((core.timers.get('startup') ?? core.nowMs) - core.nowMs)
  emitOnce(core, `waiting ${missing.join()}`, { name: 'waiting', missing, forMs })
  return true
}

/**
 * At a cold start it is not known yet which members others can dial; a node that no member can dial
 * is the last choice.
 */
function awaitDials(core: CoreState, best: Standing | undefined): boolean {
  if (core.wasReplica || best?.id !== core.options.nodeId) return false
  if (!awaitsDials(core) || !running(core, 'discovery')) return false
  decide(core, 'start', 'awaitDials', {})
  return true
}

/** Whether the copies in reach cover every position that any member in reach knows of. */
function knowsEnough(core: CoreState, all: readonly Standing[], best: Standing): boolean {
  const copy = longestOnLine(all, best.copy)
  const lacking = all.find((one) => one.known !== undefined && !holdsKnown(core, one, copy))
  if (lacking?.known === undefined) return true
  const { term } = lacking.known
  emitOnce(core, `outdated ${term.epoch} ${term.nodeId}`, { name: 'outdated', known: term })
  if (mayGoWithout(core, lacking.known)) {
    decide(core, 'outdated', 'allowed', { known: lacking.known })
    return true
  }
  hold(core, outdatedReason, [term.nodeId])
  return false
}

function holdsKnown(core: CoreState, one: Standing, copy: Standing['copy']): boolean {
  const { known } = one
  if (known === undefined || covers(copy, known)) return true
  // The process that wrote that term is in reach, so its copy has everything of that term.
  const { nodeId, bootId } = known.term
  if (nodeId === core.options.nodeId && bootId === core.options.bootId) {
    return compareFreshness(copy, core.copy) >= 0
  }
  const peer = core.peers.get(nodeId)
  if (peer?.view === undefined || !heard(core, peer)) return false
  return endsKnown(known, peer.view) && compareFreshness(copy, peer.view.copy) >= 0
}

/** Gives a better candidate `deadMs` to act, and then excludes it. */
function awaitBetter(core: CoreState, discovery: Discovery, best: Standing): void {
  awaitCandidate(core, best.id)
  if (!passed(core, 'wait')) {
    decide(core, 'takeover.candidate', 'wait', { best: best.id, seq: best.copy.seq })
    return
  }
  discovery.waitFor = undefined
  if (!isCandidate(ownStanding(core))) return
  discovery.excluded.add(best.id)
  decide(core, 'takeover.candidate', 'passOver', { best: best.id })
}
