/** What each machine was last seen to hold, also when nothing runs on it any more. */
import type { Extent, Position } from '../../../history/position.js'
import { relate } from '../../../history/position.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import { contains } from './extents.js'

/** The copy of one machine: all that it has, and what of it is durable. */
interface Held {
  readonly all: Extent
  readonly durable: Extent
}

export class Holdings {
  readonly #world: World
  readonly #last = new Map<string, Held>()
  /** By machine: what was durable on the disks that it had before. */
  readonly #gone = new Map<string, Extent[]>()
  /**
   * By machine: copies that it had and left for another history, as whoever follows the other of
   * two actives does.
   */
  readonly #left = new Map<string, Held[]>()

  constructor(world: World) {
    this.#world = world
  }

  /** Looks at a process; its machine holds this from now on until something else is seen. */
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

  /** Its disk is another one. */
  forget(id: string): void {
    const { durable } = this.#last.get(id) ?? {}
    if (durable !== undefined) this.#gone.set(id, [...this.gone(id), durable])
    this.#last.delete(id)
  }

  /** What was on the disks that a machine has no more. */
  gone(id: string): readonly Extent[] {
    return this.#gone.get(id) ?? []
  }

  /**
   * What a machine holds: a living process says so itself, of a dead one only what was durable
   * counts.
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

/** That of a world; it has one. */
export function holdingsOf(world: World): Holdings {
  const before = known.get(world)
  if (before !== undefined) return before
  const made = new Holdings(world)
  known.set(world, made)
  return made
}
