import { describe, expect, it } from 'vitest'
import { lackingReason } from '../../src/core/standing/needed.js'
import { cutOff, healAll, settled } from './clusters.js'
import { emptyDisk, replaceDisk } from './disks.js'
import { generator, type Random, seeds, withSeed } from './seeds.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

/**
 * n1 stopped cleanly as the last active, and serves again; n3 has five acknowledged writes that n2
 * lacks, and is in no reach of n1. n1 ends, and its disk is put back to that stop: its copy looks
 * like that of n2, and looks proven.
 */
function putBack(options: WorldOptions = {}): World {
  const world = settled(3, { onMissingPeer: 'hold', ...options })
  for (const id of ['n3', 'n2', 'n1']) {
    world.command(id, { name: 'stop' })
    world.run(1_000)
  }
  const older = structuredClone(world.node('n1').disk)
  expect(older.durable.lastStop).toBe('active')
  for (const { id } of world.members) world.start(id)
  world.until(() => world.role('n1') === 'active', 15_000)
  world.until(() => world.role('n2') === 'standby' && world.role('n3') === 'standby', 15_000)
  world.run(1_000)
  world.node('n2').lagging = true
  for (let writes = 0; writes < 5; writes += 1) world.write('n1')
  world.run(500)
  world.node('n2').lagging = false
  expect(world.node('n3').disk.seq).toBe(10)
  world.cutLink('n1', 'n3')
  world.kill('n1')
  replaceDisk(world, 'n1', older)
  world.said = []
  return world
}

function expectHeld(world: World, forMs: number): void {
  world.run(forMs)
  expect(world.actives()).toEqual([])
  expect(world.events('n1', 'holding')).toMatchObject([{ missing: ['n3'] }])
}

