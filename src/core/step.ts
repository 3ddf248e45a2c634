/**
 * The entry point of the core. `step(state, input)` changes the given state and returns the effects
 * in the order in which they have to be carried out: it advances the time, then handles a changed
 * copy, then the input, and after each runs all rules.
 */
import { assertInvariant } from '../errors.js'
import { checkActive, reopenPersisted, termReopened } from './active.js'
import { afterLate, answerReceived, askPeer, askPeers } from './asking.js'
import { checkDiscovery } from './discovery.js'
import { checkFollowing, followingReport, followPersisted } from './following.js'
import { pledgeProgress, promiseRequested } from './pledge.js'
import { checkRedials } from './redial.js'
import { becomeDiscovering, stepDown } from './roles.js'
import { fetched, gateAnswered, openingProgress, promiseReceived, roundOpened } from './round.js'
import { learnKnown, settleKnown } from './standing/highest-known.js'
import { noteLeftEmpty } from './standing/left-empty.js'
import {
  advance,
  dialFailed,
  linkDown,
  linkUp,
  noteHeard,
  refusal,
  reportPeers,
} from './standing/liveness.js'
import { fetchProgressed, noteProgress } from './standing/progress.js'
import { noteCounted } from './standing/stand-ins.js'
import { noteReached } from './standing/stands.js'
import { viewOf } from './standing/views.js'
import { arm, commandDone, disarm, persist, send } from './state/acts.js'
import { type CopyFacts, sameFacts } from './state/facts.js'
import type { CoreMessage } from './state/messages.js'
import { type CoreState, type Peer, peersOf } from './state/state.js'
import type { CoreEffect, CoreInput } from './state/types.js'
import { checkStop, stopCommand, stopDrained, stopPersisted } from './stop.js'
import {
  checkHandover,
  handoverDrained,
  handoverPersisted,
  handoverReceived,
  handoverRefused,
  repeatOffer,
  switchoverCommand,
} from './switchover.js'

export { viewOf } from './standing/views.js'
export { createCore } from './state/create.js'
export { explain } from './state/explain.js'
export { nextDueMs } from './state/next-deadline.js'
export type { CoreState } from './state/state.js'

/** Processes one input. The returned effects have to be carried out in their order. */
export function step(core: CoreState, input: CoreInput): CoreEffect[] {
  core.effects = []
  const lateMs = advance(core, input)
  if (lateMs > 0) afterLate(core, lateMs)
  takeCopy(core, input.copy)
  take(core, input)
  if (core.started) {
    settle(core)
    beat(core, input.type === 'message')
    if (input.type === 'tick' && input.due === true) checkRedials(core)
  }
  return core.effects
}

/** Handles a changed copy before the input that reports it, because the change came first. */
function takeCopy(core: CoreState, copy: CopyFacts | undefined): void {
  const before = core.copy
  if (!core.started || copy === undefined || sameFacts(copy, before)) return
  core.copy = copy
  noteLeftEmpty(core, before)
  settleKnown(core)
  settle(core)
  beat(core, false)
}

/**
 * Runs the rules until the role no longer changes, because the loss of the active may lead to a
 * takeover in the same step.
 */
function settle(core: CoreState): void {
  reportPeers(core)
  for (let rounds = 0; core.started; rounds += 1) {
    assertInvariant(rounds < 8, 'the roles change without an end')
    const before = core.role
    if (core.bootPersistId === undefined) learnKnown(core)
    checkFollowing(core)
    checkActive(core)
    checkHandover(core)
    checkStop(core)
    checkDiscovery(core)
    if (core.role === before) return
  }
}

function take(core: CoreState, input: CoreInput): void {
  switch (input.type) {
    case 'start':
      start(core, input)
      break
    case 'tick':
      break
    case 'message':
      takeMessage(core, input.from, input.message)
      break
    case 'linkUp':
    case 'linkDown':
    case 'dialFailed':
    case 'refusal':
      takeLink(core, input)
      break
    case 'command':
      takeCommand(core, input)
      break
    default:
      if (core.started) takeProgress(core, input)
  }
}

