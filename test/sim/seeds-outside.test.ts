import { describe, expect, it } from 'vitest'
import { allCheckers } from '../../src/testing/simulator/checkers/index.js'
import { isSyncedPath } from '../../src/testing/simulator/observed/content.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import { World } from '../../src/testing/simulator/world.js'
import { inStep, quit } from './support.js'

// Nodes are stopped and killed at any time, also while they adopt changes that were made to files
// of a stopped node.

const seeds = Number(process.env.OUTSIDE_SEEDS ?? 4)
const firstSeed = Number(process.env.OUTSIDE_SEED ?? 22_000_000)

/** Edits, adds and removes files of a node that does not run. */
function tamper(world: World, id: string): void {
  const { outside } = world.machine(id).storage
  const { random } = world
  const known = outside.list().filter((path) => isSyncedPath(path) && !path.includes('whole'))
  const count = 1 + random.below(random.below(10) === 0 ? 300 : 10)
  for (let at = 0; at < count; at += 1) {
    const path =
      random.below(3) === 0 || known.length === 0
        ? `data/outside/${random.below(40)}`
        : (known[random.below(known.length)] ?? '')
    const size = random.below(20) === 0 ? 150_000 : random.below(200)
    if (random.below(3) === 0) outside.remove(path)
    else outside.write(path, random.bytes(size))
  }
}

async function schedule(seed: number): Promise<World> {
  const world = new World({
    seed,
    nodes: 2 + (seed % 2),
    diskMs: seed % 4,
    latencyMs: 1 + (seed % 3),
  })
  world.check(...allCheckers)
  world.startAll()
  await inStep(world)
  if (seed % 4 === 3) {
    // Adopting takes longer than others wait for a term to be opened. Reads of the application are
    // not slowed, because they would queue up without end.
    for (const machine of world.machines.values()) {
      const takesIn = (): boolean => machine.process?.node.role === 'discovering'
      machine.storage.faults.latency = (operation) =>
        operation === 'tree.read' && takesIn() ? 1_200 : 1
    }
  }
  const load = new Workload(world, { everyMs: 20 })
  load.resume()
  // A node without history does not start when it finds files.
  await world.run(2_000)
  const { random } = world
  for (let round = 0; round < 8; round += 1) {
    const down = world.members.map(({ id }) => id).filter(() => random.below(2) === 0)
    for (const id of down) {
      if (random.below(2) === 0) await world.settle(world.stop(id))
      else world.kill(id)
      if (random.below(3) > 0) tamper(world, id)
    }
    await world.run(random.below(6_000))
    for (const id of down) {
      world.start(id)
      await world.run(random.below(random.below(4) === 0 ? 3_000 : 60))
      if (random.below(3) > 0) continue
      world.kill(id)
      if (random.below(2) === 0) tamper(world, id)
      world.start(id)
    }
    await world.run(random.below(4_000))
  }
  load.pause()
  await inStep(world, 60_000)
  await world.quiet()
  return world
}

describe('files that are changed by hand while their node does not run', () => {
  it.each(Array.from({ length: seeds }, (_, at) => firstSeed + at))(
    'OPS-2: are equal on all nodes in the end (seed %i)',
    { timeout: 60_000 },
    async (seed) => {
      const world = await schedule(seed)
      const lines = world.timeline.tail(80).join('\n')
      expect(world.violations, `${lines}\n${world.describe()}`).toEqual([])
      quit(world)
    },
  )
})
