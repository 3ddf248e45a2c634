import { describe, expect, it } from 'vitest'
import { relate } from '../../src/replication/position.js'
import { names, settled } from './clusters.js'
import { World } from './world.js'

/** A small seeded generator: the seed is in every failure, and replays it. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function seeds(count: number): number[] {
  const first = Number(process.env.CORE_SEED ?? 1)
  const wanted = process.env.CORE_SEED === undefined ? count : Number(process.env.CORE_SEEDS ?? 1)
  return Array.from({ length: wanted }, (_, at) => first + at)
}

function withSeed(seed: number, world: World, run: () => void): void {
  try {
    run()
  } catch (cause) {
    const tail = world.said.slice(-60).map((said) => `${said.atMs} ${said.node} ${said.what}`)
    throw new Error(`CORE_SEED=${seed}\n${tail.join('\n')}\n${world.describe()}`, { cause })
  }
}

function fault(world: World, random: (below: number) => number): void {
  const ids = world.members.map((member) => member.id)
  const pick = (): string => ids[random(ids.length)] ?? ''
  const [one, other] = [pick(), pick()]
  switch (random(15)) {
    case 0:
    case 1:
      if (world.node(one).alive) world.kill(one)
      break
    case 2:
    case 3:
    case 4:
      if (!world.node(one).alive) world.start(one)
      break
    case 5:
      if (one !== other) world.cutLink(one, other, random(2) === 0)
      break
    case 6:
    case 7:
      world.cuts.clear()
      world.closed.clear()
      world.refusals.clear()
      break
    case 12:
      world.closed.add(one)
      break
    case 13:
      world.refusals.add(`${one}>${other}`)
      break
    case 14:
      // One of the two connections between them ends; the process at the other end is the same.
      world.breakLink(one, other)
      break
    case 8:
      world.freeze(one, random(6_000))
      break
    case 9:
      if (world.node(one).alive) world.command(one, { name: 'switchover', to: undefined })
      break
    case 10:
      world.node(one).fetchable = !world.node(one).fetchable
      break
    default:
      if (random(4) === 0 && world.node(one).alive) world.command(one, { name: 'stop' })
  }
}

/** Ends all faults, and checks what must come true then. */
function recover(world: World): void {
  world.cuts.clear()
  world.closed.clear()
  world.refusals.clear()
  for (const node of world.nodes.values()) node.fetchable = true
  world.run(7_000)
  for (const node of world.nodes.values()) if (!node.alive) world.start(node.id)
  world.run(40_000)
  const actives = world.actives()
  expect(actives.length).toBeGreaterThan(0)
  for (const left of actives) {
    for (const right of actives) {
      if (left === right) continue
      // Two actives stay only where both have changes of their own: that is for the heal.
      const { kind } = relate(world.node(left).disk, world.node(right).disk)
      expect(['diverged', 'unrelated', 'equal']).toContain(kind)
      const incidents = world.said.filter((said) => said.event?.name === 'splitBrain')
      expect(incidents.length).toBeGreaterThan(0)
    }
  }
  // What an operator does as long as nothing heals by itself.
  for (const id of actives.slice(1)) {
    world.kill(id)
    world.run(3_000)
    world.start(id)
  }
  world.run(10_000)
  expect(world.actives()).toHaveLength(1)
  // Whoever has changes that could not be fetched from it follows when there is a fork.
  world.write(world.actives()[0] ?? '')
  world.run(1_000)
  for (const { id } of world.members) {
    if (!world.actives().includes(id)) expect(world.role(id), id).toBe('standby')
  }
}

describe('random schedules', () => {
  it('any faults at any time: the invariants hold, and the cluster recovers', () => {
    for (const seed of seeds(12)) {
      const random = generator(seed)
      const world = new World(names(2 + random(3)))
      world.latencyMs = 1 + random(20)
      world.diskMs = 1 + random(20)
      withSeed(seed, world, () => {
        for (const { id } of world.members) if (random(4) > 0) world.start(id)
        for (let phase = 0; phase < 4; phase += 1) {
          for (let steps = 0; steps < 60; steps += 1) {
            if (random(3) === 0) fault(world, random)
            for (const id of world.actives()) if (random(2) === 0) world.write(id)
            world.run(random(4) === 0 ? random(3_000) : random(150))
          }
          recover(world)
        }
      })
    }
  })

  it('one node lost at a time: no acknowledged write is lost, and never two actives', () => {
    for (const seed of seeds(10)) {
      const random = generator(seed)
      const count = 2 + random(3)
      const world = settled(count)
      world.latencyMs = 1 + random(10)
      world.diskMs = 1 + random(10)
      withSeed(seed, world, () => {
        for (let round = 0; round < 15; round += 1) {
          for (let writes = random(5); writes >= 0; writes -= 1)
            world.write(world.actives()[0] ?? '')
          world.run(random(50))
          const victim = names(count)[random(count)] ?? ''
          const frozen = random(3) === 0
          if (frozen) world.freeze(victim, 3_000 + random(5_000))
          else world.kill(victim)
          world.run(random(4_000))
          if (frozen) world.run(9_000)
          else world.start(victim)
          world.run(12_000)
          expect(world.actives()).toHaveLength(1)
          const [active = ''] = world.actives()
          expect(world.ledger.lost(world.node(active).disk)).toBe(0)
          for (const id of names(count)) if (id !== active) expect(world.role(id)).toBe('standby')
        }
      })
    }
  })
})
