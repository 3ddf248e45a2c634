/**
 * A round is the attempt of one candidate to become active. The candidate cuts its old stream,
 * promises its new epoch durably, asks all members in reach for the same promise, fetches the
 * freshest of the frozen copies, and only then opens its term. Until then a better candidate or an
 * active ends the round.
 */
import { assertInvariant } from '../errors.js'
import { compareFreshness, relate, sameTerm, type Term } from '../history/position.js'
import { askAgain, becomeActive } from './roles.js'
import { goesFirst, isFork, mayLead, mayLeaveOut, missingIn } from './round-missing.js'
import { copyAhead, isCandidate, ownStanding, provenBy, standings } from './standing/candidates.js'
import { giveUpKnown, mayGoWithout, outdated } from './standing/highest-known.js'
import { dialTimeMs, heard, heardIds } from './standing/liveness.js'
import {
  heldByOthers,
  hold,
  holdFor,
  lackingAtStart,
  lackingReason,
  missingAtStart,
  missingReason,
  outdatedReason,
  triedLongEnough,
  unfetchedReason,
} from './standing/needed.js'
import { awaitsRefusal } from './standing/stand-ins.js'
import { endsKnown, lastOwner } from './standing/stands.js'
import { activesHeard, highestEpoch, incidentOf, nextTerm, viewOf } from './standing/views.js'
import { arm, disarm, emit, passed, persist, send, takeId } from './state/acts.js'
import { decide } from './state/explain.js'
import type { DurableFacts } from './state/facts.js'
import type { CoreMessage, PeerView } from './state/messages.js'
import { type CoreState, type Peer, peersOf, type Round } from './state/state.js'
import type { CoreInput } from './state/types.js'

type Known = NonNullable<DurableFacts['known']>

export function startRound(core: CoreState): void {
  begin(core, core.wasReplica ? 'takeOver' : 'coldStart', nextTerm(core), undefined)
}

export function begin(
  core: CoreState,
  kind: Round['kind'],
  term: Term,
  handover: Round['handover'],
): void {
  decide(core, 'round', 'begin', { kind, epoch: term.epoch, seq: core.copy.seq })
  const cutId = takeId(core)
  core.effects.push({ type: 'cutStream', id: cutId })
  const from = handover?.giver ?? core.followed?.id ?? lastOwner(core)
  core.round = {
    kind,
    term,
    phase: 'preparing',
    persistId: persist(core, { promised: term }),
    cutId,
    waitId: undefined,
    promises: new Map(),
    source: undefined,
    fetchedAtMs: undefined,
    sourceSeq: 0,
    skipped: new Set(),
    missing: [],
    from,
    handover,
    beganMs: core.nowMs,
    abandoned: undefined,
  }
  core.announce = true
}

/**
 * Ends the round. The delay before the next one grows with each attempt and differs between nodes.
 */
export function abandonRound(core: CoreState, why: string): void {
  const { heartbeatMs, deadMs } = core.options
  const delayMs = (heartbeatMs / 2) * 2 ** Math.min(core.attempts, 6) * (1 + core.index / 4)
  decide(core, 'round', 'abandoned', { why, epoch: core.round?.term.epoch, delayMs })
  refuseHandover(core, why)
  core.round = undefined
  core.attempts += 1
  disarm(core, 'round')
  arm(core, 'backoff', Math.min(delayMs, 4 * deadMs))
  askAgain(core)
}

export function checkRound(core: CoreState): void {
  const { round } = core
  if (round === undefined || round.phase === 'opening') return
  if (round.abandoned !== undefined) abandonRound(core, round.abandoned)
  else if (round.phase === 'preparing') checkPrepared(core, round)
  else if (round.phase === 'asking') checkAnswers(core, round)
}

