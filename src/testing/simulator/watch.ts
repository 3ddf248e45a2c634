/**
 * Watches a world: records the events of its nodes, samples their status from time to time, and
 * passes both to the checkers.
 */

import type { RestoredEvent, RoleEvent } from '../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../node/contract/events.js'
import type { Checker } from './checkers/checker.js'
import type { Machine, Process } from './machine/machine.js'
import type { Timeline } from './record/timeline.js'
import type { Excuse } from './stage.js'

const sampleMs = 100
/** Events that are too frequent for the timeline. */
const unlisted: ReadonlySet<string> = new Set(['restoreProgress', 'peerUp', 'peerDown'])

/** The part of a world that is watched. */
interface WatchedWorld {
  readonly processes: readonly Process[]
  readonly intruder: Machine | undefined
  readonly timeline: Timeline
  readonly nowMs: number
  readonly events: NodeLogEvent[]
  /** Whether a reported loss is a violation. */
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

  /** Samples all living processes, now and periodically. */
  sample(): void {
    for (const process of this.#world.processes) this.#observe(process)
    this.#world.later(sampleMs, () => this.sample())
  }

  /** A node emitted an event. */
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
    // A node whose storage failed cannot make durable what it has in memory only.
    if (name === 'storageFailed') world.memoryLost.push({ id: process.id, atMs: world.nowMs })
    if (name === 'role') this.#noteRole(process, event.event as RoleEvent)
    world.tell((checker) => checker.event?.(process, event))
    this.#observe(process)
  }

  #noteRole(process: Process, { role }: RoleEvent): void {
    if (role === 'standby' || role === 'active') this.#world.machine(process.id).joins = false
    this.noteActives()
  }

  /** Records two actives, because what either of them acknowledges meanwhile may be lost. */
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

  /**
   * Counts trims: the first change of an active's journal rises only when the journal is trimmed.
   */
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
 * Whether a loss is reported only because another member said for a while that it hears the lost
 * active, whose last frames may have reached that member late. If that active was really alive, it
 * may have continued without the reporting node, and the report is right.
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
