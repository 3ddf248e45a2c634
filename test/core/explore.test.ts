/**
 * Bounded exploration: from a few starting points every order of deliveries, disk answers and short
 * waits, with some messages lost and some crashes. The ledger checks each step; from a sample of
 * the ends the world runs on fairly and has to settle on one active.
 */
import { describe, expect, it } from 'vitest'
import { settled } from './clusters.js'
import { emptyDisk, replaceDisk } from './disks.js'
import { World } from './world.js'
import type { Item, NodeSim, WorldOptions } from './world-types.js'

const quick: WorldOptions = {
  heartbeatMs: 100,
  deadMs: 300,
  discoveryMs: 200,
  startupWaitMs: 500,
  degradeAfterMs: 300,
  switchoverMs: 800,
}

interface Budget {
  readonly drops: number
  readonly crashes: number
  readonly starts: number
  readonly waits: number
}

interface State {
  readonly world: World
  readonly budget: Budget
  readonly path: readonly string[]
}

interface Limits extends Budget {
  readonly depth: number
  readonly states: number
}

const statesMax = Number(process.env.CORE_STATES ?? 300)

describe('bounded exploration', () => {
  const none = { drops: 0, crashes: 0, starts: 0, waits: 0 }

  it('ROL-4: two nodes start, a message is lost, one crashes and comes back', () => {
    const world = new World(['n1', 'n2'], { ...quick, manual: true })
    world.start('n1')
    world.start('n2')
    explore(world, {
      ...none,
      drops: 1,
      crashes: 1,
      starts: 1,
      waits: 4,
      depth: 30,
      states: statesMax,
    })
  })

  it('ROL-6: the active of two crashes, the standby too, and they come back', () => {
    const world = byHand(settled(2, quick))
    world.kill('n1')
    explore(world, { ...none, crashes: 1, starts: 2, waits: 5, depth: 30, states: statesMax })
  })

  it('ROL-17: the active of three crashes while one standby lags behind', () => {
    const before = settled(3, quick)
    before.node('n2').lagging = true
    before.write('n1')
    before.run(20)
    before.node('n2').lagging = false
    const world = byHand(before)
    world.kill('n1')
    explore(world, {
      ...none,
      drops: 1,
      crashes: 1,
      starts: 1,
      waits: 3,
      depth: 24,
      states: statesMax,
    })
  })

  it('ROL-5: the active of three is silent while messages are lost', () => {
    const world = byHand(settled(3, quick))
    world.cutLink('n1', 'n2')
    explore(world, { ...none, drops: 2, waits: 6, depth: 24, states: statesMax })
  })

  it('ROL-15: two nodes start, and nobody can dial the second', () => {
    const world = new World(['n1', 'n2'], { ...quick, manual: true })
    world.closed.add('n2')
    world.start('n1')
    world.start('n2')
    explore(world, { ...none, crashes: 1, starts: 1, waits: 5, depth: 30, states: statesMax })
  })

  it('ROL-15: two nodes start, and one refuses the other', () => {
    const world = new World(['n1', 'n2'], { ...quick, manual: true })
    world.refusals.add('n1>n2')
    world.start('n1')
    world.start('n2')
    explore(world, { ...none, drops: 1, waits: 6, depth: 30, states: statesMax })
  })

  it('GEN-2: of three a member of the set comes back empty, and the active crashes', () => {
    const before = settled(3, quick)
    before.node('n3').lagging = true
    before.write('n1')
    before.run(20)
    before.node('n3').lagging = false
    before.kill('n2')
    replaceDisk(before, 'n2', emptyDisk())
    const world = byHand(before)
    world.kill('n1')
    explore(world, { ...none, drops: 1, starts: 2, waits: 4, depth: 28, states: statesMax })
  })

  it('GEN-2: of three the active comes back empty, with a standby ahead of the other', () => {
    const before = settled(3, quick)
    before.node('n3').lagging = true
    before.write('n1')
    before.run(20)
    before.node('n3').lagging = false
    before.kill('n1')
    replaceDisk(before, 'n1', emptyDisk())
    const world = byHand(before)
    explore(world, {
      ...none,
      drops: 1,
      crashes: 1,
      starts: 2,
      waits: 4,
      depth: 28,
      states: statesMax,
    })
  })

  it('ROL-12: a switchover with lost messages and crashes', () => {
    const world = byHand(settled(2, quick))
    world.command('n1', { name: 'switchover', to: 'n2' })
    explore(world, {
      ...none,
      drops: 1,
      crashes: 1,
      starts: 1,
      waits: 4,
      depth: 26,
      states: statesMax,
    })
  })

  it('ROL-12: a switchover of three with a crash', () => {
    const world = byHand(settled(3, quick))
    world.command('n1', { name: 'switchover', to: 'n3' })
    explore(world, { ...none, crashes: 1, starts: 1, waits: 3, depth: 26, states: statesMax })
  })
})

