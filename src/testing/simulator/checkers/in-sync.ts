/**
 * Promise 4, the in-sync set: a member counts only once every other member knows of it, none counts
 * while it is being restored, and no active reports `degraded` while a sound standby counted
 * shortly before, or could have counted.
 */

import type { RestoreEvent, RoleEvent } from '../../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Process } from '../machine/machine.js'
import { Calm } from '../observed/calm.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** The tolerance for timers, disks and links without faults, in milliseconds. */
const slackMs = 500

/** What is known of an active. */
interface Active {
  readonly sinceMs: number
  /** When each member was last seen to count. */
  readonly counted: Map<string, number>
  /**
   * By member: the change up to which the journal was trimmed for lack of space (`historyLost`)
   * although the member still needed it.
   */
  readonly cutOff: Map<string, number>
}

class InSync implements Checker {
  readonly name = 'in-sync'
  readonly #world: World
  readonly #report: Report
  readonly #calm: Calm
  readonly #actives = new Map<Process, Active>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
    this.#calm = new Calm(world)
  }

  observe(process: Process, { role, inSync }: NodeStatus): void {
    this.#calm.look()
    if (role !== 'active') return
    const active = this.#activeOf(process)
    for (const id of inSync) if (id !== process.id) active.counted.set(id, this.#world.nowMs)
  }

  #activeOf(process: Process): Active {
    const known = this.#actives.get(process)
    if (known !== undefined) return known
    const made: Active = { sinceMs: this.#world.nowMs, counted: new Map(), cutOff: new Map() }
    this.#actives.set(process, made)
    return made
  }

  ending(process: Process): void {
    this.#actives.delete(process)
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name === 'role' && (event as RoleEvent).role !== 'active') this.#actives.delete(process)
    if (process.node.role !== 'active') return
    if (name === 'restoreStarted') this.#restoring(process, event as RestoreEvent)
    if (name === 'standbyInSync') this.#added(process, (event as { peer: string }).peer)
    if (name === 'historyLost') this.#trimmed(process, (event as { upTo: number }).upTo)
    if (name === 'degraded') this.#degraded(process)
  }

  #restoring({ id, node }: Process, { target, method }: RestoreEvent): void {
    if (method !== 'delta' && method !== 'full') return
    if (!node.status().inSync.includes(target)) return
    this.#report(`${target} is being restored from ${id}, and counts as in sync`)
  }

  /**
   * The journal's limit has priority over a standby that lags by more: it needs a restore, and
   * cannot count meanwhile.
   */
  #trimmed(process: Process, upTo: number): void {
    for (const { id } of this.#world.members) {
      const seq = this.#world.machine(id).process?.copy?.seq ?? 0
      if (id !== process.id && seq < upTo) this.#activeOf(process).cutOff.set(id, upTo)
    }
  }

  #added(process: Process, added: string): void {
    const { id, node } = process
    const { cutOff } = this.#activeOf(process)
    const seq = this.#world.machines.get(added)?.process?.copy?.seq ?? 0
    if (seq >= (cutOff.get(added) ?? 0)) cutOff.delete(added)
    const { inSync, term } = node.status()
    for (const other of inSync) {
      const { copy, node: otherNode } = this.#world.machine(other).process ?? {}
      if (other === id || other === added || copy === undefined) continue
      if (copy.inSync?.includes(added)) continue
      // Its acknowledgement came late: it knew of the member in this term, and has promised a newer
      // term since, which this active does not know of.
      if (term !== undefined && (otherNode?.status().epoch ?? 0) > term.epoch) continue
      this.#report(`${added} counts on ${id}, and ${other}, which counts too, does not know of it`)
    }
  }

  #degraded(process: Process): void {
    const { id, node, copy } = process
    const { degradeAfterMs, deadMs } = node.status().options
    const { sinceMs, counted, cutOff } = this.#activeOf(process)
    const { nowMs, members } = this.#world
    const set = copy?.durableFacts
    if ((set?.inSync?.length ?? 0) > 0) {
      this.#report(`${id} is degraded, and its journal on disk still names ${set?.inSync?.join()}`)
    }
    for (const member of members) {
      if (member.id === id || member.observer === true || cutOff.has(member.id)) continue
      const soundMs = nowMs - this.#calm.troubledMs(id, member.id)
      if (soundMs < degradeAfterMs + deadMs + slackMs) continue
      const other = this.#world.machine(member.id).process
      if (other?.node.role === 'restoring') continue
      if (other !== undefined && other.difference !== process.difference) continue
      const countedMs = nowMs - (counted.get(member.id) ?? Number.NEGATIVE_INFINITY)
      const heard = node.status().peers.some((peer) => peer.id === member.id && peer.heard)
      const isFirst = nowMs - sinceMs < degradeAfterMs - slackMs && heard
      if (countedMs >= degradeAfterMs - slackMs && !isFirst) continue
      const what = isFirst ? 'is in reach' : `counted ${Math.round(countedMs)} ms ago`
      this.#report(`${id} is degraded, although ${member.id} ${what} and nothing is wrong with it`)
    }
  }
}

export const inSync = (world: World, report: Report): Checker => new InSync(world, report)
