import { describe, expect, it } from 'vitest'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, busy, eventsOf, noViolation, quit, settled, until, write } from './support.js'

/** Writes steadily for a while. */
async function underLoad(world: World, forMs: number): Promise<void> {
  const load = busy(world)
  await world.run(forMs)
  load.pause()
  await world.run(500)
}

describe('an empty disk', () => {
  it('with join and without reachable members: does not serve, and is restored when a member is back', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/a')
    world.kill('n2')
    world.replaceDisk('n1')
    world.machine('n1').joins = true
    world.powerOn('n1')
    world.start('n1')
    await world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.process('n1').node.status().stuck).toMatch(/^holding: .*started with join/)
    world.start('n2')
    await until(world, () => world.actives().includes('n2'))
    await allIsWell(world)
  })

  it.each([2, 3])(
    'ROL-17: of %i nodes, without join, beside a member with data: never becomes active first',
    async (nodes) => {
      const world = await settled({ nodes })
      await underLoad(world, 1_000)
      for (const { id } of world.members) world.kill(id)
      world.replaceDisk('n1')
      world.powerOn('n1')
      world.start('n1')
      await world.run(1_000)
      world.start('n2')
      await until(world, () => world.actives().length > 0)
      expect(world.actives()).toEqual(['n2'])
      if (nodes === 3) world.start('n3')
      await allIsWell(world)
    },
  )

  it('without join and alone: names the missing members, and the two histories refuse each other', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/a')
    for (const { id } of world.members) world.kill(id)
    world.replaceDisk('n1')
    world.powerOn('n1')
    world.start('n1')
    await until(world, () => world.actives().includes('n1'))
    expect(eventsOf(world, 'n1', 'unprovenStart')).toMatchObject([{ missing: ['n2'] }])
    await write(world, 'n1', 'data/b', { ack: 'local' })
    world.start('n2')
    const { node } = world.process('n2')
    await until(world, () => node.status().stuck?.includes('HISTORY_UNRELATED') === true)
    await world.run(10_000)
    expect(world.actives()).toEqual(['n1'])
    // The old data is not lost: its node serves again when the operator decides so.
    world.replaceDisk('n1')
    world.machine('n1').joins = true
    world.powerOn('n1')
    await until(world, () => world.actives().includes('n2'))
    await world.settle(node.files.read('data/a'))
    quit(world)
  })
})

describe('a disk that is restored from a backup under load', () => {
  const cases = [2, 3].flatMap((nodes) => (['n1', 'n2'] as const).map((id) => [id, nodes] as const))

  it.each(cases)(
    'GEN-2: of %s, of %i nodes: nothing is lost that another node has',
    async (id, nodes) => {
      const world = await settled({ nodes })
      await underLoad(world, 1_000)
      const older = world.machine(id).storage.image()
      await underLoad(world, 1_000)
      const load = busy(world)
      await world.run(500)
      world.replaceDisk(id, older)
      world.powerOn(id)
      world.start(id)
      await world.run(5_000)
      load.pause()
      await allIsWell(world)
      expect(world.events.filter(({ name }) => name === 'possibleLoss')).toEqual([])
    },
  )

  it.each(cases)('GEN-2: of %s, of %i nodes, while all others are down', async (id, nodes) => {
    const world = await settled({ nodes })
    await underLoad(world, 1_000)
    const older = world.machine(id).storage.image()
    await underLoad(world, 1_000)
    for (const one of world.members) world.kill(one.id)
    world.replaceDisk(id, older)
    world.powerOn(id)
    world.start(id)
    await until(world, () => world.actives().includes(id))
    const missing = world.members.map((one) => one.id).filter((one) => one !== id)
    expect(eventsOf(world, id, 'unprovenStart')).toMatchObject([{ missing }])
    await underLoad(world, 500)
    for (const one of missing) world.start(one)
    await allIsWell(world)
  })

  it('GEN-2: taken after an orderly stop: members that continued since are named before it follows', async () => {
    const world = await settled({ nodes: 2 })
    await underLoad(world, 500)
    for (const id of ['n2', 'n1']) {
      await world.settle(world.stop(id))
      await world.run(1_000)
    }
    const older = world.machine('n1').storage.image()
    for (const id of ['n1', 'n2']) world.start(id)
    await until(world, () => world.process('n1').node.status().inSync.includes('n2'))
    await underLoad(world, 500)
    world.kill('n1')
    await until(world, () => world.actives().includes('n2'))
    world.start('n1')
    await until(world, () => world.process('n2').node.status().inSync.includes('n1'))
    await underLoad(world, 500)
    for (const id of ['n2', 'n1']) world.kill(id)
    world.replaceDisk('n1', older)
    world.powerOn('n1')
    world.start('n1')
    await until(world, () => world.actives().includes('n1'))
    await underLoad(world, 500)
    expect(eventsOf(world, 'n1', 'possibleLoss')).toEqual([])
    world.start('n2')
    await allIsWell(world)
    expect(eventsOf(world, 'n1', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
  })

  it('GEN-2: of a standby repeatedly, while roles change: no node is in sync with different bytes', async () => {
    const world = await settled({ nodes: 3 })
    const load = busy(world)
    for (let times = 0; times < 4; times += 1) {
      await world.run(700)
      const [active = ''] = world.actives()
      const standby = world.members.map(({ id }) => id).find((id) => id !== active) ?? ''
      const older = world.machine(standby).storage.image()
      await world.run(700)
      world.replaceDisk(standby, older)
      world.powerOn(standby)
      world.start(standby)
      if (times % 2 === 0) world.kill(active)
      await until(world, () => world.actives().length === 1)
      for (const { id } of world.members)
        if (world.machine(id).process === undefined) world.start(id)
      await world.run(4_000)
    }
    load.pause()
    await allIsWell(world)
    noViolation(world)
  })
})
