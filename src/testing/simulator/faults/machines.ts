/** Faults of machines and processes, and actions of operators. */
import type { Fault } from './fault.js'
import { member, victim } from './fault.js'

export const kill: Fault = (world, random) => world.kill(victim(world, random))

export const powerOff: Fault = (world, random) => {
  const id = victim(world, random)
  world.powerOff(id)
  world.later(random.between(500, 6_000), () => world.powerOn(id))
}

export const start: Fault = (world) => {
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  for (const { id } of idle.slice(0, 1)) world.start(id)
}

export const stop: Fault = (world, random) => {
  const id = victim(world, random)
  const { running } = world.machine(id)
  if (running?.started === 'started') void world.stop(id)
}

export const switchover: Fault = (world, random) => {
  const [id] = world.actives()
  const running = id === undefined ? undefined : world.machine(id).running
  if (running === undefined || running.stopping !== undefined) return
  const to = random.chance(0.5) ? undefined : member(world, random)
  world.timeline.add(world.nowMs, running.id, 'switchover', to)
  running.node.switchover(to === undefined ? {} : { to }).then(
    () => world.timeline.add(world.nowMs, running.id, 'switchedOver'),
    (error: unknown) => world.timeline.add(world.nowMs, running.id, 'notSwitchedOver', error),
  )
}

export const takeOver: Fault = (world, random) => {
  const { running } = world.machine(member(world, random))
  if (running === undefined || !(running.node.status().stuck ?? '').startsWith('holding')) return
  world.takeOver(running)
}

export const freeze: Fault = (world, random) => {
  const suspend = random.chance(0.3)
  world.pauses.freeze(victim(world, random), random.between(100, 6_000), { suspend })
}

/** The wall clock is set. */
export const stepWall: Fault = (world, random) => {
  const id = member(world, random)
  const byMs = random.pick([1, -1]) * random.pick([300, 5_000, 3_600_000])
  // A step forwards looks as if the machine had been suspended.
  world.disturbances += 1
  world.timeline.add(world.nowMs, id, 'stepWall', byMs)
  world.machine(id).clock.stepWall(byMs)
}

/** The application cannot make snapshots for a while. */
export const failSnapshot: Fault = (world, random) => {
  const { process } = world.machine(member(world, random))
  if (process === undefined) return
  world.timeline.add(world.nowMs, process.id, 'failSnapshot')
  process.register.givesSnapshots = false
  world.endsAfter(random.between(1_000, 8_000), () => {
    process.register.givesSnapshots = true
  })
}
