/**
 * An application reads only contents that some history had: never a mix of two contents, nothing of
 * a refused write, and on an active nothing older than the writes that it acknowledged itself.
 */

import type { Position } from '../../../../history/position.js'
import type { Process } from '../../machine/machine.js'
import type { ReadRecord, WriteRecord } from '../../record/writes.js'
import { contentPut, labelOf, pathsOf } from '../../record/writes.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

class Reads implements Checker {
  readonly name = 'reads'
  readonly #world: World
  readonly #report: Report
  /** By process and path: the newest write that this process acknowledged. */
  readonly #acknowledged = new Map<Process, Map<string, { seq: number; write: WriteRecord }>>()
  /** Writes that were read before they were settled. */
  readonly #readEarly = new Map<WriteRecord, string>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  settled(write: WriteRecord, process: Process): void {
    if (write.outcome.kind !== 'acknowledged') return
    const { seq, term } = write.outcome.receipt.position
    // A forwarded write was sequenced by another node.
    if (term.nodeId !== process.id) return
    const own =
      this.#acknowledged.get(process) ?? new Map<string, { seq: number; write: WriteRecord }>()
    this.#acknowledged.set(process, own)
    for (const path of pathsOf(write.action)) {
      if ((own.get(path)?.seq ?? 0) < seq) own.set(path, { seq, write })
    }
  }

  event(process: Process, { name }: { readonly name: string }): void {
    // After a change of role the node may have another history, whose contents may be older.
    if (name === 'role') this.#acknowledged.delete(process)
  }

  read(read: ReadRecord): void {
    const { process, path, bytes, role } = read
    const where = `${path} on ${process.id} (${role})`
    const write = bytes === undefined ? undefined : this.#source(read, bytes, where)
    if (role !== 'active' || process.node.role !== 'active') return
    const last = this.#acknowledged.get(process)?.get(path)
    if (last === undefined || (last.write.settledMs ?? 0) >= read.begunMs) return
    if (this.#isOlder(path, write, last)) {
      const found = write === undefined ? 'no file' : `write ${write.id}`
      this.#report(
        `a read of ${where} gives ${found}, although write ${last.write.id} was acknowledged`,
      )
    }
  }

  /** The write that these bytes come from. */
  #source({ path }: ReadRecord, bytes: Uint8Array, where: string): WriteRecord | undefined {
    const id = labelOf(bytes)
    const write = id === undefined ? undefined : this.#world.writes[id - 1]
    const content = write === undefined ? undefined : contentPut(write.action, path)
    if (write === undefined || content === undefined || Buffer.compare(content, bytes) !== 0) {
      const wrote = content === undefined ? 'nobody wrote' : `write ${id} has ${content.length} of`
      this.#report(`a read of ${where} gives ${bytes.length} bytes that ${wrote}`)
      return undefined
    }
    if (write.outcome.kind === 'refused') {
      this.#report(`a read of ${where} gives write ${write.id}, which was refused`)
    } else if (write.outcome.kind === 'open') this.#readEarly.set(write, where)
    return write
  }

  #isOlder(
    path: string,
    found: WriteRecord | undefined,
    last: { readonly seq: number; readonly write: WriteRecord },
  ): boolean {
    if (found === undefined) return !this.#mayBeRemoved(path, last.write)
    if (found.outcome.kind !== 'acknowledged') return false
    return found.outcome.receipt.position.seq < last.seq
  }

  /**
   * Whether the file may be absent: because of the last acknowledged write, or of one that is
   * unsettled or later.
   */
  #mayBeRemoved(path: string, last: WriteRecord): boolean {
    if (last.action.kind === 'remove') return true
    return this.#world.writes.some(
      ({ action, outcome }) =>
        action.kind === 'remove' &&
        action.path === path &&
        outcome.kind !== 'refused' &&
        (outcome.kind !== 'acknowledged' || isLater(outcome.receipt.position, last)),
    )
  }

  quiet(): void {
    for (const [{ id, outcome }, where] of this.#readEarly) {
      if (outcome.kind !== 'refused') continue
      this.#report(`a read of ${where} gave write ${id}, which was refused later`)
    }
    this.#readEarly.clear()
  }
}

/** Whether a position is behind that of an acknowledged write; answers may come in any order. */
function isLater({ term, seq }: Position, { outcome }: WriteRecord): boolean {
  if (outcome.kind !== 'acknowledged') return true
  const { position } = outcome.receipt
  return term.epoch === position.term.epoch ? seq > position.seq : term.epoch > position.term.epoch
}

export const reads = (world: World, report: Report): Checker => new Reads(world, report)