function start(core: CoreState, input: Extract<CoreInput, { type: 'start' }>): void {
  assertInvariant(core.role === 'stopped' && !core.started, 'a core starts once')
  core.started = true
  core.copy = input.copy
  core.previousStop = input.durable.lastStop
  core.durable = input.durable
  becomeDiscovering(core, 'started')
  core.bootPersistId = persist(core, { lastStop: 'crashed' })
}

type LinkInput = Extract<CoreInput, { type: 'linkUp' | 'linkDown' | 'dialFailed' | 'refusal' }>

function takeLink(core: CoreState, input: LinkInput): void {
  const peer = core.peers.get(input.peer)
  if (peer === undefined) return
  switch (input.type) {
    case 'linkDown':
      return linkDown(core, peer, input.cause, input.accepted ?? false)
    case 'dialFailed':
      return dialFailed(core, peer, input.cause, input.reason ?? 'no reason given')
    case 'refusal':
      return refusal(core, peer, input.reason, false)
    case 'linkUp':
      linkUp(core, peer, input.bootId, input.accepted ?? false)
      if (core.started) greet(core, peer)
  }
}

/**
 * Sends the first message on a new connection, so that the peer need not wait for the next
 * heartbeat.
 */
function greet(core: CoreState, peer: Peer): void {
  if (peer.owedQueryId !== undefined) {
    send(core, peer, { type: 'answer', queryId: peer.owedQueryId, view: viewOf(core) })
    peer.owedQueryId = undefined
  }
  if (!askPeer(core, peer)) speak(core, peer)
}

function takeMessage(core: CoreState, from: string, message: CoreMessage): void {
  const peer = core.peers.get(from)
  if (peer === undefined || !core.started) return
  if ('view' in message) {
    noteProgress(core, peer, message.view)
    noteReached(core, peer, message.view)
    noteCounted(core, peer, message.view)
  }
  noteHeard(core, peer, 'view' in message ? message.view : undefined)
  switch (message.type) {
    case 'heartbeat':
      break
    case 'query':
      if (!peer.link) peer.owedQueryId = message.queryId
      send(core, peer, { type: 'answer', queryId: message.queryId, view: viewOf(core) })
      break
    case 'answer':
      if (core.discovery?.queryId === message.queryId) core.discovery.answered.add(from)
      answerReceived(core, from, message)
      break
    case 'promiseRequest':
      // A silent active counts as lost before this node answers, even if no tick came in between.
      checkFollowing(core)
      promiseRequested(core, peer, message.term)
      break
    case 'promise':
      promiseReceived(core, from, message)
      break
    case 'handover':
      handoverReceived(core, peer, message)
      break
    case 'handoverRefused':
      handoverRefused(core, from, message)
      break
    case 'goodbye':
      peer.stopped = true
      break
  }
}

function takeCommand(core: CoreState, input: Extract<CoreInput, { type: 'command' }>): void {
  const { id, command } = input
  if (!core.started) {
    const error = { code: 'STOPPED', message: 'the node does not run' }
    commandDone(core, id, command.name === 'stop' ? undefined : error)
  } else if (command.name === 'switchover') {
    switchoverCommand(core, id, command.to)
  } else if (command.name === 'stop') {
    stopCommand(core, id)
  } else if (core.role === 'standby' || core.role === 'restoring') {
    const message = `this node is ${core.role} and hears the active`
    commandDone(core, id, { code: 'SWITCHOVER_FAILED', message })
  } else {
    commandDone(core, id, takeOverCommand(core, command.withoutPeers))
  }
}

