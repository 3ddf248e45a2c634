/**
 * Nodes whose policies differ exchange no data: such a member never follows an active of the other
 * policy, never counts as in sync with it, does not serve while a reachable member has later data,
 * and reports why it does not take part.
 */

import { compareFreshness } from '../../../history/position.js'
import type { RoleEvent } from '../../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

class Policies implements Checker {
  readonly name = 'policies'
  readonly #world: World
  readonly #report: Report

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name === 'standbyInSync') this.#counted(process, (event as { peer: string }).peer)
    if (name !== 'role') return
    const { role } = event as RoleEvent
    if (role === 'standby') this.#followed(process)
    if (role === 'active') this.#promoted(process)
  }

  /** A node that becomes a standby must have the policy of its active. */
  #followed(process: Process): void {
    const { active } = process.node.status()
    const leader = active === undefined ? undefined : this.#world.machines.get(active)?.process
    if (leader?.node.role !== 'active' || !differ(process, leader)) return
    this.#report(`${process.id} is standby of ${active}, and their policies differ`)
  }

  #counted(process: Process, peer: string): void {
    const other = this.#world.machines.get(peer)?.process
    if (process.node.role !== 'active' || other === undefined || !differ(process, other)) return
    this.#report(`${peer} counts as in sync with ${process.id}, and their policies differ`)
  }

  /** An operator's order to take over without the others is an exception. */
  #promoted(process: Process): void {
    const { id, node, copy } = process
    if (process.difference === undefined || copy === undefined) return
    const ordered = this.#world.excuses.some(
      ({ kind, node: by }) => kind === 'takeOver' && by === id,
    )
    if (ordered) return
    for (const other of this.#world.processes) {
      if (!differ(process, other) || other.copy?.complete !== true) continue
      // A node whose disk failed can neither serve nor send its data, so it is left out, with
      // `possibleLoss`.
      if (other.copy.failed !== undefined) continue
      const heard = node.status().peers.some((peer) => peer.id === other.id && peer.heard)
      const isLater = compareFreshness(other.copy.extent, copy.extent) > 0
      if (!heard || !isLater) continue
      this.#report(
        `${id} becomes active beside ${other.id}, whose data is later and is refused to it`,
      )
    }
  }

  /** Nothing is repaired yet, and all nodes had time to connect. */
  judge(): void {
    const [id, ...more] = this.#world.actives()
    if (id === undefined || more.length > 0) return
    const active = this.#world.process(id)
    for (const process of this.#world.processes) {
      const { role, causes } = process.node.status()
      if (process === active || role === 'active' || !differ(process, active)) continue
      // A node whose disk failed follows no active and is not refused, so it reports the disk
      // instead.
      if (process.copy?.failed !== undefined) continue
      const told = causes.some(({ code }) => code === 'POLICY_MISMATCH')
      if (!told) this.#report(`${process.id} is ${role}, and does not say that its policy differs`)
    }
  }
}

function differ(one: Process, other: Process): boolean {
  return one.difference !== other.difference
}

export const policies = (world: World, report: Report): Checker => new Policies(world, report)
