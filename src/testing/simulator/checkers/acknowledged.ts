/**
 * Promise 4: an acknowledged write is on the nodes that its level names, and survives the loss of
 * one machine.
 *
 * A loss is excused only by an event that names a member which had the write at that time
 * (`possibleLoss`, `unprovenStart`, `outdated` where the options allow it, an operator's order to
 * continue without members, or an operator's choice to give up the copy of one of two actives); by
 * damage of every disk that had it; or when it was acknowledged by the loser of a split brain,
 * after another node had opened a newer term.
 */

import type { Extent, History, Position, Term } from '../../../history/position.js'
import { relate, sameTerm } from '../../../history/position.js'
import type { RoleEvent } from '../../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { Machine, Process } from '../machine/machine.js'
import { contains, survivor, termsFrom, written } from '../observed/extents.js'
import type { Holdings } from '../observed/holdings.js'
import { holdingsOf } from '../observed/holdings.js'
import type { WriteRecord } from '../record/writes.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** An excuse: the copies that the named members had when it was reported. */
interface Waiver {
  readonly copies: readonly Extent[]
  /**
   * What earlier processes of the members had at their end, which counts for writes that were
   * acknowledged in memory.
   */
  readonly ended?: readonly Extent[]
}

/** One period in which one process was active. */
interface Tenure {
  readonly process: Process
  /** The terms that it opened, with times. */
  readonly opened: { readonly term: Term; readonly atMs: number }[]
  endMs: number
}

