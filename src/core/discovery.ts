/**
 * Looking for an active, and deciding to become one. The rules, in this order: follow an active
 * that is heard; leave alone an active that others hear; wait for those whose data may be needed;
 * let the best candidate go.
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
  // Before anything else: an active below the promise waits for the promise to be over.
  const pledged = !pledgeEnded(core)
  if (followActive(core) || pledged) return
  noteComplete(core, discovery)
  if (!discovery.complete || leaveToOthers(core)) return
  choose(core, discovery)
}

/** Rule (a): an active that is heard is followed, or waited for; true when there is one. */
function followActive(core: CoreState): boolean {
  const [active] = activesHeard(core)
  if (active === undefined) return false
  const why = notYet(core, active)
  if (why === undefined) follow(core, active.peer.id, active.term)
  else decide(core, 'discovery.active', 'wait', { active: active.peer.id, why })
  return true
}

/**
 * Why an active is not followed yet. One that is behind us steps down when it learns so from our
 * view; one whose term is below our promise opens a new one above it.
 */
function notYet(core: CoreState, active: ActiveSeen): string | undefined {
  const { promised } = core.durable
  if (promised !== undefined && promised.epoch >= active.term.epoch) {
    if (!sameTerm(promised, active.term)) return 'its term is not above the promised one'
  }
  const copy = active.peer.view?.copy
  if (copy === undefined || relate(core.copy, copy).kind !== 'ahead') return undefined
  // Changes of its own tenure came from itself: then its view is only older than our copy.
  return stampedBy(core.copy, active.term) ? undefined : 'its copy is behind'
}

/** An active that is heard again ends our attempt, as long as our term is not being opened. */
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
 * A promise that was given holds us back until its candidate is active, gives up, falls silent, or
 * takes too long; a fetch that gets on may take as long as it likes.
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
 * One that was heard and fell silent gets little more than a heartbeat to answer: if it is back, it
 * answers at once, and if it is frozen or cut off, there is nothing to wait for. Of one that was
 * never heard nothing is known yet.
 */
function mayAnswer(core: CoreState, peer: Peer): boolean {
  if (cannotAnswer(peer)) return false
  return peer.heardAtMs === undefined || heard(core, peer) || running(core, 'silent')
}

/** Peers that hear an active which we do not, with that active. */
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
    // It tells us itself that it is not active, and not in words from before this search: what
    // others saw is older.
    const active = core.peers.get(follows.id)
    const answered = core.discovery?.answered.has(follows.id) ?? false
    if (answered && active !== undefined && heard(core, active)) continue
    found.push({ by, id: follows.id, term: follows.term })
  }
  return found
}

/** Rule (b): whoever is heard by others as active is left alone, whatever we hear ourselves. */
function leaveToOthers(core: CoreState): boolean {
  const relayed = relayedActives(core)
  const first = relayed[0]
  if (first === undefined) return false
  // A view from before this search may only be older than the loss; its owner is waited for all the
  // same.
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
 * The active takes a silent standby out of the set after `degradeAfterMs`, and then does without
 * it.
 */
function doubtSet(core: CoreState): void {
  if (passed(core, 'doubt')) core.setDoubted = true
  else if (!running(core, 'doubt')) arm(core, 'doubt', core.options.degradeAfterMs / 2)
}

function spokeSince(core: CoreState, peer: Peer): boolean {
  const beganMs = (core.timers.get('discovery') ?? 0) - core.options.discoveryMs
  return (peer.heardAtMs ?? 0) > beganMs
}

/** Rule (c): the best candidate goes, once nobody has to be waited for. */
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

/** The first listed goes first as long as it can fetch what it lacks; else whoever has it does. */
function orderOf(core: CoreState): 'freshest' | 'list' {
  const unfetched = peersOf(core).some((peer) => peer.promotable && triedLongEnough(core, peer))
  return unfetched ? 'freshest' : core.options.order
}

/**
 * Another node's round is let finish, for as long as a promise to it would hold, and while it gets
 * on with its fetch.
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
 * A cold start that is not proven waits for the members that are missing. Proof is the clean stop
 * of the last active, as long as nothing in reach is ahead of it or forked from it.
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
 * At a cold start nobody knows yet whom the others can dial; one that nobody can is the last
 * choice.
 */
function awaitDials(core: CoreState, best: Standing | undefined): boolean {
  if (core.wasReplica || best?.id !== core.options.nodeId) return false
  if (!awaitsDials(core) || !running(core, 'discovery')) return false
  decide(core, 'start', 'awaitDials', {})
  return true
}

/** Whether what can be gathered covers every position that anybody in reach has heard of. */
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
  // The process that wrote that term is in reach, so its copy is the latest that there is of it.
  const { nodeId, bootId } = known.term
  if (nodeId === core.options.nodeId && bootId === core.options.bootId) {
    return compareFreshness(copy, core.copy) >= 0
  }
  const peer = core.peers.get(nodeId)
  if (peer?.view === undefined || !heard(core, peer)) return false
  return endsKnown(known, peer.view) && compareFreshness(copy, peer.view.copy) >= 0
}

/** A better candidate is given `deadMs` to do something, and is passed over then. */
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
