import { describe, expect, it } from 'vitest'
import { cutOff, healAll, settled } from './clusters.js'
import { World } from './world.js'

describe('the active and its standbys', () => {
  it('SES-1: both sides send heartbeats every heartbeatMs', () => {
    const world = settled(2)
    world.sent = []
    world.run(10_000)
    for (const from of ['n1', 'n2']) {
      const beats = world.sent.filter((one) => one.from === from && one.type === 'heartbeat')
      expect(beats.length).toBeGreaterThanOrEqual(49)
      expect(beats.length).toBeLessThanOrEqual(51)
    }
  })

  it('ROL-10: it keeps serving when all standbys vanish, and emits one event for each', () => {
    const world = settled(3)
    world.kill('n2')
    world.kill('n3')
    for (let writes = 0; writes < 100; writes += 1) {
      expect(world.write('n1')).toBe(true)
      world.run(100)
    }
    expect(world.events('n1', 'peerDown')).toEqual([
      { name: 'peerDown', peer: 'n2', cause: 'gone' },
      { name: 'peerDown', peer: 'n3', cause: 'gone' },
    ])
    expect(world.roles('n1')).toEqual([])
    const lost = world.said.filter((said) => said.what.startsWith('peerLost'))
    expect(lost.map((said) => said.what)).toEqual(['peerLost n2 proven', 'peerLost n3 proven'])
  })

  it('a standby that is heard but does not hear the active does not count', () => {
    const world = settled(3)
    world.cutLink('n1', 'n2', false)
    world.run(6_000)
    const lost = world.said.filter((said) => said.node === 'n1' && said.what.startsWith('peerLost'))
    expect(lost.map((said) => said.what)).toEqual(['peerLost n2'])
    expect(world.actives()).toEqual(['n1'])
  })

  it('GEN-2: a standby that reports a newer active no longer counts', () => {
    const world = settled(3)
    const n1 = world.node('n1')
    const view = n1.core.peers.get('n2')?.view
    if (view === undefined) throw new Error('n1 has no view of n2')
    const told = (epoch: number): string[] => {
      const follows = { id: 'n3', term: { epoch, nodeId: 'n3', bootId: 'n3.1' }, heard: true }
      const message = { type: 'heartbeat', view: { ...view, follows } } as const
      world.input(n1, { type: 'message', from: 'n2', message })
      return world.said.map(({ what }) => what).filter((what) => what.startsWith('peerLost'))
    }
    // Of an older active it is only not aware yet that there is a newer one.
    expect(told(0)).toEqual([])
    // Its copy becomes that of the other one, so that what it acknowledged here is not there any
    // more.
    expect(told(2)).toEqual(['peerLost n2 proven'])
    expect(told(2)).toEqual(['peerLost n2 proven'])
  })

  /** n1 serves without n2, which has more on its disk, comes back, and may be damaged. */
  function behind(damaged: boolean): World {
    const world = new World(['n1', 'n2'])
    const history = [{ epoch: 1, nodeId: 'n2', bootId: 'old', firstSeq: 1 }]
    world.node('n1').disk.history = history
    world.node('n1').disk.seq = 3
    world.node('n2').disk.history = history
    world.node('n2').disk.seq = 8
    cutOff(world, 'n1')
    world.start('n1')
    world.until(() => world.role('n1') === 'active', 15_000)
    healAll(world)
    world.node('n2').damaged = damaged
    world.start('n2')
    world.run(5_000)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    return world
  }

  it('it steps down when a reachable member has more changes', () => {
    const world = behind(false)
    expect(world.actives()).toEqual(['n2'])
    expect(world.role('n1')).toBe('standby')
    expect(world.node('n1').disk.seq).toBe(8)
  })

  it('it steps down for a damaged copy with more changes, fetches them and serves again', () => {
    const world = behind(true)
    expect(world.actives()).toEqual(['n1'])
    expect(world.node('n1').disk.seq).toBe(8)
    expect(world.role('n2')).toBe('standby')
  })

  it('it steps down when its copy fails, and is not promoted again', () => {
    const world = settled(2)
    world.node('n1').ineligible = 'journal failed'
    world.input(world.node('n1'), { type: 'copyFailed', reason: 'journal failed' })
    world.until(() => world.role('n2') === 'active', 5_000)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    world.until(() => world.role('n1') === 'standby', 2_000)
  })
})

