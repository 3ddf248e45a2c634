/**
 * The clean stop. An active hands over if possible; every node records durably how it stopped
 * before it announces its end. Only an active that handed over to no other node, and that no other
 * node can have replaced meanwhile, may serve again later without waiting for the others.
 */

import { becomeStopped } from './roles.js'
import { provenEnd } from './standing/liveness.js'
import { viewOf } from './standing/views.js'
import { arm, commandDone, disarm, freeze, passed, persist, send, takeId } from './state/acts.js'
import { decide } from './state/explain.js'
import type { DurableFacts } from './state/facts.js'
import { type CoreState, peersOf, type Stopping, type Tenure } from './state/state.js'
import type { CoreInput } from './state/types.js'
import { startHandover } from './switchover.js'

export function stopCommand(core: CoreState, id: number): void {
  if (core.stopping !== undefined) {
    core.stopping.commandIds.push(id)
    return
  }
  core.stopping = {
    commandIds: [id],
    phase: 'begin',
    drainId: undefined,
    persistId: undefined,
    stopAs: undefined,
  }
}

export function checkStop(core: CoreState): void {
  const { stopping } = core
  if (stopping === undefined) return
  if (core.bootPersistId !== undefined) {
    // This process has decided nothing yet, so the proof of the previous process is kept, and the
    // stop does not wait for the disk.
    persist(core, { lastStop: core.previousStop })
    return endStop(core, stopping)
  }
  if (stopping.phase === 'begin') beginStop(core, stopping)
  if (stopping.phase === 'handover' && core.handover === undefined) {
    if (core.role === 'active') drainOwn(core, stopping)
    else persistStop(core, stopping, 'standby')
  }
  if (stopping.phase === 'draining') {
    if (core.role !== 'active') persistStop(core, stopping, 'standby')
    else if (passed(core, 'stop')) persistStop(core, stopping, 'crashed')
  }
  // A disk that does not write does not block the stop, which then counts as a crash.
  if (stopping.phase === 'persisting' && passed(core, 'stop')) endStop(core, stopping)
}

function beginStop(core: CoreState, stopping: Stopping): void {
  if (core.handover !== undefined) {
    stopping.phase = 'handover'
  } else if (core.role !== 'active') {
    // A node that took part in nothing keeps the proof of the previous process.
    persistStop(core, stopping, core.tookPart ? 'standby' : core.previousStop)
  } else if (isSettled(core.tenure) && startHandover(core, undefined, undefined)) {
    stopping.phase = 'handover'
  } else {
    drainOwn(core, stopping)
  }
}

/** Whether the tenure is in doubt about nothing, so that the role can be handed over. */
function isSettled(tenure: Tenure | undefined): boolean {
  return tenure?.asking === undefined && tenure?.reopening === undefined
}

function drainOwn(core: CoreState, stopping: Stopping): void {
  stopping.phase = 'draining'
  stopping.drainId = takeId(core)
  const { nodeId, switchoverMs } = core.options
  const deadlineMs = core.nowMs + switchoverMs
  freeze(core, 'stop')
  core.effects.push({ type: 'drain', id: stopping.drainId, target: nodeId, deadlineMs })
  arm(core, 'stop', switchoverMs)
}

export function stopDrained(core: CoreState, input: Extract<CoreInput, { type: 'drained' }>): void {
  const { stopping } = core
  if (stopping?.phase !== 'draining' || stopping.drainId !== input.id) return
  if (!input.ok) persistStop(core, stopping, 'crashed')
  else persistStop(core, stopping, mayBeReplaced(core) ? 'standby' : 'active')
}

/** Whether a member that is only silent may take over, or may have done so. */
function mayBeReplaced(core: CoreState): boolean {
  return peersOf(core).some((peer) => {
    if (!peer.promotable || provenEnd(peer) || peer.heardAtMs === undefined) return false
    return peer.view?.copy.complete ?? true
  })
}

function persistStop(core: CoreState, stopping: Stopping, stopAs: DurableFacts['lastStop']): void {
  decide(core, 'stop', stopAs, { role: core.role })
  stopping.phase = 'persisting'
  stopping.stopAs = stopAs
  stopping.persistId = persist(core, { lastStop: stopAs })
  arm(core, 'stop', core.options.switchoverMs)
}

export function stopPersisted(core: CoreState, id: number): void {
  const { stopping } = core
  if (stopping?.persistId !== id) return
  // The role was lost, or a promise was given, while the proof was being written. Then it proves
  // nothing.
  if (stopping.stopAs === 'active' && core.role !== 'active' && core.tookPart) {
    persistStop(core, stopping, 'standby')
    return
  }
  endStop(core, stopping)
}

function endStop(core: CoreState, stopping: Stopping): void {
  disarm(core, 'stop', 'handover')
  becomeStopped(core, 'stopped by command')
  for (const peer of peersOf(core)) send(core, peer, { type: 'goodbye', view: viewOf(core) })
  for (const commandId of stopping.commandIds) commandDone(core, commandId)
  core.stopping = undefined
}
