import { describe, expect, it } from 'vitest'
import { cutOff, healAll, names, settled } from './clusters.js'
import { World } from './world.js'

describe('discovery', () => {
  it('ROL-1: a node that joins asks first and never reports active', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(1_000)
    world.said = []
    world.sent = []
    world.start('n2')
    world.run(3_000)
    expect(world.roles('n2')).toEqual(['discovering', 'restoring', 'standby'])
    expect(world.sent.find((one) => one.from === 'n2')?.type).toBe('query')
  })

  it('ROL-1: no decision is made before the start is durable', () => {
    const world = new World(['n1'])
    world.diskMs = 500
    world.start('n1')
    world.run(400)
    expect(world.role('n1')).toBe('discovering')
    expect(world.node('n1').disk.durable.lastStop).toBe('never')
    world.until(() => world.role('n1') === 'active', 3_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('crashed')
  })

  it('ROL-3: the sole member is active at once', () => {
    const world = new World(['n1'])
    world.start('n1')
    expect(world.until(() => world.role('n1') === 'active', 1_000)).toBeLessThan(20)
    expect(world.events('n1', 'unprovenStart')).toEqual([])
  })

  it('ROL-3: with silent other members it waits startupWaitMs and reports it', () => {
    for (const how of ['refused', 'silent']) {
      const world = new World(['n1', 'n2'])
      if (how === 'silent') world.cutLink('n1', 'n2')
      world.start('n1')
      const tookMs = world.until(() => world.role('n1') === 'active', 12_000)
      const waiting = world.events('n1', 'waiting')
      // Refused: nobody is there. Silent: one that may be there has `discoveryMs` to answer.
      const forMs = how === 'refused' ? expect.closeTo(10_000, -2) : expect.closeTo(9_000, -2)
      expect(waiting).toEqual([{ name: 'waiting', missing: ['n2'], forMs }])
      expect(tookMs).toBeGreaterThanOrEqual(10_000)
      expect(tookMs).toBeLessThan(10_200)
      expect(world.events('n1', 'unprovenStart')).toEqual([
        { name: 'unprovenStart', missing: ['n2'] },
      ])
    }
  })

  it('ROL-4: of several nodes that start together the first listed becomes active, 50 times', () => {
    for (let round = 0; round < 50; round += 1) {
      const ids = names(3)
      const world = new World(ids)
      world.latencyMs = 1 + (round % 7)
      // In every order, up to a few milliseconds apart.
      const order = round % 2 === 0 ? ids : [...ids].reverse()
      for (const id of order) {
        world.start(id)
        world.run(round % 5)
      }
      world.run(3_000)
      expect(world.actives(), `round ${round}`).toEqual(['n1'])
      expect([world.role('n2'), world.role('n3')]).toEqual(['standby', 'standby'])
      expect(world.events('n1', 'unprovenStart')).toEqual([])
      expect(world.roles('n2')).not.toContain('active')
      expect(world.roles('n3')).not.toContain('active')
    }
  })

  it('ROL-11: a killed active returns as a standby', () => {
    const world = settled(2)
    world.kill('n1')
    world.run(3_000)
    world.start('n1')
    world.run(5_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.role('n1')).toBe('standby')
    expect(world.roles('n2').filter((role) => role === 'active')).toHaveLength(1)
  })

  it('ROL-14: clusters of two to five start, fail over and take the lost node back', () => {
    for (const count of [2, 3, 4, 5]) {
      const world = settled(count)
      world.kill('n1')
      world.until(() => world.role('n2') === 'active', 1_000)
      world.start('n1')
      world.until(
        () => names(count).every((id) => id === 'n2' || world.role(id) === 'standby'),
        5_000,
      )
    }
  })
})

