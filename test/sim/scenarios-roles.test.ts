import { describe, expect, it } from 'vitest'
import {
  allIsWell,
  answer,
  busy,
  code,
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

const deadMs = 2_000

describe('start', () => {
  it('ROL-4: of three nodes started at once, always the first listed becomes active (50 starts)', {
    timeout: 60_000,
  }, async () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const world = watched({ seed, latencyMs: 1 + (seed % 7), jitterMs: seed % 5 })
      world.startAll()
      await inStep(world)
      expect(world.actives(), `seed ${seed}`).toEqual(['n1'])
      expect(roles(world, 'n2')).toEqual(['discovering', 'restoring', 'standby'])
      noViolation(world)
      quit(world)
    }
  })

  it('ROL-20: after a total outage the node with the newest data serves, although a stale node started first', async () => {
    const world = await settled({ nodes: 2 })
    await world.settle(world.stop('n2'))
    const newest = await write(world, 'n1', 'data/newest')
    expect(newest.outcome.kind).toBe('acknowledged')
    await world.settle(world.stop('n1'))
    world.start('n2')
    await world.run(5_000)
    expect(world.actives()).toEqual([])
    world.start('n1')
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    expect(await world.settle(world.process('n2').node.files.read('data/newest'))).toHaveLength(
      20 + 3,
    )
    await allIsWell(world)
  })

  it('GEN-5: thirty virtual seconds take milliseconds of real time', async () => {
    const world = await settled()
    const beganMs = performance.now()
    const virtualMs = world.nowMs
    await world.run(30_000)
    expect(world.nowMs - virtualMs).toBe(30_000)
    expect(performance.now() - beganMs).toBeLessThan(15_000)
    await allIsWell(world)
  })
})

describe('failover', () => {
  it('ROL-6: a killed active is replaced without waiting for deadMs', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = await settled({ seed, diskMs: seed % 3 })
      busy(world)
      await world.run(200 + seed * 13)
      world.kill('n1')
      const tookMs = await until(world, () => world.actives().length === 1)
      expect(tookMs).toBeLessThan(deadMs / 4)
      const first = await write(world, world.actives()[0] ?? '', 'data/after')
      expect(first.outcome.kind).toBe('acknowledged')
      noViolation(world)
      quit(world)
    }
  })

  it('ROL-6: a reset with the listener still open does not count as death', async () => {
    const world = await settled()
    for (let round = 0; round < 10; round += 1) {
      world.network.breakConnections('n1:1', 'n2:1')
      await world.run(150)
    }
    expect(world.actives()).toEqual(['n1'])
    expect(roles(world, 'n2')).not.toContain('active')
    await allIsWell(world)
  })

  it('ROL-9: the standby takes over from an active that is killed, frozen or cut off', async () => {
    for (const how of ['kill', 'freeze', 'cut'] as const) {
      const world = await settled({ nodes: 2 })
      if (how === 'kill') world.kill('n1')
      if (how === 'freeze') world.pauses.freeze('n1', 20_000)
      if (how === 'cut') world.links.cut('n1', 'n2')
      await until(world, () => world.process('n2').node.role === 'active', 3 * deadMs)
      noViolation(world)
      quit(world)
    }
  })

  it('ROL-10 and ROL-11: an active continues alone and reports it; a replaced active returns as standby', async () => {
    const world = await settled()
    world.kill('n2')
    world.kill('n3')
    const alone = await write(world, 'n1')
    expect(alone.outcome.kind).toBe('acknowledged')
    expect(eventsOf(world, 'n1', 'standbyLost')).toHaveLength(2)
    world.start('n2')
    world.start('n3')
    await inStep(world)
    world.kill('n1')
    await until(world, () => world.actives().length === 1)
    const [active] = world.actives()
    world.start('n1')
    await inStep(world)
    expect(world.actives()).toEqual([active])
    expect(world.process('n1').node.role).toBe('standby')
    await allIsWell(world)
  })

  it('ROL-14: clusters of two to five nodes lose their active, which returns as a standby', async () => {
    for (let nodes = 2; nodes <= 5; nodes += 1) {
      const world = await settled({ nodes, seed: nodes })
      const load = busy(world, 50)
      await world.run(500)
      world.kill('n1')
      await until(world, () => world.actives().length === 1)
      world.start('n1')
      await world.run(2_000)
      load.pause()
      await allIsWell(world)
    }
  })

  it('ROL-18: one cut link of three causes no takeover', async () => {
    const world = await settled()
    world.links.cut('n1', 'n2')
    await world.run(5 * deadMs)
    expect(world.actives()).toEqual(['n1'])
    expect(eventsOf(world, 'n2', 'activeUnreachable').length).toBeGreaterThan(0)
    world.links.heal()
    await allIsWell(world)
  })

  it('HEAL-15: a hundred interruptions shorter than deadMs cause no promotion', async () => {
    const world = await settled({ nodes: 2 })
    for (let blip = 0; blip < 100; blip += 1) {
      world.links.cut('n1', 'n2')
      await world.run(world.random.between(100, deadMs - 400))
      world.links.heal({ break: blip % 2 === 0 })
      await world.run(world.random.between(300, 800))
    }
    expect(roles(world, 'n2')).not.toContain('active')
    await allIsWell(world)
  })

  it('ROL-8: random kills and starts never make two actives while all links work (200 rounds)', {
    timeout: 60_000,
  }, async () => {
    const world = await settled({ seed: 8 })
    const load = busy(world, 200)
    for (let round = 0; round < 200; round += 1) {
      const { id } = world.random.pick(world.members)
      if (world.machine(id).process === undefined) world.start(id)
      else world.kill(id)
      await world.run(world.random.below(600))
    }
    for (const { id } of world.members) if (world.machine(id).process === undefined) world.start(id)
    load.pause()
    await allIsWell(world)
  })
})

