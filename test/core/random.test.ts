import { describe, expect, it } from 'vitest'
import { compareFreshness, relate } from '../../src/history/position.js'
import { names, settled } from './clusters.js'
import { emptyDisk, replaceDisk } from './disks.js'
import { generator, type Random, seeds, withSeed } from './seeds.js'
import { World } from './world.js'
import type { Disk } from './world-types.js'

function fault(world: World, random: (below: number) => number): void {
  const ids = world.members.map((member) => member.id)
  const pick = (): string => ids[random(ids.length)] ?? ''
  const [one, other] = [pick(), pick()]
  switch (random(17)) {
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
    case 15:
      world.node(one).ineligible = random(2) === 0 ? 'disk full' : undefined
      world.factsChanged(one)
      break
    case 16:
      world.node(one).fetchMs = random(9_000)
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
  for (const node of world.nodes.values()) {
    node.fetchable = true
    node.fetchMs = 0
    node.ineligible = undefined
    world.factsChanged(node.id)
  }
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

  it('GEN-2: disks that are replaced, emptied, restored or forgetful: no loss goes unreported', () => {
    for (const seed of seeds(12)) {
      const random = generator(seed)
      const count = 2 + random(3)
      const world = settled(count, {
        onMissingPeer: random(3) === 0 ? 'hold' : 'takeOver',
        order: random(3) === 0 ? 'list' : 'freshest',
      })
      world.latencyMs = 1 + random(10)
      world.diskMs = 1 + random(10)
      world.memoryAcks = random(3) === 0
      withSeed(seed, world, () => {
        const older = new Map<string, Disk>()
        for (let round = 0; round < 10; round += 1) loseDisks(world, random, older)
      })
    }
  })
})

/**
 * One or two machines fail, one of them may come back with another disk; afterwards one is active,
 * and every loss was told.
 */
function loseDisks(world: World, random: Random, older: Map<string, Disk>): void {
  const ids = world.members.map(({ id }) => id)
  const pick = (): string => ids[random(ids.length)] ?? ''
  world.said = []
  writeUnevenly(world, random, pick())
  failSome(world, random, pick, older)
  const weak = world.node(pick())
  weak.ineligible = random(3) === 0 ? 'disk full' : undefined
  if (weak.alive) world.factsChanged(weak.id)
  world.node(pick()).fetchMs = random(2) === 0 ? random(8_000) : 0
  world.run(random(5_000))
  for (const node of world.nodes.values()) {
    start(world, node.id)
    world.run(random(1_500))
  }
  weak.ineligible = undefined
  world.factsChanged(weak.id)
  world.run(25_000)
  const ordered = world.actives().length === 0 ? orderTakeover(world) : []
  for (const node of world.nodes.values()) node.fetchMs = 0
  expect(world.actives()).toHaveLength(1)
  const [active = ''] = world.actives()
  for (const id of ids) if (id !== active) expect(world.role(id), id).toBe('standby')
  expect(world.ledger.settle(world.node(active).disk, new Set([...named(world), ...ordered]))).toBe(
    0,
  )
  const one = pick()
  older.set(one, structuredClone(world.node(one).disk))
}

/**
 * What fails, and what comes back at once: that a holder of acknowledged writes is back in time is
 * the sharp case.
 */
function failSome(
  world: World,
  random: Random,
  pick: () => string,
  older: Map<string, Disk>,
): void {
  const [active = ''] = world.actives()
  const victims = random(2) === 0 ? [active, pick()] : [pick(), active]
  const [first = '', second = ''] = victims
  // Whoever stands still is heard again after the others went on.
  if (random(3) === 0) world.freeze(second, 1_000 + random(7_000))
  else if (random(2) === 0) kill(world, second)
  kill(world, first)
  const replaced = random(4)
  for (const id of victims) {
    if (world.node(id).alive) continue
    // One disk at a time: what was on two that are lost nobody can know of.
    const kind = id === first ? replaced : 3
    if (kind === 0) replaceDisk(world, id, emptyDisk())
    if (kind === 1) replaceDisk(world, id, older.get(id) ?? emptyDisk())
    // Not the machine's disk but the process forgot what was in memory.
    if (random(2) === 0) start(world, id)
  }
}

function kill(world: World, id: string): void {
  if (world.node(id).alive) world.kill(id)
}

function start(world: World, id: string): void {
  world.node(id).lazy = false
  if (!world.node(id).alive) world.start(id)
}

/** Some writes that one standby does not get, and some that a disk does not take. */
function writeUnevenly(world: World, random: Random, slow: string): void {
  const [active = ''] = world.actives()
  for (let writes = random(4); writes > 0; writes -= 1) world.write(active)
  world.run(random(600))
  if (slow !== active) world.node(slow).lagging = true
  const lazy = [...world.nodes.values()][random(world.nodes.size)]
  if (lazy !== undefined && random(2) === 0) lazy.lazy = true
  for (let writes = random(4); writes > 0; writes -= 1) world.write(active)
  world.run(random(300))
  world.node(slow).lagging = false
}

/** What an operator does where everybody holds: the node with the most goes on. */
function orderTakeover(world: World): string[] {
  const all = [...world.nodes.values()].sort((left, right) =>
    compareFreshness(right.disk, left.disk),
  )
  const [best, ...others] = all.map(({ id }) => id)
  expect(world.said.some(({ event }) => event?.name === 'holding')).toBe(true)
  world.command(best ?? '', { name: 'takeOver', withoutPeers: others })
  world.run(15_000)
  return others
}

function named(world: World): string[] {
  return world.said.flatMap(({ event }) =>
    event?.name === 'possibleLoss' || event?.name === 'unprovenStart' ? event.missing : [],
  )
}