function checkPrepared(core: CoreState, round: Round): void {
  if (round.persistId !== undefined || round.cutId !== undefined) return
  if (round.handover !== undefined) {
    if (positionFits(core, round.handover.seq)) askGate(core, round)
    else abandonRound(core, 'the copy is not at the position of the handover')
    return
  }
  round.phase = 'asking'
  arm(core, 'round', core.options.deadMs)
  for (const peer of peersOf(core)) {
    send(core, peer, { type: 'promiseRequest', term: round.term, view: viewOf(core) })
  }
  checkAnswers(core, round)
}

function positionFits(core: CoreState, seq: number): boolean {
  return core.copy.seq === seq && isCandidate(ownStanding(core))
}

/**
 * Tells the giver of a handover that it failed, so that the giver need not wait for its deadline.
 */
function refuseHandover(core: CoreState, reason: string): void {
  const offer = core.round?.handover
  const giver = core.peers.get(offer?.giver ?? '')
  if (offer !== undefined && giver !== undefined) {
    send(core, giver, { type: 'handoverRefused', from: offer.from, reason })
  }
}

export function promiseReceived(
  core: CoreState,
  from: string,
  message: Extract<CoreMessage, { type: 'promise' }>,
): void {
  const { round } = core
  if (round === undefined || round.phase !== 'asking' || !sameTerm(round.term, message.term)) return
  if (message.refused !== undefined) round.abandoned = `${from} refused: ${message.refused}`
  else round.promises.set(from, message.view)
}

/**
 * Continues once all members in reach have promised, or have taken longer than a silent member may,
 * and once the ends of all others are confirmed, for which one more dial is waited for.
 */
function checkAnswers(core: CoreState, round: Round): void {
  const pending = peersOf(core).filter((peer) => heard(core, peer) && !round.promises.has(peer.id))
  if (pending.length > 0 && !passed(core, 'round')) return
  if (core.nowMs - round.beganMs < dialTimeMs(core) && awaitsRefusal(core)) return
  disarm(core, 'round')
  for (const { id, view } of pending) {
    // The member is heard and has more, but did not promise, so its copy is not frozen and cannot
    // be fetched.
    if (view !== undefined && compareFreshness(view.copy, core.copy) > 0) round.skipped.add(id)
  }
  checkMissing(core, round)
}

/**
 * Checks for missing members again after every fetch, because the fetched journal may contain
 * another in-sync set.
 */
function checkMissing(core: CoreState, round: Round): void {
  round.missing = missingIn(core, round)
  const held = round.missing.filter((id) => !mayLeaveOut(core, round, id))
  if (held.length > 0) {
    holdFor(core, reasonToHold(round, held), held)
    abandonRound(core, `missing: ${held.join()}`)
  } else if (!holdWithOthers(core, round)) takeFreshest(core, round)
}

/**
 * Holds for the members that others hold for. A member may report them only with its promise, and a
 * member that this node hears may not have promised.
 */
function holdWithOthers(core: CoreState, { promises }: Round): boolean {
  const others = heldByOthers(core, promises)
  if (others.length === 0) return false
  hold(core, missingReason, others)
  abandonRound(core, `missing for others: ${others.join()}`)
  return true
}

function reasonToHold(round: Round, held: readonly string[]): string {
  if (held.some((id) => round.skipped.has(id))) return unfetchedReason
  return held.some((id) => round.promises.has(id)) ? lackingReason : missingReason
}

function takeFreshest(core: CoreState, round: Round): void {
  let best: { readonly id: string; readonly view: PeerView } | undefined
  for (const [id, view] of round.promises) {
    if (round.skipped.has(id)) continue
    if (isFork(core, view) && goesFirst(core, id, view)) {
      abandonRound(core, `${id} has the fresher history`)
      return
    }
    if (relate(core.copy, view.copy).kind !== 'behind') continue
    if (best === undefined || compareFreshness(view.copy, best.view.copy) > 0) best = { id, view }
  }
  if (best === undefined) askGate(core, round)
  else fetchFrom(core, round, best.id, best.view.copy.seq)
}