describe('an active that was late', () => {
  it('ROL-19: acknowledges nothing when it is resumed, and steps down', async () => {
    const world = await settled()
    const load = busy(world, 100)
    await world.run(1_000)
    world.pauses.freeze('n1', 4 * deadMs)
    await until(world, () => world.actives().length === 2, 3 * deadMs)
    await until(world, () => world.pauses.frozen.length === 0)
    const late = await write(world, 'n1', 'data/late')
    expect(['NOT_ACTIVE', 'OUTCOME_UNKNOWN']).toContain(code(late))
    await until(world, () => world.actives().length === 1)
    expect(world.actives()).not.toContain('n1')
    load.pause()
    await allIsWell(world)
  })

  it('SES-2: gives up the role to the node that took over while it was not heard', async () => {
    const world = await settled({ nodes: 2 })
    world.links.cut('n1', 'n2', { oneWay: true })
    await until(world, () => world.process('n2').node.role === 'active', 3 * deadMs)
    await until(world, () => world.process('n1').node.role !== 'active', 3 * deadMs)
    await world.run(10 * deadMs)
    expect(world.actives()).toEqual(['n2'])
    world.links.heal()
    await allIsWell(world)
  })

  it('SES-2: has a higher fencing token than another active when its tenure continues above that one', async () => {
    const world = await settled({ nodes: 2 })
    world.links.cut('n1', 'n2')
    await until(world, () => world.process('n2').node.role === 'active')
    const other = world.process('n2').node.tenure?.epoch ?? Number.POSITIVE_INFINITY
    world.kill('n2')
    world.links.heal({ break: true })
    await world.run(3_000)
    world.start('n2')
    await inStep(world)
    const { tenure } = world.process('n1').node
    expect(tenure?.epoch).toBeGreaterThan(other)
    expect(tenure?.term).toEqual(world.process('n1').node.status().term)
    quit(world)
  })

  it('GEN-7: never stays beside another active after a link was lost in one direction', async () => {
    for (const nodes of [2, 3]) {
      for (const [from, to] of [
        ['n1', 'n2'],
        ['n2', 'n1'],
      ] as const) {
        const world = await settled({ nodes })
        world.links.cut(from, to, { oneWay: true })
        await world.run(15 * deadMs)
        expect(world.actives(), `${from}>${to} of ${nodes}`).toHaveLength(1)
        world.links.heal()
        await allIsWell(world)
      }
    }
  })
})

describe('planned', () => {
  it('ROL-12: a switchover hands over the role at once, and no write is lost', async () => {
    const world = await settled()
    const load = busy(world, 20)
    await world.run(500)
    expect(await answer(world, world.process('n2').node.switchover())).toBe('NOT_ACTIVE')
    const beganMs = world.nowMs
    expect(await answer(world, world.process('n1').node.switchover({ to: 'n2' }))).toBe('done')
    await until(world, () => world.process('n2').node.role === 'active')
    expect(world.nowMs - beganMs).toBeLessThan(deadMs)
    await world.run(1_000)
    load.pause()
    const failed = world.writes.filter(
      ({ process, outcome }) => process.id === 'n1' && outcome.kind === 'unknown',
    )
    expect(failed).toEqual([])
    await allIsWell(world)
  })

  it('ROL-12: a switchover that is aborted while its target catches up leaves no writes waiting', async () => {
    const world = await settled({ nodes: 3 })
    world.network.setLink('n1:1', 'n2:1', { bytesPerSecond: 100_000 })
    for (let file = 0; file < 6; file += 1) {
      await write(world, 'n1', `data/big${file}`, { bytes: 60_000, ack: 'local' })
    }
    const switching = answer(world, world.process('n1').node.switchover({ to: 'n2' }))
    await world.run(100)
    world.links.cut('n1', 'n2')
    await world.run(2_600)
    world.network.setLink('n1:1', 'n2:1', { bytesPerSecond: 10_000_000 })
    world.links.heal({ break: true })
    expect(await switching).toBe('SWITCHOVER_FAILED')
    await world.run(20_000)
    expect(world.actives()).toEqual(['n1'])
    expect(code(await write(world, 'n1', 'data/after'))).toBe('acknowledged')
    quit(world)
  })

  it('ROL-12: without an eligible standby the active keeps the role', async () => {
    const world = await settled({ nodes: 2 })
    world.kill('n2')
    await world.run(1_000)
    expect(await answer(world, world.process('n1').node.switchover())).toBe('NO_ELIGIBLE_STANDBY')
    expect(world.actives()).toEqual(['n1'])
    quit(world)
  })

  it('ROL-15: a planned outage of the standbys and the network loses no write', async () => {
    const world = await settled()
    const load = busy(world, 50)
    await world.run(500)
    for (const id of ['n2', 'n3']) await world.settle(world.stop(id))
    world.links.partition(['n1'], ['n2', 'n3'])
    await world.run(5 * deadMs)
    world.links.heal({ break: true })
    await world.run(500)
    world.start('n2')
    world.start('n3')
    await world.run(3_000)
    load.pause()
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    const failed = world.writes.filter(
      ({ process, outcome }) => process.id === 'n1' && outcome.kind !== 'acknowledged',
    )
    // Writes that are invalid themselves are refused at any time.
    expect(
      failed.filter(
        (each) =>
          !['FILE_NOT_FOUND', 'PATH_CONFLICT', 'undefined'].includes(code(each)) &&
          !code(each).includes('on purpose'),
      ),
    ).toEqual([])
    expect(eventsOf(world, 'n1', 'steppedDown')).toEqual([])
    await allIsWell(world)
  })
})