describe("GEN-2: with 'hold' a copy that looks equal holds with the one that knows whom to wait for", () => {
  it.each([0, 50, 500, 1_500, 2_500, 10_000])(
    'n3 is silent for all, and n1 starts %i ms later',
    (delayMs) => {
      const world = putBack()
      cutOff(world, 'n3')
      world.run(delayMs)
      world.start('n1')
      expectHeld(world, 60_000)
    },
  )

  it.each([0, 50, 500, 1_500, 2_500, 4_500, 6_500, 20_000])(
    'n3 is heard by n2, and hears nothing of it: only a round finds it; n1 starts %i ms later',
    (delayMs) => {
      const world = putBack()
      world.cutLink('n2', 'n3', false)
      world.run(delayMs)
      world.start('n1')
      expectHeld(world, 60_000)
    },
  )

  it('n3 is heard by n2 and not by n1: it goes first, with what it has', () => {
    const world = putBack()
    world.start('n1')
    world.until(() => world.actives().length > 0, 20_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.ledger.lost(world.node('n3').disk)).toBe(0)
  })

  it('n3 comes back with less than n2 had heard of it: n1, which cannot know that, holds too', () => {
    const world = putBack()
    const { disk } = world.node('n3')
    world.kill('n3')
    replaceDisk(world, 'n3', { ...disk, seq: 5 })
    healAll(world)
    for (const id of ['n3', 'n1']) world.start(id)
    expectHeld(world, 30_000)
  })

  it('n3 comes back empty, and n2 does not hear it', () => {
    const world = putBack()
    world.kill('n3')
    replaceDisk(world, 'n3', emptyDisk())
    healAll(world)
    world.cutLink('n2', 'n3')
    for (const id of ['n3', 'n1']) world.start(id)
    expectHeld(world, 30_000)
  })

  it('what n2 holds for may be told with its promise only', () => {
    const world = putBack()
    cutOff(world, 'n3')
    world.run(3_000)
    world.start('n1')
    // Whatever n2 says before is from a version that does not say.
    const { input } = world
    world.input = (node, body) => {
      const isPromise = body.type === 'message' && body.message.type === 'promise'
      if (body.type !== 'message' || isPromise || !('view' in body.message)) {
        input.call(world, node, body)
        return
      }
      const view = { ...body.message.view, holdsFor: undefined }
      input.call(world, node, { ...body, message: { ...body.message, view } })
    }
    world.run(20_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n1', 'holding')).toMatchObject([{ missing: ['n3'] }])
  })
})

describe("GEN-2: with 'hold' whoever answers holds up nobody any more", () => {
  it.each([0, 2_500, 10_000])('n3 is back after %i ms', (delayMs) => {
    const world = putBack()
    cutOff(world, 'n3')
    world.start('n1')
    world.run(delayMs)
    healAll(world)
    world.until(() => world.actives().length > 0, 15_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('n3 is heard by n1 only, and n1 fetches what it has', () => {
    const world = putBack()
    healAll(world)
    world.cutLink('n2', 'n3')
    world.run(3_000)
    world.start('n1')
    world.until(() => world.actives().length > 0, 20_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.ledger.lost(world.node('n1').disk)).toBe(0)
  })

  it('n3 is heard by n1 only, has as much as n2, and does not promise: n1 holds until it does', () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    world.cutLink('n2', 'n3')
    world.kill('n1')
    world.run(3_000)
    world.start('n1')
    world.until(() => world.node('n1').core.peers.get('n3')?.view !== undefined, 100)
    world.cutLink('n1', 'n3', false)
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.node('n1').core.peers.get('n3')?.view?.role).toBe('discovering')
    world.heal('n1', 'n3')
    world.until(() => world.actives().length > 0, 20_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('n3 has more, and neither it nor n2 may go: n1 fetches that', () => {
    const world = putBack()
    healAll(world)
    for (const id of ['n2', 'n3']) {
      world.node(id).ineligible = 'disk full'
      world.factsChanged(id)
    }
    world.start('n1')
    world.until(() => world.actives().length > 0, 30_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.ledger.lost(world.node('n1').disk)).toBe(0)
  })

  it('an order takes over without n3, whichever node gets it', () => {
    for (const id of ['n1', 'n2']) {
      const world = putBack()
      cutOff(world, 'n3')
      world.start('n1')
      world.run(20_000)
      world.command(id, { name: 'takeOver', withoutPeers: ['n3'] })
      world.until(() => world.actives().length > 0, 10_000)
    }
  })

  it('any cuts and restarts: when all have returned with what they acknowledged, one serves', () => {
    for (const seed of seeds(60)) {
      const random = generator(seed)
      const world = settled(3 + random(2), {
        onMissingPeer: 'hold',
        order: random(2) > 0 ? 'list' : 'freshest',
      })
      world.latencyMs = 1 + random(10)
      world.diskMs = 1 + random(10)
      withSeed(seed, world, () => {
        for (let steps = 0; steps < 40; steps += 1) disturb(world, random)
        healAll(world)
        for (const { id, alive } of world.nodes.values()) if (!alive) world.start(id)
        world.run(40_000)
        if (world.actives().length === 0) orderWithoutLacking(world)
        world.until(() => world.actives().length > 0, 20_000)
      })
    }
  })
})

/**
 * One that went on alone has another history: what it had acknowledged before only an operator can
 * give up.
 */
function orderWithoutLacking(world: World): void {
  const held = world.said.findLast(
    ({ event }) => event?.name === 'holding' && event.reason === lackingReason,
  )
  if (held?.event?.name !== 'holding') throw new Error('nobody serves, although all answer')
  world.command(held.node, { name: 'takeOver', withoutPeers: held.event.missing })
}

function disturb(world: World, random: Random): void {
  const ids = world.members.map(({ id }) => id)
  const [one = '', other = ''] = [ids[random(ids.length)], ids[random(ids.length)]]
  const node = world.node(one)
  const what = random(6)
  if (what === 0 && node.alive) world.kill(one)
  else if (what === 1 && !node.alive) world.start(one)
  else if (what === 2 && one !== other) world.cutLink(one, other, random(2) === 0)
  else if (what === 3) world.heal(one, other)
  else node.lagging = what === 4
  for (const id of world.actives()) if (random(2) === 0) world.write(id)
  world.run(random(3) === 0 ? random(4_000) : random(200))
  node.lagging = false
}
