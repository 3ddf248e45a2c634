/**
 * The planned handover: freeze, drain, give up the role durably, offer it. Once giving up is
 * durable the old term never serves again, whatever happens to the target.
 */
import { sameTerm, type Term } from '../history/position.js'
import { becomeDiscovering, stepDown } from './roles.js'
import { begin } from './round.js'
import { isCandidate, isDialable, ownStanding } from './standing/candidates.js'
import { heard, twoWay } from './standing/liveness.js'
import { activesHeard, highestEpoch } from './standing/views.js'
import {
  arm,
  commandDone,
  disarm,
  freeze,
  passed,
  persist,
  send,
  takeId,
  unfreeze,
} from './state/acts.js'
import { decide } from './state/explain.js'
import type { CoreMessage } from './state/messages.js'
import { type CoreState, type Handover, type Peer, peersOf } from './state/state.js'
import type { CoreInput } from './state/types.js'

export function switchoverCommand(core: CoreState, id: number, to: string | undefined): void {
  const error = whyNot(core, to)
  if (error !== undefined) commandDone(core, id, error)
  else startHandover(core, id, to)
}

function whyNot(
  core: CoreState,
  to: string | undefined,
): { readonly code: string; readonly message: string } | undefined {
  if (core.role !== 'active') {
    return { code: 'NOT_ACTIVE', message: `${core.options.nodeId} is ${core.role}` }
  }
  if (core.handover !== undefined || core.stopping !== undefined) {
    return { code: 'SWITCHOVER_UNDER_WAY', message: 'the role is being given up already' }
  }
  if (core.tenure?.reopening !== undefined || core.tenure?.asking !== undefined) {
    return { code: 'SWITCHOVER_FAILED', message: 'the active is making sure of its own term' }
  }
  if (to !== undefined && !core.peers.has(to)) {
    const others = peersOf(core).map(({ id }) => id)
    const message = `to is '${to}', which is none of the other members (${others.join(', ')})`
    return { code: 'OPTION_INVALID', message }
  }
  if (eligibleTarget(core, to) !== undefined) return undefined
  const who = to === undefined ? 'no standby' : `${to} is no standby that`
  return { code: 'NO_ELIGIBLE_STANDBY', message: `${who} is in sync and in reach` }
}

/**
 * The target of a handover: `to` if it is eligible, otherwise the first eligible member in takeover
 * order. A member that no other can dial comes last, because no other could follow it.
 */
export function eligibleTarget(core: CoreState, to: string | undefined): Peer | undefined {
  const eligible = peersOf(core).filter((peer) => {
    if (to !== undefined && peer.id !== to) return false
    const { view } = peer
    if (view === undefined || !peer.promotable || !twoWay(core, peer)) return false
    if (view.copy.ineligible !== undefined) return false
    // Its acknowledgement may count before its heartbeat says that it is a standby.
    if (view.role !== 'standby' && view.role !== 'restoring') return false
    return core.copy.inSync?.includes(peer.id) ?? false
  })
  return eligible.find((peer) => isDialable(core, peer.id)) ?? eligible[0]
}

export function startHandover(
  core: CoreState,
  commandId: number | undefined,
  to: string | undefined,
): boolean {
  const target = eligibleTarget(core, to)
  const { tenure } = core
  if (target?.view === undefined || tenure === undefined) return false
  const offered: Term = {
    epoch: highestEpoch(core) + 1,
    nodeId: target.id,
    bootId: target.view.bootId,
  }
  const drainId = takeId(core)
  core.handover = {
    commandId,
    target: target.id,
    from: tenure.term,
    offered,
    phase: 'draining',
    drainId,
    persistId: undefined,
    seq: 0,
  }
  decide(core, 'switchover', 'begin', { target: target.id, epoch: offered.epoch })
  freeze(core, 'handover')
  const { switchoverMs } = core.options
  core.effects.push({
    type: 'drain',
    id: drainId,
    target: target.id,
    deadlineMs: core.nowMs + switchoverMs,
  })
  arm(core, 'handover', switchoverMs)
  return true
}

export function handoverDrained(
  core: CoreState,
  input: Extract<CoreInput, { type: 'drained' }>,
): void {
  const { handover } = core
  if (handover?.phase !== 'draining' || handover.drainId !== input.id) return
  if (!input.ok) {
    failHandover(core, handover, input.reason ?? 'the target did not catch up in time')
    return
  }
  // If the target has fallen silent or restarted meanwhile, no node would be active.
  if (eligibleTarget(core, handover.target)?.view?.bootId !== handover.offered.bootId) {
    failHandover(core, handover, 'the target is not eligible any more')
    return
  }
  if (highestEpoch(core) >= handover.offered.epoch) {
    failHandover(core, handover, 'a higher epoch appeared')
    return
  }
  handover.phase = 'persisting'
  handover.seq = core.copy.seq
  handover.persistId = persist(core, { promised: handover.offered })
}

/**
 * Ends a failed handover. Before the role is given up the node keeps it; afterwards the ordinary
 * rules apply.
 */
function failHandover(core: CoreState, handover: Handover, why: string): void {
  decide(core, 'switchover', 'failed', { why, phase: handover.phase })
  core.handover = undefined
  disarm(core, 'handover')
  unfreeze(core, 'handover')
  commandDone(core, handover.commandId, { code: 'SWITCHOVER_FAILED', message: why })
}