/** Stops the ticks; what was under way stays. */
function byHand(world: World): World {
  world.manual = true
  world.queue = world.queue.filter((item) => !(item.kind === 'input' && item.input.type === 'tick'))
  for (const node of world.nodes.values()) node.tickAtMs = Number.POSITIVE_INFINITY
  return world
}

/** Breadth first, so that what is seen within the limit is the shortest of everything. */
function explore(from: World, limits: Limits): void {
  const { depth, states, ...budget } = limits
  const seen = new Set<string>()
  let layer: State[] = [{ world: from, budget, path: [] }]
  const ends: State[] = []
  for (let at = 0; at < depth && layer.length > 0; at += 1) {
    const next: State[] = []
    for (const state of layer) {
      for (const [name, after] of successors(state)) {
        const key = fingerprint(after.world, after.budget)
        if (seen.has(key)) continue
        seen.add(key)
        next.push({ ...after, path: [...state.path, name] })
      }
    }
    const share = Math.ceil(states / depth)
    ends.push(...sample(next, 2))
    // Beyond the limit an even sample goes on: deep orders matter more than all the shallow ones.
    layer = sample(next, share)
  }
  expect(seen.size).toBeGreaterThan(100)
  for (const end of ends) settles(end)
}

function sample<One>(all: readonly One[], count: number): One[] {
  if (all.length <= count) return [...all]
  return Array.from({ length: count }, (_, at) => all[Math.floor((at * all.length) / count)] as One)
}

function successors(state: State): [string, State][] {
  const found: [string, State][] = []
  const { world, budget } = state
  const go = (name: string, act: (copy: World) => void, spent: Partial<Budget> = {}): void => {
    const copy = cloneOf(world)
    try {
      act(copy)
    } catch (cause) {
      throw new Error([...state.path, name, copy.describe()].join('\n'), { cause })
    }
    if (copy.actives().length > 1) copy.ledger.twoActives = true
    found.push([name, { world: copy, budget: { ...budget, ...spent }, path: [] }])
  }
  for (const item of heads(world)) {
    const name = nameOf(item)
    go(name, (copy) => fireOne(copy, item))
    if (item.kind === 'message' && budget.drops > 0) {
      go(`drop ${name}`, (copy) => remove(copy, item), { drops: budget.drops - 1 })
    }
  }
  for (const node of world.nodes.values()) {
    if (node.alive && budget.crashes > 0) {
      go(`kill ${node.id}`, (copy) => copy.kill(node.id), { crashes: budget.crashes - 1 })
    }
    if (!node.alive && budget.starts > 0) {
      go(`start ${node.id}`, (copy) => copy.start(node.id), { starts: budget.starts - 1 })
    }
  }
  if (budget.waits > 0) go('wait', (copy) => wait(copy), { waits: budget.waits - 1 })
  return found
}

/** What can happen next: the first of each channel, for connections and disks keep their order. */
function heads(world: World): Item[] {
  const first = new Map<string, Item>()
  for (const item of [...world.queue].sort((left, right) => left.order - right.order)) {
    // A dial that waits for its time is not ready; everything else may take as long as it likes.
    if (item.kind === 'dial' && item.at > world.nowMs + 20) continue
    const channel = channelOf(item)
    if (!first.has(channel)) first.set(channel, item)
  }
  return [...first.values()]
}

