import { describe, expect, it } from 'vitest'
import { memory } from '../../src/storage/memory.js'
import {
  answer,
  eventsOf,
  inStep,
  noViolation,
  quit,
  roles,
  settled,
  until,
  watched,
  write,
} from './support.js'

describe('a full disk', () => {
  it('of an active that alone has the last writes causes no flapping', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1')
    await inStep(world)
    world.kill('n2')
    for (let at = 0; at < 5; at += 1) await write(world, 'n1', `data/${at}`)
    world.machine('n1').storage.faults.full = true
    await write(world, 'n1', 'data/fails')
    await until(world, () => world.process('n1').node.role !== 'active')
    world.start('n2')
    await until(world, () => world.process('n2').node.role === 'active')
    await world.run(60_000)
    expect(roles(world, 'n2').filter((role) => role === 'active')).toHaveLength(1)
    quit(world)
  })

  it.each(['stop', 'switchover'] as const)(
    'of an active does not prevent its replacement when it is ordered to %s',
    async (how) => {
      const world = await settled({ nodes: 3 })
      await write(world, 'n1')
      await world.run(500)
      world.machine('n1').storage.faults.full = true
      const work = how === 'stop' ? world.stop('n1') : world.process('n1').node.switchover()
      const outcome = answer(world, work)
      await world.run(1)
      void write(world, 'n1', 'data/x')
      await until(world, () => world.actives().some((id) => id !== 'n1'))
      expect(await outcome).toBe(how === 'stop' ? 'done' : 'SWITCHOVER_FAILED')
      quit(world)
    },
  )

  it.each(['n1', 'n2'])('does not prevent a node from stopping (%s)', async (id) => {
    const world = await settled({ nodes: 2 })
    world.machine(id).storage.faults.full = true
    await world.run(1_000)
    expect(await answer(world, world.stop(id))).toBe('done')
    quit(world)
  })

  it('while a term is opened: possibleLoss still names the missing members', async () => {
    let fill = (): void => undefined
    let asked = 0
    const gate = {
      mayBecomeActive: async () => {
        asked += 1
        if (asked === 1) fill()
        return true
      },
    }
    const world = watched({ nodes: 3, choicesOf: (id) => (id === 'n2' ? { gate } : {}) })
    world.startAll()
    await inStep(world)
    await write(world, 'n1')
    await inStep(world)
    const { faults } = world.machine('n2').storage
    fill = () => {
      faults.full = true
      world.later(1_500, () => {
        faults.full = false
      })
    }
    world.links.partition(['n3'], ['n1', 'n2'])
    await world.run(50)
    world.kill('n1')
    await until(world, () => world.process('n2').node.role === 'active', 60_000)
    expect(asked).toBeGreaterThan(1)
    const missing = eventsOf(world, 'n2', 'possibleLoss') as { missing: string[] }[]
    expect(missing.flatMap((event) => event.missing)).toContain('n3')
    quit(world)
  })

  it('GEN-2: of a standby that acknowledged from memory: its copy does not count as having the write', async () => {
    const world = await settled({ nodes: 3, diskMs: 50 })
    await write(world, 'n1')
    await inStep(world)
    world.links.partition(['n3'], ['n1', 'n2'])
    await world.run(50)
    world.machine('n2').storage.faults.failNextSync = true
    const { outcome } = await write(world, 'n1', 'quick/last', { durability: 'memory' })
    expect(outcome).toMatchObject({ kind: 'acknowledged', receipt: { ack: 'standby' } })
    await until(world, () => world.process('n2').copy?.failed !== undefined)
    world.links.heal()
    world.kill('n1')
    await until(world, () => world.process('n3').node.role === 'active')
    const missing = eventsOf(world, 'n3', 'possibleLoss') as { missing: string[] }[]
    expect(missing.flatMap((event) => event.missing)).toContain('n2')
    quit(world)
  })

  it("GEN-2: with 'hold', of a standby that is stopped in order: it lost nothing", async () => {
    const choicesOf = () => ({ onMissingPeer: 'hold' as const })
    const world = await settled({ nodes: 3, choicesOf, diskMs: 50 })
    await write(world, 'n1')
    await inStep(world)
    void write(world, 'n1', 'quick/last', { durability: 'memory' })
    await world.run(10)
    world.powerOff('n1')
    expect(await answer(world, world.stop('n3'))).toBe('done')
    world.start('n3')
    await until(world, () => world.actives().length === 1)
    noViolation(world)
    quit(world)
  })
})

describe('a replaced disk', () => {
  it('ROL-20: an empty node does not serve while an observer has all data', async () => {
    const choices = { journalBytesMax: 1024 * 1024, startupWaitMs: 1_000 }
    const world = watched({ nodes: 2, observers: ['n2'], choices })
    world.startAll()
    await until(world, () => world.process('n2').node.role === 'standby')
    for (let file = 0; file < 10; file += 1) {
      await write(world, 'n1', `data/new${file}`, { bytes: 500_000, ack: 'local' })
      await world.run(3_000)
    }
    world.kill('n1')
    world.kill('n2')
    const machine = world.machine('n1')
    Object.assign(machine, { storage: memory({ clock: machine.clock }) })
    world.start('n1')
    world.start('n2')
    await world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(eventsOf(world, 'n1', 'holding')).toMatchObject([{ missing: ['n2'] }])
    quit(world)
  })
})

describe('the in-sync set', () => {
  it("GEN-2: with 'hold', a set that may have changed without this node is not trusted", async () => {
    const world = watched({ nodes: 4, choices: { onMissingPeer: 'hold' } })
    // With 'hold' no node serves before all members are reachable.
    world.startAll()
    const inSync = (): string =>
      world.actives()[0] === 'n1' ? world.process('n1').node.status().inSync.join() : ''
    await until(world, () => inSync() === 'n2,n3,n4')
    world.kill('n4')
    await until(world, () => inSync() === 'n2,n3')
    await write(world, 'n1', 'data/one')
    await world.run(500)
    // n2 hears only n3, which hears the active; meanwhile n4 joins the set in its place.
    world.links.cut('n1', 'n2')
    world.links.cut('n2', 'n4')
    await world.run(6_000)
    expect(eventsOf(world, 'n2', 'activeUnreachable')).toHaveLength(1)
    world.start('n4')
    await until(world, () => inSync().includes('n4'))
    world.kill('n3')
    await until(world, () => inSync() === 'n4')
    await write(world, 'n1', 'data/two')
    world.links.cut('n3', 'n4')
    world.kill('n1')
    world.start('n3')
    await world.run(30_000)
    expect(world.process('n2').node.role).toBe('discovering')
    expect(eventsOf(world, 'n2', 'holding')).not.toEqual([])
    quit(world)
  })
})
