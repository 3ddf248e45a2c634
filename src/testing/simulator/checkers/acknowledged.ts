/** Promise 4: an acknowledged write is where its level says, and survives the loss of one machine. */
import type { Position } from '../../../replication/position.js'
import { contains, survivor, written } from '../extents.js'
import type { Process } from '../machine.js'
import type { World } from '../world.js'
import type { WriteRecord } from '../writes.js'
import type { Checker, Report } from './checker.js'

class Acknowledged implements Checker {
  readonly name = 'acknowledged'
  readonly #world: World
  readonly #report: Report
  /** Writes whose loss was reported already. */
  readonly #lost = new Set<number>()
  #quietMs = 0

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  settled(write: WriteRecord, process: Process): void {
    if (write.outcome.kind !== 'acknowledged') return
    const { receipt } = write.outcome
    const what = `write ${write.id} (${write.ack}) of ${process.id}`
    const { position, ack, degraded, durable } = receipt
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
    // A dead one had it before it died: the answer may be on its way for a while.
    if (copy === undefined) return true
    const extent = { history: copy.history, seq: durable ? copy.durableSeq : copy.seq }
    return contains(extent, position)
  }

  quiet(): void {
    this.#compare()
    this.#quietMs = this.#world.nowMs
  }

  #compare(): void {
    const final = survivor(this.#world)
    for (const write of this.#world.writes) {
      if (write.outcome.kind !== 'acknowledged' || this.#lost.has(write.id)) continue
      const { position, ack, degraded, durable } = write.outcome.receipt
      if (!durable && this.#bothForgot(write)) continue
      if (ack === 'local' || degraded || contains(final, position)) continue
      this.#lost.add(write.id)
      if (this.#excused(write)) continue
      const where = `${written(position.term)}/${position.seq}`
      this.#report(`write ${write.id}, acknowledged as ${ack} at ${where}, is not on ${final.id}`)
    }
  }

  /** What two machines had in memory only is lost when both forget it or cannot write it down, and only then. */
  #bothForgot({ submittedMs }: WriteRecord): boolean {
    if (this.#world.strict) return false
    const since = this.#world.memoryLost.filter(({ atMs }) => atMs >= submittedMs)
    return new Set(since.map(({ id }) => id)).size > 1
  }

  /** All had one history when all was well the last time: whatever forked it since was reported since. */
  #excused({ settledMs }: WriteRecord): boolean {
    const sinceMs = Math.min(this.#quietMs, settledMs ?? 0)
    return this.#world.excuses.some(({ atMs }) => atMs >= sinceMs)
  }
}

export const acknowledged = (world: World, report: Report): Checker =>
  new Acknowledged(world, report)