function channelOf(item: Item): string {
  if (item.kind === 'message' || item.kind === 'dial') return `${item.kind} ${item.from} ${item.to}`
  return `${item.kind} ${item.node}`
}

function nameOf(item: Item): string {
  if (item.kind === 'message') return `${item.from}>${item.to} ${item.message.type}`
  if (item.kind === 'dial') return `${item.from} dials ${item.to}`
  return `${item.node} ${item.kind === 'input' ? item.input.type : item.kind}`
}

function remove(world: World, item: Item): void {
  world.queue = world.queue.filter((one) => one.order !== item.order)
}

function fireOne(world: World, item: Item): void {
  remove(world, item)
  world.fire(item)
}

function wait(world: World): void {
  world.nowMs += 100
  for (const node of world.nodes.values()) world.input(node, { type: 'tick' })
}

function fingerprint(world: World, budget: Budget): string {
  const nodes = [...world.nodes.values()].map((node) => ({
    ...node,
    core: { ...node.core, options: 0, decisions: 0, effects: 0, wallMs: 0, nextId: 0 },
  }))
  const queue = world.queue.map((item) => ({
    ...item,
    at: item.kind === 'dial' ? item.at : 0,
    order: 0,
  }))
  return JSON.stringify(
    [nodes, queue, world.nowMs, [...world.links], budget],
    (_, value: unknown) => {
      if (value instanceof Map) return [...value]
      return value instanceof Set ? [...value] : value
    },
  )
}

/** The members that an event named: what only they held may be lost. */
function named(world: World): string[] {
  return world.said.flatMap(({ event }) =>
    event?.name === 'possibleLoss' || event?.name === 'unprovenStart' ? event.missing : [],
  )
}

/** With all links up and all nodes running, one active comes out of every state. */
function settles(state: State): void {
  const world = cloneOf(state.world)
  const say = (): string => [...state.path, world.describe()].join('\n')
  try {
    world.cuts.clear()
    world.closed.clear()
    world.refusals.clear()
    world.drive()
    for (const node of world.nodes.values()) if (!node.alive) world.start(node.id)
    world.run(4_000)
  } catch (cause) {
    throw new Error(say(), { cause })
  }
  const actives = world.actives()
  const two = state.world.ledger.twoActives || actives.length > 1
  // Two actives with equal copies are a split brain, which the heal ends; anything else is a
  // defect.
  if (!two) expect(actives, say()).toHaveLength(1)
  expect(actives.length, say()).toBeGreaterThan(0)
  if (!two) {
    const { disk } = world.node(actives[0] ?? '')
    expect(world.ledger.settle(disk, new Set(named(world))), say()).toBe(0)
  }
  if (actives.length > 1)
    expect(
      world.said.some((said) => said.event?.name === 'splitBrain'),
      say(),
    ).toBe(true)
}

/**
 * The same world once more, for another way on from here. Calls set up by `later` are not copied.
 */
function cloneOf(world: World): World {
  const copy = new World([], { ...world.options, members: world.members })
  copy.nowMs = world.nowMs
  copy.queue = [...world.queue]
  copy.orders = world.orders
  copy.cuts = new Set(world.cuts)
  copy.closed = new Set(world.closed)
  copy.refusals = new Set(world.refusals)
  copy.links = new Map(world.links)
  copy.commands = world.commands
  copy.said = [...world.said]
  copy.ledger = world.ledger.clone()
  for (const [id, node] of world.nodes) {
    const { options } = node.core
    // The decisions are long and play no part in what comes next.
    const core = { ...node.core, options: undefined, decisions: [], effects: [] }
    const twin = structuredClone({ ...node, core })
    copy.nodes.set(id, { ...twin, core: { ...twin.core, options } } as NodeSim)
  }
  return copy
}
