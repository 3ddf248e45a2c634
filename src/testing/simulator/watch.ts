/**
 * What is seen of a world: what its nodes say, and how they stand from time to time. It goes on
 * record, and to the checkers.
 */

import type { RestoredEvent, RoleEvent } from '../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../node/contract/events.js'
import type { Checker } from './checkers/checker.js'
import type { Machine, Process } from './machine/machine.js'
import type { Timeline } from './record/timeline.js'
import type { Excuse } from './stage.js'

const sampleMs = 100
/** They would only fill the timeline. */
const unlisted: ReadonlySet<string> = new Set(['restoreProgress', 'peerUp', 'peerDown'])

/** What is watched, and who is told. */
interface WatchedWorld {
  readonly processes: readonly Process[]
  readonly intruder: Machine | undefined
  readonly timeline: Timeline
  readonly nowMs: number
  readonly events: NodeLogEvent[]
  /** Whether a loss that a node reports is a violation. */
  readonly strict: boolean
  readonly memoryLost: { readonly id: string; readonly atMs: number }[]
  actives(): string[]
  machine(id: string): Machine
  later(delayMs: number, act: () => void): void
  violate(checker: string, message: string): void
  excuse(kind: Excuse['kind'], node: string): void
  tell(call: (checker: Checker) => void): void
}

export class Watch {
  readonly #world: WatchedWorld
  #splitSinceMs: number | undefined

  constructor(world: WatchedWorld) {
    this.#world = world
  }

  /** Looks at all living processes, now and again and again. */
  sample(): void {
    for (const process of this.#world.processes) this.#observe(process)
    this.#world.later(sampleMs, () => this.sample())
  }

  /** A node said something. */
  event(process: Process, event: NodeLogEvent): void {
    const world = this.#world
    const { name } = event
    const stranger = process === world.intruder?.process
    const who = stranger ? 'stranger' : process.id
    if (!unlisted.has(name)) world.timeline.add(world.nowMs, who, name, listed(event))
    if (stranger) return
    if (name !== 'restoreProgress') world.events.push(event)
    this.#countRestore(process, event)
    const isLoss =
      (name === 'possibleLoss' || name === 'unprovenStart') && !isDoubt(world.events, event)
    if (world.strict && isLoss) {
      world.violate('strict', `${process.id} reports ${name} although only one thing failed`)
    }
    if (name === 'possibleLoss' || name === 'unprovenStart' || name === 'splitBrain') {
      world.excuse(name, process.id)
    }
    // It cannot write down what it has in memory only, nor take the role with it.
    if (name === 'storageFailed') world.memoryLost.push({ id: process.id, atMs: world.nowMs })
    if (name === 'role') this.#noteRole(process, event.event as RoleEvent)
    world.tell((checker) => checker.event?.(process, event))
    this.#observe(process)
  }

  #noteRole(process: Process, { role }: RoleEvent): void {
    if (role === 'standby' || role === 'active') this.#world.machine(process.id).joins = false
    this.noteActives()
  }

  /** While there are two actives, what either of them acknowledges may be lost with it. */
  noteActives(): void {
    const world = this.#world
    const two = world.actives().length > 1
    if (!two && this.#splitSinceMs !== undefined) world.excuse('twoActives', '')
    this.#splitSinceMs = two ? (this.#splitSinceMs ?? world.nowMs) : undefined
  }

  #observe(process: Process): void {
    const status = process.node.status()
    this.#countTrims(process)
    this.#world.tell((checker) => checker.observe?.(process, status))
  }

  /** The journal of an active begins later than it did only when it was trimmed. */
  #countTrims(process: Process): void {
    const firstSeq = process.copy?.firstSeq ?? 0
    const before = process.journalFrom
    process.journalFrom = firstSeq
    const trimmed = process.node.role === 'active' && before > 0 && firstSeq > before
    if (trimmed) this.#world.timeline.count('journalTrimmed')
  }

  #countRestore(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'restored') return
    const { target, method } = event as RestoredEvent
    if (target === process.id) this.#world.timeline.count(`restored by ${method}`)
  }
}

function listed({ name, event }: NodeLogEvent): unknown {
  if (name !== 'vaulted') return event
  const { incident, ...counts } = event as { incident: { id: string; reason: string } }
  return { incident: incident.id, reason: incident.reason, ...counts }
}

/**
 * Whether a loss is reported only because another member said for a while that it hears the active
 * that is lost. Its last words may have come late to that one; but where it lived, it may have gone
 * on without the node that reports, so that the report is right.
 */
export function isDoubt(
  events: readonly NodeLogEvent[],
  { node, name, event }: NodeLogEvent,
): boolean {
  if (name !== 'possibleLoss') return false
  const { missing } = event as { missing: readonly string[] }
  const own = events.filter((one) => one.node === node)
  const since = own.findLastIndex((one) => {
    return one.name === 'role' && (one.event as RoleEvent).from === 'standby'
  })
  return own.slice(since + 1).some((one) => {
    if (one.name !== 'activeUnreachable') return false
    const { active } = one.event as { active: string }
    return missing.length === 1 && missing[0] === active
  })
}