/** An active already has the role, so for it the order is fulfilled. */
function takeOverCommand(
  core: CoreState,
  withoutPeers: readonly string[],
): { readonly code: string; readonly message: string } | undefined {
  const unknown = withoutPeers.find((peer) => !core.peers.has(peer))
  if (unknown !== undefined) {
    const others = [...core.peers.keys()].join(', ')
    const message = `withoutPeers names '${unknown}', which is none of the other members (${others})`
    return { code: 'OPTION_INVALID', message }
  }
  if (core.role === 'active') return undefined
  for (const peer of withoutPeers) core.withoutPeers.add(peer)
  // An order to serve overrides the option `join`.
  core.joining = false
  // The order ends the back-off after failed attempts.
  disarm(core, 'backoff')
  return undefined
}

type Progress = Exclude<
  CoreInput,
  LinkInput | { readonly type: 'start' | 'tick' | 'message' | 'command' }
>

/** Handles what the shell reports about the effects that it carries out. */
function takeProgress(core: CoreState, input: Progress): void {
  switch (input.type) {
    case 'persisted':
      takePersisted(core, input.id)
      break
    case 'following':
      followingReport(core, input)
      break
    case 'cut':
      if (core.round?.cutId === input.id) core.round.cutId = undefined
      pledgeProgress(core, input.id)
      break
    case 'fetched':
      fetched(core, input)
      break
    case 'fetchProgress':
      fetchProgressed(core, input.id, input.count)
      break
    case 'gate':
      gateAnswered(core, input.id, input.ok)
      break
    case 'termProgress':
      openingProgress(core, input.term)
      break
    case 'termOpened':
      roundOpened(core, input)
      termReopened(core, input)
      break
    case 'drained':
      handoverDrained(core, input)
      stopDrained(core, input)
      break
    case 'copyFailed':
      core.copy = { ...core.copy, ineligible: input.reason }
      if (core.role === 'active') stepDown(core, `the copy failed: ${input.reason}`)
      break
  }
}

function takePersisted(core: CoreState, id: number): void {
  if (core.bootPersistId === id) core.bootPersistId = undefined
  if (core.promisePersistId === id) core.promisePersistId = undefined
  if (core.round?.persistId === id) core.round.persistId = undefined
  pledgeProgress(core, id)
  followPersisted(core, id)
  reopenPersisted(core, id)
  handoverPersisted(core, id)
  stopPersisted(core, id)
}

/**
 * Sends to all peers when the heartbeat is due, and immediately after a change that they wait for.
 * A message from a peer in the second half of the heartbeat interval triggers the heartbeat early,
 * so that idle nodes wake up together and half as often.
 */
function beat(core: CoreState, spokenTo: boolean): void {
  const { heartbeatMs } = core.options
  const nextMs = core.timers.get('heartbeat') ?? core.nowMs
  const due = core.nowMs >= nextMs - (spokenTo ? heartbeatMs / 2 : 0)
  if (!due && !core.announce) return
  core.announce = false
  if (!core.started) return
  // The next heartbeat is counted from when this one was due, so that ticks that come late cause no
  // drift.
  const lateMs = core.nowMs - nextMs
  arm(core, 'heartbeat', heartbeatMs - (lateMs > 0 && lateMs < heartbeatMs ? lateMs : 0))
  if (core.tenure?.asking !== undefined) {
    askPeers(core)
    return
  }
  repeatOffer(core)
  for (const peer of peersOf(core)) speak(core, peer)
}

/**
 * Sends the message that is due to a peer: a node that looks for an active sends its query again,
 * and a candidate sends its request again until the peer has promised.
 */
function speak(core: CoreState, peer: Peer): void {
  const { round, discovery } = core
  const view = viewOf(core)
  if (round !== undefined && round.phase === 'asking' && !round.promises.has(peer.id)) {
    send(core, peer, { type: 'promiseRequest', term: round.term, view })
  } else if (discovery !== undefined && round === undefined && core.handover === undefined) {
    send(core, peer, { type: 'query', queryId: discovery.queryId, view })
  } else {
    send(core, peer, { type: 'heartbeat', view })
  }
}
