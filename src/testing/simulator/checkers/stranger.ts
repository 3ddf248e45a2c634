/** Promise 10: a node that does not know the secret gets nothing, and nobody hears of it. */
import type { NodeLogEvent } from '../../../node/events.js'
import type { Process } from '../machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

export const stranger = (world: World, report: Report): Checker => ({
  name: 'stranger',
  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'restoreStarted' || world.intruder?.process === undefined) return
    const { target } = event as { target: string }
    // It calls itself as a member that is not running.
    if (target === world.intruder.id && world.machine(target).process === undefined) {
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
})
