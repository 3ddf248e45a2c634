/** One run, which is determined by its seed. */
import { allCheckers } from './checkers/index.js'
import { nodesOf, rareChoicesOf, worldOptions } from './choices.js'
import type { ProfileName } from './faults.js'
import { fail, profileNames } from './faults.js'
import { SeededRandom } from './machine/seeded-random.js'
import { drained } from './machine/virtual-clock.js'
import { recover } from './recovery.js'
import type { Violation } from './stage.js'
import { Workload } from './workload.js'
import { World } from './world.js'

/** Options of a run besides its seed. Where one is omitted, the seed decides. */
export interface SimulationOptions {
  readonly nodes?: number
  readonly profile?: ProfileName
  /** Called with each line of the timeline. */
  readonly verbose?: (line: string) => void
}

/** The result of a run. */
export interface SimulationResult {
  readonly seed: number
  readonly profile: ProfileName
  readonly nodes: number
  readonly violations: readonly Violation[]
  /** The same for every run of a seed. */
  readonly hash: string
  readonly virtualMs: number
  readonly events: number
  readonly writes: number
  readonly acknowledged: number
  /** How often each kind of fault, event and write happened. */
  readonly counts: ReadonlyMap<string, number>
  /** The end of the timeline. */
  readonly tail: readonly string[]
}

/**
 * Runs a cluster of real nodes through the faults of a seed, and checks every promise.
 *
 * @param seed - a whole number; the same one gives the same run
 */
export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  const random = new SeededRandom(seed)
  // Drawn even if an option overrides them, so that options change nothing else about the run.
  const drawn = { profile: profileOf(random), nodes: nodesOf(random) }
  const { profile = drawn.profile, nodes = drawn.nodes } = options
  const corners = rareChoicesOf(seed)
  const world = new World(worldOptions({ seed, nodes, random, corners, verbose: options.verbose }))
  world.strict = profile === 'single' || profile === 'calm'
  world.check(...allCheckers)
  const load = new Workload(world, { everyMs: random.pick([60, 150, 300]), ...corners.load })
  const unhandled = (error: unknown): void => {
    world.violate(
      'unhandled',
      `an unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`,
    )
  }
  process.on('unhandledRejection', unhandled)
  // Errors are frequent here, and capturing their stack traces would cost more than everything else
  // about them.
  const { stackTraceLimit } = Error
  if (options.verbose === undefined) Error.stackTraceLimit = 0
  try {
    await play(world, random, profile, load)
  } catch (error) {
    world.violate('run', error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    end(world)
    await drained()
    Error.stackTraceLimit = stackTraceLimit
    process.off('unhandledRejection', unhandled)
  }
  const acknowledged = world.writes.filter(({ outcome }) => outcome.kind === 'acknowledged').length
  return {
    seed,
    profile,
    nodes,
    violations: world.violations,
    hash: world.timeline.digest(),
    virtualMs: world.nowMs,
    events: world.clock.events,
    writes: world.writes.length,
    acknowledged,
    counts: world.timeline.counts,
    tail: world.timeline.tail(),
  }
}

function profileOf(random: SeededRandom): ProfileName {
  const rare = random.chance(0.04)
  return rare ? 'calm' : random.pick(profileNames.filter((name) => name !== 'calm'))
}

async function play(
  world: World,
  random: SeededRandom,
  profile: ProfileName,
  load: Workload,
): Promise<void> {
  await begin(world, random, profile, load)
  if (!(await recover(world, random, load))) return
  await world.quiet()
  for (
    let phase = profile === 'single' ? 4 : 2;
    phase > 0 && world.violations.length === 0;
    phase -= 1
  ) {
    load.resume()
    world.replacedInPhase = false
    await disturb(world, random, profile)
    if (!(await recover(world, random, load))) return
    await world.quiet()
  }
}

/** Starts all nodes, at once or one after the other. */
async function begin(
  world: World,
  random: SeededRandom,
  profile: ProfileName,
  load: Workload,
): Promise<void> {
  if (world.intruder !== undefined) world.start(world.intruder.id, world.intruder)
  const together = profile === 'calm' || profile === 'single' || random.chance(0.6)
  if (together) {
    world.startAll()
    await world.until(() => world.actives().length === 1, 15_000)
    return
  }
  load.resume()
  for (const { id } of world.members) {
    world.start(id)
    await world.run(random.between(0, 4_000))
  }
}

async function disturb(world: World, random: SeededRandom, profile: ProfileName): Promise<void> {
  const untilMs = world.nowMs + random.between(6_000, 20_000)
  if (profile === 'calm' || profile === 'single') {
    await world.run(random.between(200, 3_000))
    fail(world, random, profile)
    await world.run(random.between(0, 8_000))
    return
  }
  while (world.nowMs < untilMs) {
    await world.run(random.chance(0.3) ? random.below(60) : random.below(2_500))
    fail(world, random, profile)
  }
}

function end(world: World): void {
  for (const { id } of world.members) world.kill(id)
  if (world.intruder !== undefined) world.kill('stranger', world.intruder)
}
