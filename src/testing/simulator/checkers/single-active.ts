/** Promise 2: at most one active while all links are up. Watched only while nothing was cut, slowed or held. */
import type { NodeLogEvent } from '../../../node/events.js'
import type { Process } from '../machine.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

export const singleActive = (world: World, report: Report): Checker => ({
  name: 'single-active',
  event(_process: Process, { name }: NodeLogEvent): void {
    if (name !== 'role' || world.disturbances > 0) return
    const actives = world.actives()
    if (actives.length > 1)
      report(`${actives.join(' and ')} are active at the same time, with all links up`)
  },
})
