/**
 * Promise 10: a node that does not know the secret gets no data, and no member treats it as a peer.
 */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { Process } from '../machine/machine.js'
import { Calm } from '../observed/calm.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** How long frames of a member that has ended may still arrive, in milliseconds. */
const lastWordsMs = 2_000

export const stranger = (world: World, report: Report): Checker => {
  const calm = new Calm(world)
  let endedMs = Number.NEGATIVE_INFINITY
  return {
    name: 'stranger',
    observe(): void {
      calm.look()
    },
    ending({ id }: Process): void {
      if (id === world.intruder?.id) endedMs = world.nowMs
    },
    event(process: Process, { name, event }: NodeLogEvent): void {
      const { intruder } = world
      // The intruder uses the id of a member, so the two can be distinguished only while that
      // member does not run.
      if (intruder?.process === undefined || world.machine(intruder.id).process !== undefined)
        return
      const troubledMs = calm.troubledMs(process.id, intruder.id)
      if (world.nowMs - Math.max(endedMs, world.links.healedMs, troubledMs) < lastWordsMs) return
      const { peer, target } = event as { peer?: string; target?: string }
      if (name === 'peerUp' && peer === intruder.id) report(`${process.id} hears a stranger`)
      if (name === 'restoreStarted' && target === intruder.id) {
        report(`${process.id} gives its data to a stranger`)
      }
    },
    quiet(): void {
      const machine = world.intruder
      if (machine?.process === undefined) return
      const files = machine.storage.outside.list()
      if (files.length > 0) report(`the stranger has ${files.join(', ')}`)
      const { peers, position } = machine.process.node.status()
      if (position !== undefined) report(`the stranger is at ${position.seq}`)
      const heard = peers.filter((peer) => peer.heard)
      if (heard.length > 0) report(`the stranger hears ${heard.map(({ id }) => id).join(' and ')}`)
    },
  }
}
