/** The actions of a step: timers, messages, durable facts and events. */
import { assertInvariant } from '../../errors.js'
import type { DurableFacts } from './facts.js'
import type { CoreMessage } from './messages.js'
import type { CoreState, Peer, TimerName } from './state.js'
import type { CoreEvent } from './types.js'

export function arm(core: CoreState, name: TimerName, delayMs: number): void {
  core.timers.set(name, core.nowMs + delayMs)
}

export function disarm(core: CoreState, ...names: TimerName[]): void {
  for (const name of names) core.timers.delete(name)
}

/** Whether the timer is armed and its deadline has passed. */
export function passed(core: CoreState, name: TimerName): boolean {
  const atMs = core.timers.get(name)
  return atMs !== undefined && core.nowMs >= atMs
}

/** Whether the timer is armed and its deadline has not passed. */
export function running(core: CoreState, name: TimerName): boolean {
  const atMs = core.timers.get(name)
  return atMs !== undefined && core.nowMs < atMs
}

/**
 * Gives a better candidate `deadMs` from the first time that this node waits for it. Promises to it
 * do not extend that, because a candidate that asks again and again and never opens its term must
 * not block the next one.
 */
export function awaitCandidate(core: CoreState, id: string): void {
  const { discovery } = core
  if (discovery === undefined || discovery.waitFor === id) return
  discovery.waitFor = id
  arm(core, 'wait', core.options.deadMs)
}

export function takeId(core: CoreState): number {
  const id = core.nextId
  core.nextId += 1
  return id
}

/** Sends a message if there is a connection to the peer. */
export function send(core: CoreState, peer: Peer, message: CoreMessage): void {
  if (peer.link) core.effects.push({ type: 'send', to: peer.id, message })
}

/** Changes the durable facts. The returned id comes back in the input `persisted`. */
export function persist(core: CoreState, change: Partial<DurableFacts>): number {
  const before = core.durable.promised
  const after = change.promised
  assertInvariant(
    after === undefined || before === undefined || after.epoch >= before.epoch,
    'a promised epoch goes back',
  )
  core.durable = { ...core.durable, ...change }
  const id = takeId(core)
  if (after !== undefined) core.promisePersistId = id
  core.effects.push({ type: 'persist', id, facts: core.durable })
  return id
}

export function emit(core: CoreState, event: CoreEvent): void {
  core.effects.push({ type: 'emit', event })
}

/** Emits an event unless one with this key was already emitted for the same incident. */
export function emitOnce(core: CoreState, key: string, event: CoreEvent): void {
  if (core.reported.has(key)) return
  core.reported.add(key)
  emit(core, event)
}

export function commandDone(
  core: CoreState,
  id: number | undefined,
  error?: { readonly code: string; readonly message: string },
): void {
  if (id === undefined) return
  core.effects.push(
    error === undefined ? { type: 'commandDone', id } : { type: 'commandDone', id, error },
  )
}

/**
 * Holds writes back. The reasons are kept apart, so that the end of one does not release the writes
 * while another still applies.
 */
export function freeze(core: CoreState, reason: 'late' | 'handover' | 'stop'): void {
  if (core.frozenFor.size === 0) core.effects.push({ type: 'freeze' })
  core.frozenFor.add(reason)
}

export function unfreeze(core: CoreState, reason: 'late' | 'handover' | 'stop'): void {
  if (!core.frozenFor.delete(reason)) return
  if (core.frozenFor.size === 0) core.effects.push({ type: 'unfreeze' })
}
