/** The end of all faults, and what must come true then by itself: one active, all others in sync with it. */
import type { Process } from './machine.js'
import type { SeededRandom } from './seeded-random.js'
import type { Workload } from './workload.js'
import type { World } from './world.js'

/** How long a cluster may take until it is well, once nothing is wrong any more. */
const boundMs = 90_000
/** After this long nothing changes any more where two actives met. */
const splitMs = 15_000
const lookMs = 250

/** Mends everything, starts everybody, and waits. False when the cluster does not recover, which is reported. */
export async function recover(
  world: World,
  random: SeededRandom,
  load: Workload,
): Promise<boolean> {
  world.timeline.add(world.nowMs, 'world', 'recover')
  world.mend()
  load.resume()
  const beganMs = world.nowMs
  let splitSinceMs: number | undefined
  while (world.nowMs - beganMs < boundMs) {
    startIdle(world)
    await world.run(lookMs)
    if (world.nowMs - beganMs > splitMs) {
      restartStuck(world)
      await giveUpDamaged(world, load)
    }
    const split = world.actives().length > 1
    splitSinceMs = split ? (splitSinceMs ?? world.nowMs) : undefined
    if (splitSinceMs !== undefined && world.nowMs - splitSinceMs > splitMs) {
      await resolve(world, random)
      splitSinceMs = undefined
    }
    const calm = world.nowMs - beganMs > 1_000
    if (calm) load.pause()
    if (calm && missing(world) === undefined) return await stays(world)
  }
  world.violate(
    'recovery',
    `not recovered after ${boundMs} ms: ${missing(world)}\n${world.describe()}`,
  )
  return false
}

function startIdle(world: World): void {
  for (const machine of world.machines.values()) {
    if (machine.process === undefined && !machine.off) world.start(machine.id)
  }
}

/** What the errors of a disk that failed and of a full vault say that an operator does: a restart, with more room. */
function restartStuck(world: World): void {
  for (const { id, node } of world.processes) {
    const { stuck = '' } = node.status()
    const vaultIsFull = stuck.startsWith('VAULT_FULL')
    if (vaultIsFull) world.makeRoom(id)
    if (vaultIsFull || stuck.startsWith('STORAGE_FAILED')) world.kill(id)
  }
}

/** What an operator does when the only copy of the last changes is damaged: the best of the others takes over without it. */
async function giveUpDamaged(world: World, load: Workload): Promise<void> {
  const damaged = [...world.machines.values()].some((machine) => machine.damaged)
  if (!damaged || world.actives().length > 0) return
  const holding = world.processes.filter(({ node }) => {
    const { complete, stuck } = node.status()
    return complete && stuck?.startsWith('holding') === true
  })
  const seq = ({ copy }: Process): number => copy?.seq ?? 0
  const [best] = holding.sort((left, right) => seq(right) - seq(left))
  if (best === undefined) return
  world.takeOver(best)
  // The damaged one gives way to a history that goes on without its changes, not to one that only lacks them.
  load.resume()
  await world.run(3_000)
}

/** What an operator does while split brains do not heal: keeps one active, and restarts the others. */
async function resolve(world: World, random: SeededRandom): Promise<void> {
  const actives = world.actives()
  for (const id of actives) {
    const reported = world.excuses.some(({ kind, node }) => kind === 'splitBrain' && node === id)
    if (!reported)
      world.violate(
        'recovery',
        `${id} is one of two actives that meet, and did not report splitBrain`,
      )
  }
  const stays = keeper(world, random, actives)
  world.timeline.add(world.nowMs, 'world', 'resolve', { stays })
  for (const id of actives) if (id !== stays) world.kill(id)
  await world.run(3_000)
}

/** In a schedule with single faults the newest term, which is the one that has everything acknowledged. */
function keeper(world: World, random: SeededRandom, actives: readonly string[]): string {
  if (!world.strict) return random.pick(actives)
  const epoch = (id: string): number => world.process(id).node.status().term?.epoch ?? 0
  return [...actives].sort((left, right) => epoch(right) - epoch(left))[0] ?? ''
}

/** What is missing until all nodes are there, one is active, and all others are in sync with it; undefined when nothing is. */
export function missing(world: World): string | undefined {
  const actives = world.actives()
  const [active] = actives
  if (active === undefined || actives.length > 1) return `${actives.length} actives`
  const { copy, node } = world.process(active)
  const { inSync, degraded } = node.status()
  if (world.members.length > 1 && degraded) return `${active} is degraded`
  for (const { id, observer } of world.members) {
    const { process } = world.machine(id)
    if (process === undefined || process.started !== 'started') return `${id} is not started`
    // A fault that began before the recovery takes as long as a slow disk lets it.
    if (process.stopping !== undefined) return `${id} stops`
    if (id !== active && process.node.role !== 'standby') return `${id} is ${process.node.role}`
    if (id !== active && observer !== true && !inSync.includes(id)) return `${id} is not in sync`
    const { seq, durableSeq, appliedSeq } = process.copy ?? {}
    const current = seq === copy?.seq && durableSeq === seq && appliedSeq === seq
    if (!current)
      return `${id} is at ${seq}, durable ${durableSeq}, applied ${appliedSeq}, ${active} at ${copy?.seq}`
  }
  return world.openWrites > 0 ? `${world.openWrites} writes are not answered` : undefined
}

/** Once well, it stays so. */
async function stays(world: World): Promise<boolean> {
  const [active] = world.actives()
  await world.run(1_500)
  const changed = missing(world)
  if (changed === undefined && world.actives()[0] === active) return true
  world.violate(
    'recovery',
    `was in step with ${active}, and then: ${changed ?? 'another active'}\n${world.describe()}`,
  )
  return false
}