export function handoverPersisted(core: CoreState, id: number): void {
  const { handover } = core
  if (handover?.phase !== 'persisting' || handover.persistId !== id) return
  const { target, offered } = handover
  handover.phase = 'offering'
  becomeDiscovering(core, `handing over to ${target}`)
  // From now on the target may serve, even if this node never hears of it, so the next takeover is
  // one from the target.
  core.followed = { id: target, term: offered }
  // Sent before the heartbeat that announces the new role, so that the target learns of it first.
  offer(core, handover)
}

/** Sends the offer again with every heartbeat until it is settled. */
export function repeatOffer(core: CoreState): void {
  if (core.handover?.phase === 'offering') offer(core, core.handover)
}

function offer(core: CoreState, handover: Handover): void {
  const target = core.peers.get(handover.target)
  if (target === undefined) return
  const { from, offered, seq } = handover
  send(core, target, { type: 'handover', from, offered, seq })
}

export function checkHandover(core: CoreState): void {
  const { handover } = core
  if (handover === undefined) return
  const target = core.peers.get(handover.target)
  const vanished = target === undefined || !heard(core, target)
  if (handover.phase === 'draining') {
    if (core.role !== 'active') failHandover(core, handover, 'the role was lost')
    // No writes are accepted meanwhile, so there is no reason to wait for a target that has
    // vanished.
    else if (vanished) failHandover(core, handover, `${handover.target} vanished`)
    else if (passed(core, 'handover')) failHandover(core, handover, lateDrain(core, handover))
    return
  }
  if (handover.phase === 'persisting') return checkPersisting(core, handover)
  const newer = activesHeard(core).find(({ term }) => term.epoch >= handover.offered.epoch)
  if (newer !== undefined && newer.peer.id === handover.target) {
    decide(core, 'switchover', 'done', { target: handover.target, epoch: newer.term.epoch })
    core.handover = undefined
    disarm(core, 'handover')
    commandDone(core, handover.commandId)
  } else if (newer !== undefined) {
    failHandover(core, handover, `${newer.peer.id} became active`)
  } else if (vanished) {
    failHandover(core, handover, `${handover.target} vanished after the role was given up`)
  } else if (passed(core, 'handover')) {
    failHandover(core, handover, `${handover.target} did not become active in time`)
  }
}

function lateDrain(core: CoreState, { target }: Handover): string {
  const { switchoverMs } = core.options
  return `${target} did not have, and acknowledge, everything within ${switchoverMs} ms (switchoverMs)`
}

/**
 * Handles a disk that does not record giving up the role. The node steps down at the deadline, so
 * that the other members can take over.
 */
function checkPersisting(core: CoreState, handover: Handover): void {
  if (core.role === 'active') {
    if (!passed(core, 'handover')) return
    stepDown(core, 'giving up the role could not be made durable in time')
  }
  failHandover(core, handover, 'the role was lost while it was being given up')
}

export function handoverRefused(
  core: CoreState,
  from: string,
  message: Extract<CoreMessage, { type: 'handoverRefused' }>,
): void {
  const { handover } = core
  if (handover?.phase !== 'offering' || from !== handover.target) return
  if (!sameTerm(handover.from, message.from)) return
  failHandover(core, handover, message.reason)
  // The target never served, so it cannot have changes that others lack.
  core.followed = undefined
  if (core.served !== undefined) core.served = { ...core.served, declinedBy: from }
}

/**
 * Handles an offer of the role. It is accepted only at the exact position, which is known once the
 * stream is cut.
 */
export function handoverReceived(
  core: CoreState,
  giver: Peer,
  message: Extract<CoreMessage, { type: 'handover' }>,
): void {
  const { from, offered, seq } = message
  if (core.round?.handover !== undefined && sameTerm(core.round.term, offered)) return
  if (core.role === 'active') return
  // The giver no longer has the role; its last heartbeat is older than this message.
  if (giver.view !== undefined) {
    giver.view = { ...giver.view, role: 'discovering', activeTerm: undefined, promised: offered }
  }
  const reason = whyRefuse(core, giver, from, offered)
  decide(core, 'handover', reason ?? 'accept', { giver: giver.id, epoch: offered.epoch })
  if (reason !== undefined) {
    send(core, giver, { type: 'handoverRefused', from, reason })
    return
  }
  becomeDiscovering(core, `taking over from ${giver.id}`)
  begin(core, 'handover', offered, { from, seq, giver: giver.id })
}

function whyRefuse(core: CoreState, giver: Peer, from: Term, offered: Term): string | undefined {
  const { nodeId, bootId } = core.options
  const { followed, durable } = core
  if (offered.nodeId !== nodeId || offered.bootId !== bootId)
    return 'it is for another node or process'
  if (core.stopping !== undefined) return 'this node is stopping'
  if (core.role !== 'standby') return `this node is ${core.role}`
  if (followed?.id !== giver.id || !sameTerm(followed.term, from)) return 'another term is followed'
  if (!isCandidate(ownStanding(core))) return core.copy.ineligible ?? 'the copy may not be promoted'
  const { promised } = durable
  if (promised !== undefined && promised.epoch >= offered.epoch) return 'a higher epoch is promised'
  return undefined
}
