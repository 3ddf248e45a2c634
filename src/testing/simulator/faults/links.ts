/** Faults of the links between machines. */
import type { Fault } from './fault.js'
import { two, victim } from './fault.js'

export const cut: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  world.links.cut(...pair, { oneWay: random.chance(0.5), inFlight: random.chance(0.5) })
}

export const isolate: Fault = (world, random) => {
  const id = victim(world, random)
  world.links.partition(
    [id],
    world.members.map((one) => one.id).filter((one) => one !== id),
  )
}

export const isolateActive: Fault = (world) => {
  const [id] = world.actives()
  if (id === undefined) return
  world.links.partition(
    [id],
    world.members.map((one) => one.id).filter((one) => one !== id),
  )
}

export const heal: Fault = (world, random) => world.links.heal({ break: random.chance(0.5) })

export const slow: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  world.links.slow(...pair, random.between(20, 900))
  world.later(random.between(500, 5_000), () => world.links.slow(...pair, 1))
}

export const reset: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  world.timeline.add(world.nowMs, pair[0], 'reset', pair[1])
  world.network.breakConnections(`${pair[0]}:1`, `${pair[1]}:1`)
}

/** Lost packets: frames arrive late and in bursts, and some connections break. */
export const lossy: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  const resendRate = random.pick([0.02, 0.1, 0.3])
  const quality = { resendRate, lossRate: random.chance(0.3) ? 0.01 : 0 }
  world.links.degrade(...pair, 'lossy', quality, random.between(500, 8_000))
}

/** A link with little bandwidth. */
export const narrow: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  const bytesPerSecond = random.pick([8, 40, 200, 1_000]) * 1024
  world.links.degrade(...pair, 'narrow', { bytesPerSecond }, random.between(1_000, 8_000))
}

/** One side loses its connections, and the other side does not notice. */
export const halfOpen: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  const [one, other] = pair
  world.links.disturb(one, 'halfOpen', other)
  world.network.forget(`${one}:1`, `${other}:1`)
  // At the end of the fault the other side notices.
  world.endsAfter(random.between(5_000, 20_000), () =>
    world.network.breakConnections(`${one}:1`, `${other}:1`),
  )
}

/**
 * The node cannot be dialled, while its own dials succeed; after a restart it has no incoming
 * connections at all.
 */
export const closePort: Fault = (world, random) => {
  const id = victim(world, random)
  world.links.disturb(id, 'closePort')
  world.network.closePort(`${id}:1`)
  world.endsAfter(random.between(2_000, 15_000), () => world.network.openPort(`${id}:1`))
  if (random.chance(0.6)) return
  world.kill(id)
  const { process, off } = world.machine(id)
  if (process === undefined && !off) world.start(id)
}

/** The process runs, but does not read from its connections. */
export const unread: Fault = (world, random) => {
  const id = victim(world, random)
  if (world.pauses.frozen.includes(id)) return
  world.links.disturb(id, 'unread')
  world.network.freeze(`${id}:1`)
  world.endsAfter(random.between(500, 8_000), () => {
    if (!world.pauses.frozen.includes(id)) world.network.thaw(`${id}:1`)
  })
}
