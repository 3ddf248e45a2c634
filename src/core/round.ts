/**
 * A round: the attempt of one candidate to become active. It cuts its old stream, promises its new
 * epoch durably, asks all in reach to do the same, takes over the freshest of the frozen copies,
 * and only then opens its term. Until that last step anything better ends it.
 */
import { assertInvariant } from '../errors.js'
import { compareFreshness, relate, sameTerm, type Term } from '../history/position.js'
import { askAgain, becomeActive } from './roles.js'
import { goesFirst, isFork, mayLead, mayLeaveOut, missingIn } from './round-missing.js'
import { copyAhead, isCandidate, ownStanding, provenBy, standings } from './standing/candidates.js'
import { giveUpKnown, mayGoWithout, outdated } from './standing/highest-known.js'
import { heard, heardIds } from './standing/liveness.js'
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

/** Ends the round; the next one waits longer each time, and not equally long on each node. */
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

/** Tells the giver of a handover that it failed, so that it need not wait for its deadline. */
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

/** All who can be asked have answered, or took longer than a silent member may. */
function checkAnswers(core: CoreState, round: Round): void {
  const pending = peersOf(core).filter((peer) => heard(core, peer) && !round.promises.has(peer.id))
  if (pending.length > 0 && !passed(core, 'round')) return
  disarm(core, 'round')
  for (const { id, view } of pending) {
    // Heard, ahead of us, and without an answer: nothing can be fetched from it that would stay
    // what it is.
    if (view !== undefined && compareFreshness(view.copy, core.copy) > 0) round.skipped.add(id)
  }
  checkMissing(core, round)
}

/** With every fetch the own journal may tell of another in-sync set. */
function checkMissing(core: CoreState, round: Round): void {
  round.missing = missingIn(core, round)
  const held = round.missing.filter((id) => !mayLeaveOut(core, round, id))
  if (held.length > 0) {
    holdFor(core, reasonToHold(round, held), held)
    abandonRound(core, `missing: ${held.join()}`)
  } else if (!holdWithOthers(core, round)) takeFreshest(core, round)
}

/**
 * What a member holds for may be told only with its promise, and whom we hear ourselves may not
 * have answered us.
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
  // As long as something comes, it is fetched from.
  if (core.copy.seq > round.sourceSeq || round.fetchedAtMs !== undefined)
    source.unfetchableSinceMs = undefined
  // A copy that cannot take it in says nothing of the source.
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
 * A member that has more than we and does not hand it over is like one that is silent: it is tried
 * for as long, and an order goes on without it. One that may take the role itself goes first.
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
 * The process that wrote the latest known term answered with its frozen copy, or is this one: there
 * is nothing later.
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
  // An equal one too: two terms of one epoch would leave nobody to say which of them is newer.
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
 * The opening goes on: it is not overdue while it does. Once it was, it stays so: the others may
 * have begun a round since without this node, and it looks at theirs before it serves.
 */
export function openingProgress(core: CoreState, term: Term): void {
  const { round } = core
  if (round?.phase !== 'opening' || !sameTerm(round.term, term) || isOverdue(core, round)) return
  arm(core, 'round', 2 * core.options.deadMs)
}

/** No promotable member in reach: acknowledgements by standbys have nobody to wait for. */
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
    // The term is in the journal, so the next attempt takes this node for its owner. From the round
    // on others may have served without it, as after a role that was given up.
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

/** Who goes first, or went first while the term was being opened. */
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

/** The disk takes so long to open the term that nobody should wait for it. */
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
