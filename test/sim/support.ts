import { expect } from 'vitest'
import type { AckLevel, Durability } from '../../src/policy/class-options.js'
import { allCheckers } from '../../src/testing/simulator/checkers/index.js'
import type { WriteRecord } from '../../src/testing/simulator/record/writes.js'
import { missing } from '../../src/testing/simulator/recovery.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import { World } from '../../src/testing/simulator/world.js'
import type { WorldOptions } from '../../src/testing/simulator/world-options.js'

/** A world with all checkers, in which all nodes are started and in step. */
export async function settled(options: Partial<WorldOptions> = {}): Promise<World> {
  const world = watched(options)
  world.startAll()
  await inStep(world)
  return world
}

export function watched(options: Partial<WorldOptions> = {}): World {
  const world = new World({ seed: 1, ...options })
  world.check(...allCheckers)
  return world
}

export async function inStep(world: World, maxMs = 30_000): Promise<void> {
  const untilMs = world.nowMs + maxMs
  while (missing(world) !== undefined) {
    if (world.nowMs >= untilMs) {
      const lines = world.timeline.tail(80).join('\n')
      throw new Error(`${missing(world)}\n${world.describe()}\n${lines}`)
    }
    await world.run(10)
  }
}

/** Waits for a condition. */
export async function until(
  world: World,
  condition: () => boolean,
  maxMs = 30_000,
): Promise<number> {
  const beganMs = world.nowMs
  const came = await world.until(condition, maxMs)
  if (!came)
    throw new Error(
      `not within ${maxMs} ms\n${world.describe()}\n${world.timeline.tail(60).join('\n')}`,
    )
  return world.nowMs - beganMs
}

/** The end of a scenario: expects all nodes in step and no violation. */
export async function allIsWell(world: World): Promise<void> {
  await inStep(world)
  await world.quiet()
  noViolation(world)
  quit(world)
}

export function noViolation(world: World): void {
  const lines = world.timeline.tail(60).join('\n')
  expect(world.violations, `seed ${world.seed}\n${lines}\n${world.describe()}`).toEqual([])
}

/** Ends all processes. */
export function quit(world: World): void {
  for (const { id } of world.members) world.kill(id)
}

let writes = 0

/** Makes one write on a node, and waits until it is settled. */
export async function write(
  world: World,
  id: string,
  path = 'data/file',
  options: { ack?: AckLevel; bytes?: number; durability?: Durability } = {},
): Promise<WriteRecord> {
  writes += 1
  const load = new Workload(world)
  const bytes = new Uint8Array(options.bytes ?? 20).fill(writes)
  const record = load.write(
    world.process(id),
    { kind: 'put', path, bytes },
    { durability: options.durability ?? 'disk', ack: options.ack ?? 'standby' },
  )
  await world.until(() => record.outcome.kind !== 'open', 20_000)
  return record
}

/** Writes steadily. */
export function busy(world: World, everyMs = 20): Workload {
  const load = new Workload(world, { everyMs, largeShare: 0 })
  load.resume()
  return load
}

export function roles(world: World, id: string): string[] {
  return world.events.flatMap((event) =>
    event.node === id && event.name === 'role' ? [(event.event as { role: string }).role] : [],
  )
}

export function eventsOf(world: World, id: string, name: string): unknown[] {
  return world.events.flatMap((event) =>
    event.node === id && event.name === name ? [event.event] : [],
  )
}

export function code(record: WriteRecord): string {
  return 'code' in record.outcome ? record.outcome.code : record.outcome.kind
}

/** The outcome of a command: its error code, or `done`. */
export async function answer(world: World, work: Promise<unknown>): Promise<string> {
  try {
    await world.settle(work)
    return 'done'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