describe('cold start', () => {
  it('ROL-20: a stale node that starts first waits for the member with newer data', () => {
    const world = settled(2)
    world.kill('n2')
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.kill('n1')
    world.run(1_000)
    world.start('n2')
    world.run(5_000)
    expect(world.role('n2')).toBe('discovering')
    world.start('n1')
    world.until(() => world.actives().length === 1, 5_000)
    expect(world.actives()).toEqual(['n1'])
    world.until(() => world.role('n2') === 'standby', 1_000)
    expect(world.node('n2').disk.seq).toBe(10)
  })

  it('ROL-20: the newest data wins over the order of the list', () => {
    const world = settled(3)
    world.kill('n1')
    world.until(() => world.actives().length === 1, 1_000)
    const [active = ''] = world.actives()
    world.run(500)
    for (let writes = 0; writes < 5; writes += 1) world.write(active)
    for (const id of ['n2', 'n3']) world.kill(id)
    world.run(500)
    for (const id of names(3)) world.start(id)
    world.run(3_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.node('n1').disk.seq).toBe(10)
  })

  it('ROL-20: after startupWaitMs an unproven node serves, with an event', () => {
    const world = settled(2)
    world.kill('n2')
    world.kill('n1')
    world.run(500)
    world.start('n1')
    const tookMs = world.until(() => world.role('n1') === 'active', 15_000)
    expect(tookMs).toBeGreaterThanOrEqual(10_000)
    expect(world.events('n1', 'unprovenStart')).toHaveLength(1)
  })

  it('ROL-20: the last active serves without a wait after a clean stop', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(3_000)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 6_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('active')
    world.start('n1')
    expect(world.until(() => world.role('n1') === 'active', 2_000)).toBeLessThan(1_200)
    expect(world.events('n1', 'unprovenStart')).toEqual([])
  })

  it('ROL-20: an active that stopped beside a silent standby waits, because it may have been replaced', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    world.run(1_000)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 6_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('standby')
    world.until(() => world.role('n2') === 'active', 6_000)
    world.start('n1')
    world.run(5_000)
    expect(world.actives()).toEqual(['n2'])
    healAll(world)
    world.until(() => world.role('n1') === 'standby', 6_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('ROL-20: a reachable copy with more changes wins over the proof of a clean stop', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(3_000)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 6_000)
    // n2 serves alone after its wait, and gets data that n1 does not have.
    world.start('n2')
    world.until(() => world.role('n2') === 'active', 15_000)
    world.write('n2')
    world.kill('n2')
    world.run(100)
    world.start('n1')
    world.start('n2')
    world.until(() => world.actives().length === 1, 15_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('a stop during the first search keeps the proof of the previous process', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(3_000)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 6_000)
    world.node('n1').gateOpen = false
    world.start('n1')
    world.run(100)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 6_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('active')
  })

  it('an empty node loses against one with data, whatever its place in the list', () => {
    const world = new World(['n1', 'n2'])
    world.node('n2').disk.history = [{ epoch: 3, nodeId: 'n2', bootId: 'old', firstSeq: 1 }]
    world.node('n2').disk.seq = 7
    world.start('n1')
    world.start('n2')
    world.run(3_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.node('n1').disk.seq).toBe(7)
  })

  it('across a fork the history with the higher last epoch wins', () => {
    const world = new World(['n1', 'n2'])
    const common = { epoch: 1, nodeId: 'n1', bootId: 'old', firstSeq: 1 }
    world.node('n1').disk.history = [common]
    world.node('n1').disk.seq = 20
    world.node('n2').disk.history = [common, { epoch: 2, nodeId: 'n2', bootId: 'old', firstSeq: 5 }]
    world.node('n2').disk.seq = 6
    world.start('n1')
    world.start('n2')
    world.run(3_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('an operator may end the wait for missing members', () => {
    const world = new World(['n1', 'n2'])
    world.start('n1')
    world.run(2_000)
    const id = world.command('n1', { name: 'takeOver', withoutPeers: ['n2'] })
    world.until(() => world.role('n1') === 'active', 500)
    expect(world.outcome(id)).toBe('ok')
  })
})

describe('an empty node', () => {
  it.each(['damaged', 'observer'] as const)(
    'ROL-20: does not serve in place of a member with data that cannot be fetched (%s)',
    (how) => {
      const members = [
        { id: 'n1', promotable: true },
        { id: 'n2', promotable: how !== 'observer' },
      ]
      const world = settled(2, { members })
      world.kill('n1')
      world.kill('n2')
      // The disk of n1 was replaced.
      const durable = { promised: undefined, known: undefined, lastStop: 'never' } as const
      world.node('n1').disk = { durable, history: [], seq: 0, inSync: undefined }
      world.node('n2').damaged = how === 'damaged'
      world.node('n2').fetchable = false
      world.start('n1')
      world.start('n2')
      world.run(60_000)
      expect(world.actives()).toEqual([])
      expect(world.events('n1', 'holding')).toMatchObject([{ missing: ['n2'] }])
      world.node('n2').fetchable = true
      world.until(() => world.actives()[0] === 'n1', 15_000)
      expect(world.node('n1').disk.seq).toBe(5)
    },
  )
})

describe('starts that change no role', () => {
  it('ROL-15: standbys stop, the network fails and heals, standbys start: no failover', () => {
    const world = settled(3)
    for (const id of ['n2', 'n3']) world.command(id, { name: 'stop' })
    let failed = 0
    const writeFor = (ms: number): void => {
      for (let at = 0; at < ms; at += 50) {
        world.run(50)
        if (!world.write('n1')) failed += 1
      }
    }
    writeFor(1_000)
    expect([world.role('n2'), world.role('n3')]).toEqual(['dead', 'dead'])
    cutOff(world, 'n1')
    writeFor(5_000)
    healAll(world)
    for (const id of ['n2', 'n3']) world.start(id)
    writeFor(5_000)
    expect(failed).toBe(0)
    expect(world.actives()).toEqual(['n1'])
    expect([world.role('n2'), world.role('n3')]).toEqual(['standby', 'standby'])
    expect(world.roles('n2')).not.toContain('active')
    expect(world.roles('n1')).toEqual([])
  })
})
