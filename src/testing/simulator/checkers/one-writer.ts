/** Promise 1: one writer per term, and old terms are fenced. */

import type { Term } from '../../../history/position.js'
import { sameTerm } from '../../../history/position.js'
import type { RoleEvent } from '../../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Machine, Process } from '../machine/machine.js'
import { written } from '../observed/extents.js'
import type { WriteRecord } from '../record/writes.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** Faults after which a connection may be open and deliver nothing. */
const linkFaults = ['halfOpen', 'unread', 'closePort', 'reset', 'heal'] as const

class OneWriter implements Checker {
  readonly name = 'one-writer'
  readonly #world: World
  readonly #report: Report
  /** The last term that each node opened. */
  readonly #opened = new Map<string, Term>()
  /**
   * The newest epoch seen of each process. It is kept by process, because a promise that was not
   * durable when a process died is unknown to the next one.
   */
  readonly #promised = new Map<Process, number>()
  /** The write at each position. */
  readonly #positions = new Map<string, number>()
  /**
   * Nodes that were frozen for long, with the terms that were active elsewhere when they ran again.
   */
  readonly #stale = new Map<string, { own: Term; newer: string; epoch: number }>()
  /** When links last had a fault, and the number of such faults until then. */
  #linksMs = Number.NEGATIVE_INFINITY
  #linkFaults = 0

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'role') return
    const { role, term } = event as RoleEvent
    if (role !== 'active') return void this.#stale.delete(process.id)
    if (term === undefined) this.#report(`${process.id} is active without a term`)
    else this.#open(process, term)
  }

  observe(process: Process, { term, epoch, role }: NodeStatus): void {
    this.#lookAtLinks()
    if (role === 'active' && term !== undefined) this.#open(process, term)
    const before = this.#promised.get(process) ?? 0
    if (role === 'stopped') return
    if (epoch < before) this.#report(`${process.id} went back from epoch ${before} to ${epoch}`)
    this.#promised.set(process, Math.max(before, epoch))
  }

  #open(process: Process, term: Term): void {
    const before = this.#opened.get(process.id)
    if (before !== undefined && sameTerm(before, term)) return
    if (term.nodeId !== process.id)
      this.#report(`${process.id} serves in the term of ${term.nodeId}`)
    if (before !== undefined && term.epoch <= before.epoch) {
      this.#report(`${process.id} opened epoch ${term.epoch} after ${before.epoch}`)
    }
    this.#opened.set(process.id, term)
    this.#stale.delete(process.id)
  }

  /** With its disk the node lost the record of the terms that it opened. */
  replaced({ id }: Machine): void {
    this.#opened.delete(id)
  }

  thawed(machine: Machine, frozenMs: number): void {
    const { process, id } = machine
    const own = process?.node.role === 'active' ? process.node.status().term : undefined
    if (process === undefined || own === undefined) return
    const { deadMs } = process.node.status().options
    if (frozenMs <= deadMs) return
    // The check needs working links: a connection that broke silently during the freeze, or shortly
    // before, does not deliver the node's question, and a frozen node cannot be dialled.
    this.#lookAtLinks()
    if (this.#linksMs >= this.#world.nowMs - frozenMs - deadMs) return
    for (const other of this.#world.processes) {
      const term = other.node.status().term
      if (term === undefined || term.epoch <= own.epoch || !this.#connected(id, other.id)) continue
      this.#stale.set(id, { own, newer: other.id, epoch: term.epoch })
    }
  }

  #lookAtLinks(): void {
    const { timeline, links, nowMs } = this.#world
    const faults = linkFaults.reduce((sum, name) => sum + (timeline.counts.get(name) ?? 0), 0)
    if (links.hasCuts || links.slowed > 0 || faults !== this.#linkFaults) this.#linksMs = nowMs
    this.#linkFaults = faults
  }

  #connected(one: string, other: string): boolean {
    const world = this.#world
    if (world.links.slowed > 0 || world.links.isCut(one, other) || world.links.isCut(other, one))
      return false
    return !world.pauses.frozen.includes(other)
  }

  settled(write: WriteRecord, process: Process): void {
    if (write.outcome.kind !== 'acknowledged') return
    const { position } = write.outcome.receipt
    const key = `${written(position.term)}-${position.term.bootId}/${position.seq}`
    const before = this.#positions.get(key)
    if (before !== undefined)
      this.#report(`the writes ${before} and ${write.id} are both at ${key}`)
    this.#positions.set(key, write.id)
    const stale = this.#stale.get(process.id)
    if (stale === undefined || !sameTerm(stale.own, position.term)) return
    const rival = this.#world.machine(stale.newer).process
    if (rival?.node.role !== 'active' || !this.#connected(process.id, stale.newer)) return
    this.#report(
      `${process.id} acknowledged write ${write.id} in ${written(stale.own)} after a pause, ` +
        `while ${stale.newer} is active in epoch ${stale.epoch} and reachable`,
    )
  }
}

export const oneWriter = (world: World, report: Report): Checker => new OneWriter(world, report)