class Acknowledged implements Checker {
  readonly name = 'acknowledged'
  readonly #world: World
  readonly #report: Report
  readonly #holdings: Holdings
  /** Writes whose loss is already reported. */
  readonly #lost = new Set<number>()
  /** By write: the members that had it when it was acknowledged. */
  readonly #holders = new Map<number, readonly string[]>()
  /** By write: the history that it was acknowledged in. */
  readonly #histories = new Map<number, History>()
  readonly #waivers: Waiver[] = []
  readonly #tenures: Tenure[] = []
  readonly #damaged = new Set<string>()
  /** The number of the world's excuses that were processed. */
  #excuses = 0

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
    this.#holdings = holdingsOf(world)
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name === 'role') this.#noteRole(process, event as RoleEvent)
    if (name === 'possibleLoss' || name === 'unprovenStart') {
      this.#waive((event as { missing: readonly string[] }).missing)
    }
    if (name !== 'outdated' || process.choices.allowStale !== true) return
    this.#waive([(event as { known: Term }).known.nodeId])
  }

  #noteRole(process: Process, { role }: RoleEvent): void {
    if (role !== 'active') this.#endTenure(process)
    else this.#noteTerm(process, process.node.status().term)
  }

  #tenureOf(process: Process): Tenure | undefined {
    return this.#tenures.find(
      (one) => one.process === process && one.endMs === Number.POSITIVE_INFINITY,
    )
  }

  #endTenure(process: Process): void {
    const tenure = this.#tenureOf(process)
    if (tenure !== undefined) tenure.endMs = this.#world.nowMs
  }

  #noteTerm(process: Process, term: Term | undefined): void {
    if (term === undefined) return
    const tenure = this.#tenureOf(process)
    const opened = { term, atMs: this.#world.nowMs }
    if (tenure === undefined) {
      this.#tenures.push({ process, opened: [opened], endMs: Number.POSITIVE_INFINITY })
    } else if (!tenure.opened.some((one) => sameTerm(one.term, term))) tenure.opened.push(opened)
  }

  #waive(missing: readonly string[]): void {
    const copies = missing.map((id) => this.#holdings.of(id)).filter((copy) => copy !== undefined)
    const ended = missing.map((id) => this.#holdings.atEnd(id)).filter((copy) => copy !== undefined)
    this.#waivers.push({ copies, ended })
  }

  observe(process: Process): void {
    this.#holdings.note(process)
    if (process.node.role === 'active') this.#noteTerm(process, process.node.status().term)
    this.#takeExcuses()
  }

  #takeExcuses(): void {
    const { excuses, members } = this.#world
    for (; this.#excuses < excuses.length; this.#excuses += 1) {
      const excuse = excuses[this.#excuses]
      if (excuse?.kind === 'damage') this.#damaged.add(excuse.node)
      if (excuse?.kind === 'givenUp') this.#waive([excuse.node])
      if (excuse?.kind !== 'takeOver') continue
      this.#waive(members.map(({ id }) => id).filter((id) => id !== excuse.node))
    }
  }

  ending(process: Process): void {
    this.#holdings.ended(process)
    this.#endTenure(process)
  }

  replaced({ id }: Machine): void {
    this.#takeExcuses()
    this.#holdings.forget(id)
  }

  settled(write: WriteRecord): void {
    if (write.outcome.kind !== 'acknowledged') return
    const { receipt } = write.outcome
    const what = `write ${write.id} (${write.ack}) of ${write.process.id}`
    const { position, ack, degraded, durable } = receipt
    this.#holders.set(write.id, this.#holdings.holders(position))
    const history = this.#world.machine(position.term.nodeId).process?.copy?.history
    if (history !== undefined) this.#histories.set(write.id, history)
    if (ack !== write.ack && !(ack === 'local' && degraded)) {
      this.#report(`${what} got ${ack}${degraded ? ', degraded' : ''}`)
      return
    }
    if (write.durability === 'disk' && !durable) this.#report(`${what} is not durable`)
    const active = position.term.nodeId
    if (!this.#holds(active, position, durable))
      this.#report(`${what} is not in the journal of ${active}`)
    if (ack === 'local') return
    const { members } = this.#world
    const others = members.filter(({ id, observer }) => id !== active && observer !== true)
    const holders = others.filter(({ id }) => this.#holds(id, position, durable))
    if (holders.length === 0) {
      this.#report(`${what} at ${written(position.term)}/${position.seq} is on no standby`)
    }
    const writer = this.#world.machine(active).process?.runtime
    if (ack !== 'all' || writer === undefined || writer.role !== 'active') return
    const inSync = writer.status().inSync.filter((id) => id !== active)
    const missing = inSync.filter((id) => !holders.some((holder) => holder.id === id))
    if (missing.length > 0) this.#report(`${what} is not on ${missing.join(' and ')}`)
  }

  #holds(id: string, position: Position, durable: boolean): boolean {
    const { process } = this.#world.machine(id)
    const copy = process?.copy
    // A process that is dead had it before it died, and its acknowledgement may still have been in
    // transit.
    if (process === undefined || copy === undefined) return true
    // So may that of the previous process, as long as the new one follows no active yet.
    const follows = process.node.role === 'standby' || process.node.role === 'active'
    if (!follows && this.#holdings.hadAtEnd(id, position, durable)) return true
    const extent = { history: copy.history, seq: durable ? copy.durableSeq : copy.seq }
    // Its acknowledgement may reach the loser of a split brain after the node began to follow the
    // winner.
    return contains(extent, position) || this.#holdings.hasLeft(id, position, durable)
  }

  /** Before an operator repairs anything, every acknowledged write must be on some machine. */
  judge(): void {
    this.#compare((position) => this.#holdings.holders(position).length > 0, 'anywhere')
  }

  quiet(): void {
    const final = survivor(this.#world)
    this.#compare((position) => contains(final, position), `on ${final.id}`)
  }

  #compare(isThere: (position: Position) => boolean, where: string): void {
    const lost: string[] = []
    for (const write of this.#world.writes) {
      if (write.outcome.kind !== 'acknowledged' || this.#lost.has(write.id)) continue
      const { position, ack, degraded } = write.outcome.receipt
      if (ack === 'local' || degraded || isThere(position)) continue
      this.#lost.add(write.id)
      if (this.#isExcused(write, position)) continue
      const at = `${written(position.term)}/${position.seq}`
      lost.push(`write ${write.id}, acknowledged as ${ack} at ${at}, is not ${where}`)
    }
    const [first] = lost
    const more = lost.length > 1 ? `, nor are ${lost.length - 1} others` : ''
    if (first !== undefined) this.#report(`${first}${more}`)
  }

  #isExcused(write: WriteRecord, position: Position): boolean {
    const { outcome } = write
    const inMemory = outcome.kind === 'acknowledged' && !outcome.receipt.durable
    const isNamed = this.#waivers.some(({ copies, ended = [] }) =>
      [...copies, ...(inMemory ? ended : [])].some((copy) => contains(copy, position)),
    )
    if (isNamed) return true
    return this.#isOfLoser(write, position) || this.#allLost(write)
  }

  /**
   * Whether another node was active when the write was acknowledged, in a newer term or in one that
   * the surviving history has instead of this one. A node that opened a newer, surviving term need
   * not have been alive until then.
   */
  #isOfLoser({ id, settledMs = 0 }: WriteRecord, { term, seq }: Position): boolean {
    const history = this.#histories.get(id)
    const instead = this.#world.actives().flatMap((active) => {
      const extent = this.#holdings.of(active)
      if (extent === undefined || history === undefined) return []
      return termsFrom(extent, relate({ history, seq }, extent).commonSeq + 1)
    })
    return this.#tenures.some(({ opened, endMs }) => {
      const first = opened[0]
      if (first === undefined || first.term.nodeId === term.nodeId) return false
      if (settledMs < first.atMs) return false
      return opened.some((one) => {
        const isNewer = one.atMs <= settledMs && one.term.epoch >= term.epoch
        const isKept = instead.some((kept) => sameTerm(kept, one.term))
        return settledMs > endMs ? isNewer && isKept : isNewer || isKept
      })
    })
  }

  /**
   * Whether every disk that had the write was damaged or replaced, or, for a write acknowledged in
   * memory, every process that had it has ended.
   */
  #allLost({ id, outcome, submittedMs }: WriteRecord): boolean {
    const holders = this.#holders.get(id) ?? []
    if (outcome.kind !== 'acknowledged' || this.#world.strict) return false
    const { durable } = outcome.receipt
    const { memoryLost } = this.#world
    if (holders.length === 0) return false
    return holders.every((holder) => {
      const forgot = memoryLost.some((one) => one.id === holder && one.atMs >= submittedMs)
      const { replacedMs } = this.#world.machine(holder)
      return this.#damaged.has(holder) || replacedMs >= submittedMs || (!durable && forgot)
    })
  }
}

export const acknowledged = (world: World, report: Report): Checker =>
  new Acknowledged(world, report)