function fetchFrom(core: CoreState, round: Round, peer: string, seq: number): void {
  round.phase = 'fetching'
  round.source = peer
  round.fetchedAtMs = undefined
  round.sourceSeq = core.copy.seq
  round.waitId = takeId(core)
  decide(core, 'round.data', 'fetch', { peer, seq, own: core.copy.seq })
  core.effects.push({ type: 'fetch', id: round.waitId, peer, seq })
}

export function fetched(core: CoreState, input: Extract<CoreInput, { type: 'fetched' }>): void {
  const { round } = core
  if (round?.phase !== 'fetching' || round.waitId !== input.id) return
  const source = core.peers.get(round.source ?? '')
  assertInvariant(source !== undefined, 'a fetch has a source')
  if (input.ok) {
    source.unfetchableSinceMs = undefined
    checkMissing(core, round)
    return
  }
  const why = input.reason ?? 'unknown'
  // A source counts as usable as long as data arrives from it.
  if (core.copy.seq > round.sourceSeq || round.fetchedAtMs !== undefined)
    source.unfetchableSinceMs = undefined
  // A failure of this node's own copy says nothing about the source.
  if (isCandidate(ownStanding(core))) source.unfetchableSinceMs ??= core.nowMs
  if (mayPassOver(core, round, source)) {
    decide(core, 'round.data', 'passOver', { peer: source.id, why })
    round.skipped.add(source.id)
    checkMissing(core, round)
  } else {
    round.abandoned = `fetching from ${source.id} failed: ${why}`
  }
}

/**
 * Whether the round may go on without the additional changes of a member that does not hand them
 * over. Such a member is treated like a silent one: it is tried for as long, and an order of the
 * operator overrides it. If it may take the role itself, it goes first.
 */
function mayPassOver(core: CoreState, round: Round, source: Peer): boolean {
  const { id } = source
  if (source.unfetchableSinceMs === undefined) return false
  if (core.withoutPeers.has(id)) return true
  if (!triedLongEnough(core, source)) return false
  const view = round.promises.get(id)
  const leads = view !== undefined && mayLead(core, id, view)
  return !leads || !heard(core, source) || core.discovery?.excluded.has(id) === true
}

function askGate(core: CoreState, round: Round): void {
  const { known } = core.durable
  if (known !== undefined && outdated(core) && !isWrittenByNow(core, round, known)) {
    if (!mayGoWithout(core, known)) {
      if (round.skipped.size > 0) hold(core, outdatedReason, [known.term.nodeId])
      abandonRound(core, 'outdated')
      return
    }
    round.missing = [...new Set([...round.missing, ...otherThan(core, known.term.nodeId)])]
  }
  round.phase = 'gate'
  round.waitId = takeId(core)
  core.effects.push({ type: 'mayBecomeActive', id: round.waitId, epoch: round.term.epoch })
}

function otherThan(core: CoreState, id: string): string[] {
  return id === core.options.nodeId ? [] : [id]
}

/**
 * Whether the process that wrote the latest known term has promised with its frozen copy, or is
 * this one, so that nothing later exists.
 */
function isWrittenByNow(core: CoreState, round: Round, known: Known): boolean {
  const { nodeId, bootId } = core.options
  if (known.term.nodeId === nodeId && known.term.bootId === bootId) return true
  const view = round.promises.get(known.term.nodeId)
  return view !== undefined && endsKnown(known, view)
}

export function gateAnswered(core: CoreState, id: number, ok: boolean): void {
  const { round } = core
  if (round?.phase !== 'gate' || round.waitId !== id) return
  if (!ok) round.abandoned = 'the gate is closed'
  // An equal epoch counts as well, because of two terms with one epoch neither would be newer.
  else if (highestEpoch(core, round.term) >= round.term.epoch)
    round.abandoned = 'the epoch is taken'
  else openTerm(core, round)
}

