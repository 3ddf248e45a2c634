/** What goes wrong, by a schedule that comes from the seed. */
import { segmentName } from '../../replication/journal-format.js'
import type { SeededRandom } from './seeded-random.js'
import type { World } from './world.js'

/** Kinds of schedules. */
export const profileNames = ['calm', 'single', 'crashes', 'disk', 'network', 'everything'] as const
/** `calm`: none; `single`: one at a time, with time to recover; the others say what fails. */
export type ProfileName = (typeof profileNames)[number]

/** One kind of fault; it does nothing where it does not fit. */
type Fault = (world: World, random: SeededRandom) => void

const member = (world: World, random: SeededRandom): string => random.pick(world.members).id

function two(world: World, random: SeededRandom): [string, string] | undefined {
  const [one, other] = [member(world, random), member(world, random)]
  return one === other ? undefined : [one, other]
}

/** More often the active than chance would have it. */
function victim(world: World, random: SeededRandom): string {
  const actives = world.actives()
  return actives.length > 0 && random.chance(0.5) ? random.pick(actives) : member(world, random)
}

const kill: Fault = (world, random) => world.kill(victim(world, random))

const powerOff: Fault = (world, random) => {
  const id = victim(world, random)
  world.powerOff(id)
  world.later(random.between(500, 6_000), () => world.powerOn(id))
}

const start: Fault = (world) => {
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  for (const { id } of idle.slice(0, 1)) world.start(id)
}

const stop: Fault = (world, random) => {
  const id = victim(world, random)
  const { running } = world.machine(id)
  if (running?.started === 'started') void world.stop(id)
}

const switchover: Fault = (world, random) => {
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

const takeOver: Fault = (world, random) => {
  const { running } = world.machine(member(world, random))
  if (running === undefined || !(running.node.status().stuck ?? '').startsWith('holding')) return
  world.takeOver(running)
}

const freeze: Fault = (world, random) => {
  const suspend = random.chance(0.3)
  world.freeze(victim(world, random), random.between(100, 6_000), { suspend })
}

const cut: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair !== undefined) world.cut(...pair, { oneWay: random.chance(0.5) })
}

const isolate: Fault = (world, random) => {
  const id = victim(world, random)
  world.partition(
    [id],
    world.members.map((one) => one.id).filter((one) => one !== id),
  )
}

const isolateActive: Fault = (world) => {
  const [id] = world.actives()
  if (id === undefined) return
  world.partition(
    [id],
    world.members.map((one) => one.id).filter((one) => one !== id),
  )
}

const heal: Fault = (world, random) => world.heal({ break: random.chance(0.5) })

const slow: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  world.slow(...pair, random.between(20, 900))
  world.later(random.between(500, 5_000), () => world.slow(...pair, 1))
}

const reset: Fault = (world, random) => {
  const pair = two(world, random)
  if (pair === undefined) return
  world.timeline.add(world.nowMs, pair[0], 'reset', pair[1])
  world.network.breakConnections(`${pair[0]}:1`, `${pair[1]}:1`)
}

const fullDisk: Fault = (world, random) => {
  const id = member(world, random)
  const { storage, process } = world.machine(id)
  if (process?.node.role === 'active' && random.chance(0.8)) return
  world.timeline.add(world.nowMs, id, 'diskFull')
  storage.faults.full = true
  world.later(random.between(500, 6_000), () => {
    storage.faults.full = false
  })
}

const failedSync: Fault = (world, random) => {
  const id = member(world, random)
  world.timeline.add(world.nowMs, id, 'failNextSync')
  world.machine(id).storage.faults.failNextSync = true
}

const slowDisk: Fault = (world, random) => {
  const id = member(world, random)
  const { faults } = world.machine(id).storage
  const latencyMs = random.between(10, 4_000)
  world.disturbances += 1
  world.timeline.add(world.nowMs, id, 'slowDisk', latencyMs)
  faults.latency = (operation) => (operation === 'log.append' ? latencyMs : 1)
  world.later(random.between(500, 6_000), () => {
    faults.latency = world.diskLatency
  })
}

/** A bit of a stopped node's journal turns over, while others have the same data. */
const flip: Fault = (world, random) => {
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  const machine = idle[0]
  if (machine === undefined || world.actives().length === 0) return
  for (const name of segmentNames(world.writes.length)) {
    if (!machine.storage.flipBit({ kind: 'log', area: 'journal', name }, random)) continue
    world.timeline.add(world.nowMs, machine.id, 'flip', name)
    world.excuse('damage', machine.id)
    machine.damaged = true
    return
  }
}

/** Every name that a first or second segment may have: nobody lists the logs of a storage that is closed. */
function* segmentNames(changes: number): Generator<string> {
  for (let number = 1; number <= 2; number += 1) {
    for (let seq = 1; seq <= changes + 1; seq += 1) yield segmentName(seq, number)
  }
}

type Weighted = readonly [number, Fault]

const crashes: readonly Weighted[] = [
  [3, kill],
  [1, powerOff],
  [6, start],
  [2, stop],
  [3, switchover],
  [1, takeOver],
]
const disks: readonly Weighted[] = [
  [2, fullDisk],
  [1, failedSync],
  [2, slowDisk],
  [1, flip],
]
const links: readonly Weighted[] = [
  [2, cut],
  [1, isolate],
  [4, heal],
  [2, slow],
  [2, reset],
]
const pauses: readonly Weighted[] = [[2, freeze]]

const profiles: Record<ProfileName, readonly Weighted[]> = {
  calm: [],
  single: [
    [3, kill],
    [2, powerOff],
    [2, stop],
    [2, switchover],
    [2, freeze],
    [2, isolateActive],
    [1, reset],
  ],
  crashes,
  disk: [...crashes, ...disks],
  network: [...links, [1, kill], [3, start], [1, switchover]],
  everything: [...crashes, ...disks, ...links, ...pauses],
}

/** Lets one thing go wrong. */
export function fail(world: World, random: SeededRandom, profile: ProfileName): void {
  const faults = profiles[profile]
  const total = faults.reduce((sum, [weight]) => sum + weight, 0)
  let left = random.number() * total
  for (const [weight, fault] of faults) {
    left -= weight
    if (left >= 0) continue
    fault(world, random)
    return
  }
}