describe('one-way loss', () => {
  it('SES-2, GEN-7: an active that nobody hears is replaced and gives up', () => {
    for (const count of [2, 3]) {
      const world = settled(count)
      for (let at = 2; at <= count; at += 1) world.cutLink('n1', `n${at}`, false)
      world.until(() => world.role('n2') === 'active', 5_000)
      world.until(() => world.role('n1') !== 'active', 5_000)
      world.run(10_000)
      expect(world.actives(), `${count} nodes`).toEqual(['n2'])
    }
  })

  it('GEN-7: two actives in one epoch behind a one-way cut end as one', () => {
    const pairs = [
      ['n1', 'n2'],
      ['n2', 'n1'],
    ] as const
    for (const [from, to] of pairs) {
      const world = new World(['n1', 'n2'])
      cutOff(world, 'n1')
      world.start('n1')
      world.start('n2')
      world.until(() => world.actives().length === 2, 15_000)
      healAll(world)
      world.until(() => world.links.size === 2, 5_000)
      world.cutLink(from, to, false)
      world.run(20_000)
      expect(world.actives(), `${from} to ${to}`).toHaveLength(1)
    }
  })

  it('GEN-7: an active that hears no member keeps the role', () => {
    for (const count of [2, 3]) {
      const world = settled(count)
      for (let at = 2; at <= count; at += 1) world.cutLink(`n${at}`, 'n1', false)
      world.run(20_000)
      expect(world.actives(), `${count} nodes`).toEqual(['n1'])
    }
  })

  it('GEN-7: with three nodes a one-way cut of one link causes no promotion', () => {
    const pairs = [
      ['n1', 'n2'],
      ['n2', 'n1'],
      ['n2', 'n3'],
      ['n1', 'n3'],
    ] as const
    for (const [from, to] of pairs) {
      const world = settled(3)
      world.cutLink(from, to, false)
      world.run(20_000)
      expect(world.actives(), `${from} to ${to}`).toEqual(['n1'])
    }
  })
})

describe('two actives', () => {
  it('both report a healed partition once, with the same incident', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    world.until(() => world.actives().length === 2, 10_000)
    world.write('n1')
    world.write('n2')
    healAll(world)
    world.run(30_000)
    expect(world.actives()).toEqual(['n1', 'n2'])
    const [left, ...more] = world.events('n1', 'splitBrain')
    expect(more).toEqual([])
    expect(world.events('n2', 'splitBrain')).toEqual([left])
    expect(left).toMatchObject({ actives: [{ id: 'n1' }, { id: 'n2' }] })
  })

  it('without changes on the older side there is no fork, and the one behind steps down', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    world.until(() => world.actives().length === 2, 10_000)
    world.write('n2')
    healAll(world)
    world.run(3_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.role('n1')).toBe('standby')
  })

  it('a standby stays with its active when another one appears', () => {
    const world = settled(3)
    world.cutLink('n1', 'n2')
    world.cutLink('n2', 'n3')
    world.until(() => world.role('n2') === 'active', 10_000)
    world.write('n1')
    world.write('n2')
    world.heal('n2', 'n3')
    world.run(10_000)
    expect(world.role('n3')).toBe('standby')
    expect(world.node('n3').core.following?.id).toBe('n1')
  })
})

describe('promises that were never used', () => {
  it('a promise ends with its round, whichever members are heard meanwhile', () => {
    const world = settled(3)
    cutOff(world, 'n1')
    world.node('n2').opens = false
    world.node('n2').gateOpen = false
    world.until(() => world.node('n3').core.pledge !== undefined, 10_000)
    // n3 hears the active again, but not the candidate that it promised to.
    world.cutLink('n2', 'n3')
    world.heal('n1', 'n3')
    world.until(() => world.role('n3') === 'standby', 10_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.roles('n1')).toEqual([])
  })

  it('a new term is opened above them, and the tenure continues', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    world.node('n2').gateOpen = false
    world.until(() => (world.node('n2').disk.durable.promised?.epoch ?? 0) > 1, 10_000)
    healAll(world)
    world.until(() => world.role('n2') === 'standby', 10_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.roles('n1')).toEqual([])
    expect(world.node('n1').core.tenure?.term.epoch).toBeGreaterThan(2)
    expect(world.write('n1')).toBe(true)
    world.run(1_000)
    expect(world.node('n2').disk.seq).toBe(world.node('n1').disk.seq)
  })

  it('the other standbys follow the new term without leaving their role', () => {
    const world = settled(3)
    cutOff(world, 'n2')
    world.node('n2').gateOpen = false
    world.run(8_000)
    world.said = []
    healAll(world)
    world.run(8_000)
    expect(world.role('n2')).toBe('standby')
    expect(world.roles('n3')).toEqual([])
    expect(world.roles('n1')).toEqual([])
    world.write('n1')
    world.run(500)
    expect(world.node('n3').disk.seq).toBe(world.node('n1').disk.seq)
  })
})