function openTerm(core: CoreState, round: Round): void {
  round.phase = 'opening'
  arm(core, 'round', 2 * core.options.deadMs)
  core.effects.push({ type: 'openTerm', term: round.term, degraded: isAlone(core) })
}

/**
 * Opening the term makes progress, so it is not overdue. An opening that was overdue remains so,
 * because the other members may have begun a round without this node, which it checks before it
 * serves.
 */
export function openingProgress(core: CoreState, term: Term): void {
  const { round } = core
  if (round?.phase !== 'opening' || !sameTerm(round.term, term) || isOverdue(core, round)) return
  arm(core, 'round', 2 * core.options.deadMs)
}

/**
 * Whether no promotable member is in reach, so that acknowledgements by standbys are not waited
 * for.
 */
export function isAlone(core: CoreState): boolean {
  return !peersOf(core).some((peer) => peer.promotable && peer.link && heard(core, peer))
}

export function roundOpened(
  core: CoreState,
  input: Extract<CoreInput, { type: 'termOpened' }>,
): void {
  const { round } = core
  if (round?.phase !== 'opening' || !sameTerm(round.term, input.term)) return
  const why = input.ok
    ? (round.abandoned ?? replacedBy(core, round))
    : `opening the term failed: ${input.reason ?? 'unknown'}`
  if (why !== undefined) {
    // The term may be in the journal, so the next round takes this node for its owner. Since this
    // round began others may have served, as after giving up the role.
    core.leftOut = round.missing
    core.served = { atMs: round.beganMs, term: core.served?.term, hears: heardIds(core) }
    abandonRound(core, why)
    return
  }
  const { nodeId } = core.options
  const { term, missing } = round
  const incident = incidentOf(core, term)
  const absent = unprovenWithout(core, round)
  becomeActive(core, {
    term,
    reason: reasonOf(round),
    forks: round.skipped.size > 0,
    startedWith: round.kind === 'coldStart' ? core.copy : undefined,
    named: new Set([...missing, ...absent]),
  })
  giveUpKnown(core)
  if (round.kind === 'takeOver') {
    emit(core, { name: 'failover', incident, from: round.from ?? nodeId, term })
  }
  if (missing.length > 0) emit(core, { name: 'possibleLoss', incident, missing })
  if (absent.length > 0) emit(core, { name: 'unprovenStart', missing: absent })
}

/**
 * Why this node must not serve although its term is open: another member goes first, or did so
 * while the term was being opened.
 */
function replacedBy(core: CoreState, round: Round): string | undefined {
  const [active] = activesHeard(core)
  const from = round.handover?.from.epoch ?? 0
  if (active !== undefined && active.term.epoch >= from) return `${active.peer.id} is active`
  const ahead = round.skipped.size === 0 ? copyAhead(core, round.term) : undefined
  if (ahead !== undefined) return `the copy of ${ahead.id} is ahead`
  if (!isOverdue(core, round)) return undefined
  const other = peersOf(core).find((peer) => {
    const epoch = peer.view?.round?.epoch ?? 0
    return heard(core, peer) && epoch > round.term.epoch
  })
  return other === undefined ? undefined : `${other.id} goes on without this node`
}

/** Whether opening the term takes so long that the other members should not wait. */
export function isOverdue(core: CoreState, round: Round): boolean {
  return round.phase === 'opening' && passed(core, 'round')
}

function unprovenWithout(core: CoreState, round: Round): string[] {
  if (round.kind !== 'coldStart' || provenBy(standings(core), ownStanding(core))) return []
  return [...missingAtStart(core), ...lackingAtStart(core)]
}

function reasonOf(round: Round): string {
  if (round.kind === 'takeOver') return `took over from ${round.from ?? 'nobody'}`
  return round.kind === 'coldStart' ? 'no active was found' : `handed over by ${round.from}`
}
