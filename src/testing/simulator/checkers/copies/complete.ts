/**
 * Promise 6: an incomplete copy never serves and is never promoted, and copies that are in sync are
 * equal.
 */
import type { NodeStatus } from '../../../../node/report/status.js'
import type { Machine, Process } from '../../machine/machine.js'
import { contentOf, keptOutside } from '../../observed/content.js'
import { survivor } from '../../observed/extents.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

class Complete implements Checker {
  readonly name = 'complete'
  readonly #world: World
  readonly #report: Report

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  observe({ id }: Process, { role, complete }: NodeStatus): void {
    if (complete || (role !== 'standby' && role !== 'active')) return
    this.#report(`${id} is ${role} with an incomplete copy`)
  }

  quiet(): void {
    const { id } = survivor(this.#world)
    const active = this.#world.machine(id)
    for (const machine of this.#world.machines.values()) {
      if (machine !== active) this.#compare(active, machine)
    }
  }

  #compareModes(active: Machine, other: Machine, path: string): void {
    const [one, two] = [active, other].map(({ storage }) => storage.outside.mode(path)?.toString(8))
    if (one !== two)
      this.#report(
        `the mode of ${path} differs between ${active.id} and ${other.id}: ${one} and ${two}`,
      )
  }

  #compare(active: Machine, other: Machine): void {
    const [left, right] = [contentOf(active), contentOf(other)]
    const kept = keptOutside(this.#world, active)
    for (const path of new Set([...left.keys(), ...right.keys()])) {
      if (kept.has(path)) continue
      const [one, two] = [left.get(path), right.get(path)]
      if (one !== undefined && two !== undefined && Buffer.compare(one, two) === 0) {
        this.#compareModes(active, other, path)
        continue
      }
      const sizes = `${one?.length ?? 'no'} and ${two?.length ?? 'no'} bytes`
      this.#report(`${path} differs between ${active.id} and ${other.id}: ${sizes}`)
    }
    const [mine, its] = [active, other].map(({ process }) =>
      JSON.stringify(process?.register.content()),
    )
    if (mine !== its)
      this.#report(`the register differs between ${active.id} and ${other.id}: ${mine} and ${its}`)
  }
}

export const complete = (world: World, report: Report): Checker => new Complete(world, report)
