import { describe, expect, it } from 'vitest'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, eventsOf, inStep, noViolation, quit, settled, until, write } from './support.js'

/** Replaces the disk by an empty one, and gives the machine power again. */
function newDisk(world: World, id: string): void {
  world.replaceDisk(id)
  world.powerOn(id)
}

describe('members that must answer before a takeover', () => {
  /**
   * A write is acknowledged that n1 and n2 have and n3 lacks; then n2 is silent, and n1 comes back
   * as `change` leaves it.
   */
  async function holderSilent(
    world: World,
    change: () => void,
    durability: 'disk' | 'memory' = 'disk',
  ): Promise<void> {
    world.links.cut('n1', 'n3')
    await write(world, 'n1', 'data/acked', { durability })
    world.pauses.freeze('n2', 8_000)
    world.kill('n1')
    world.links.heal({ break: true })
    change()
    await world.run(300)
    world.start('n1')
  }

  it('GEN-2: after the lost active returned with an empty disk, possible losses are named', async () => {
    const world = await settled({ nodes: 3 })
    await write(world, 'n1', 'data/a')
    await holderSilent(world, () => newDisk(world, 'n1'))
    await until(world, () => world.actives().includes('n3'))
    expect(eventsOf(world, 'n3', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
    quit(world)
  })

  it("GEN-2: with 'hold', the lost active with an empty disk does not count as having answered", async () => {
    const world = await settled({ nodes: 3, choices: { onMissingPeer: 'hold' } })
    await write(world, 'n1', 'data/a')
    await holderSilent(world, () => newDisk(world, 'n1'))
    await world.run(7_000)
    expect(world.actives()).toEqual([])
    await until(world, () => world.actives().includes('n2'))
    const { files } = world.process('n2').node
    await world.settle(files.read('data/acked'))
    quit(world)
  })

  it('GEN-2: a restarted active does not count for what it had acknowledged from memory', async () => {
    const world = await settled({ nodes: 3, diskMs: 1 })
    await write(world, 'n1', 'data/a')
    await world.run(500)
    const fast = world.machine('n1').slow((op) => (op === 'log.append' ? 3_000 : 1))
    await holderSilent(world, fast, 'memory')
    await until(world, () => world.actives().length > 0)
    expect(eventsOf(world, 'n3', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
    noViolation(world)
    quit(world)
  })

  it.each(['the lost active', 'both'])(
    'GEN-2: no member is missed for the rest of a term that it left without a change, when %s started again',
    async (who) => {
      const world = await settled({ nodes: 2, choices: { onMissingPeer: 'hold' } })
      await write(world, 'n1', 'data/a')
      await world.settle(world.process('n1').node.switchover({ to: 'n2' }))
      await inStep(world)
      world.links.cut('n1', 'n2')
      // This write is not acknowledged, and only n2 has it.
      void write(world, 'n2', 'data/rest')
      await world.run(100)
      world.kill('n2')
      world.links.heal({ break: true })
      await until(world, () => world.actives().includes('n1'))
      await world.run(200)
      // An orderly stop, because a process that crashes may have lost what it acknowledged from
      // memory.
      if (who === 'both') await world.settle(world.stop('n1'))
      for (const id of who === 'both' ? ['n1', 'n2'] : ['n2']) world.start(id)
      await until(world, () => world.actives().includes('n2'))
      const told = world.events.map(({ name }) => name)
      expect(told).not.toContain('possibleLoss')
      expect(told).not.toContain('holding')
      await allIsWell(world)
    },
  )
})

describe('a later term', () => {
  it('ROL-16: without a change does not prevent a node that has every change from serving', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/a')
    await world.run(500)
    for (const id of ['n2', 'n1']) await world.settle(world.stop(id))
    world.start('n1')
    await until(world, () => world.process('n1').node.role === 'active')
    await world.run(1_000)
    world.start('n2')
    await until(world, () => world.process('n2').node.role === 'restoring')
    world.kill('n1')
    await until(world, () => world.process('n2').node.role === 'active')
    world.start('n1')
    await allIsWell(world)
  })
})

describe('a long fetch before a takeover', () => {
  /** A world in which both candidates lack 12 MB that only an observer has, on links of 1 MB/s. */
  async function slowly(): Promise<World> {
    const world = await settled({ nodes: 4, observers: ['n4'] })
    await write(world, 'n1', 'data/a')
    for (const id of ['n2', 'n3']) world.links.cut('n1', id)
    await world.run(5_000)
    await write(world, 'n1', 'data/large', { bytes: 12_000_000, ack: 'local' })
    await until(world, () => world.process('n4').copy?.durableSeq === world.process('n1').copy?.seq)
    for (const id of ['n2', 'n3']) {
      world.network.setLink('n4:1', `${id}:1`, { bytesPerSecond: 1_000_000 })
    }
    world.kill('n1')
    world.links.heal({ break: true })
    return world
  }

  it('ROL-17: ends with one active in one round, however much longer than deadMs it takes', async () => {
    const world = await slowly()
    const tookMs = await until(world, () => world.actives().length > 0, 60_000)
    expect(tookMs).toBeLessThan(20_000)
    expect(world.process('n2').node.status().epoch).toBe(2)
    quit(world)
  })

  it('ROL-17: resumes a large content after an interruption', async () => {
    const world = await slowly()
    await until(world, () => world.process('n2').node.explain().at(-1)?.rule === 'round.data')
    await world.run(9_000)
    for (const id of ['n2', 'n3']) world.links.cut('n4', id)
    await world.run(3_000)
    world.links.heal({ break: true })
    // More than three quarters had arrived: fetching everything would take twelve seconds.
    const tookMs = await until(world, () => world.actives().includes('n2'), 60_000)
    expect(tookMs).toBeLessThan(9_000)
    quit(world)
  })
})
