/** The copy that each machine was last seen to have, even if no process runs on it any more. */
import type { Extent, Position } from '../../../history/position.js'
import { relate } from '../../../history/position.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import { contains } from './extents.js'

/** The copy of one machine: everything, and its durable part. */
interface CopyExtents {
  readonly all: Extent
  readonly durable: Extent
}

export class Holdings {
  readonly #world: World
  readonly #last = new Map<string, CopyExtents>()
  /** By machine: the durable copies on its earlier disks. */
  readonly #gone = new Map<string, Extent[]>()
  /**
   * By machine: copies that it gave up for another history, as a node does that begins to follow
   * the other of two actives.
   */
  readonly #left = new Map<string, CopyExtents[]>()

  /** By machine: the copy that its previous process had at its end. */
  readonly #ended = new Map<string, CopyExtents>()

  constructor(world: World) {
    this.#world = world
  }

  /** Records the copy of a process as that of its machine. */
  note({ id, copy }: Process): void {
    if (copy === undefined) return
    const { history, seq, durableSeq } = copy
    const last = this.#last.get(id)
    if (last?.all.history === history && last.all.seq === seq && last.durable.seq === durableSeq)
      return
    this.#last.set(id, { all: { history, seq }, durable: { history, seq: durableSeq } })
    if (last === undefined || relate(last.all, { history, seq }).kind !== 'diverged') return
    this.#left.set(id, [...(this.#left.get(id) ?? []), last])
  }

  /** Whether a machine had this change, and gave it up for another history. */
  hasLeft(id: string, position: Position, durable: boolean): boolean {
    const left = this.#left.get(id) ?? []
    return left.some((held) => contains(durable ? held.durable : held.all, position))
  }

  /** Records the copy that a process has at its end. */
  ended(process: Process): void {
    this.note(process)
    const last = this.#last.get(process.id)
    if (last !== undefined) this.#ended.set(process.id, last)
  }

  /** Everything that the previous process of a machine had at its end. */
  atEnd(id: string): Extent | undefined {
    return this.#ended.get(id)?.all
  }

  /** Whether the previous process of a machine had this change at its end. */
  hadAtEnd(id: string, position: Position, durable: boolean): boolean {
    const held = this.#ended.get(id)
    return held !== undefined && contains(durable ? held.durable : held.all, position)
  }

  /** The disk of a machine was replaced. */
  forget(id: string): void {
    const { durable } = this.#last.get(id) ?? {}
    if (durable !== undefined) this.#gone.set(id, [...this.gone(id), durable])
    this.#last.delete(id)
  }

  /** The durable copies on the earlier disks of a machine. */
  gone(id: string): readonly Extent[] {
    return this.#gone.get(id) ?? []
  }

  /**
   * The copy of a machine: everything that a living process has, or the durable part after the
   * process died.
   */
  of(id: string): Extent | undefined {
    const process = this.#world.machine(id).process
    if (process !== undefined) this.note(process)
    const held = this.#last.get(id)
    return process?.copy === undefined ? held?.durable : held?.all
  }

  holds(id: string, position: Position): boolean {
    const extent = this.of(id)
    return extent !== undefined && contains(extent, position)
  }

  /** The members that have this change now. */
  holders(position: Position): string[] {
    return this.#world.members.map(({ id }) => id).filter((id) => this.holds(id, position))
  }
}

const known = new WeakMap<World, Holdings>()

/** The holdings of a world, created on first use. */
export function holdingsOf(world: World): Holdings {
  const before = known.get(world)
  if (before !== undefined) return before
  const made = new Holdings(world)
  known.set(world, made)
  return made
}
