import { describe, expect, it } from 'vitest'
import { covers } from '../../src/core/standing/highest-known.js'
import { cutOff, healAll, settled } from './clusters.js'
import { emptyDisk, replaceDisk } from './disks.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

/**
 * Five writes are acknowledged that n1 and n2 have, and n3 has not; n3 is in the in-sync set all
 * the same.
 */
function ahead(options: WorldOptions = {}, write = (world: World) => world.write('n1')): World {
  const world = settled(3, options)
  world.node('n3').lagging = true
  for (let writes = 0; writes < 5; writes += 1) write(world)
  world.run(10)
  world.node('n3').lagging = false
  return world
}

const both = ['takeOver', 'hold'] as const

/**
 * What must become of acknowledged writes that nobody in reach has: they are named, or held for.
 */
function isToldOf(world: World, onMissingPeer: (typeof both)[number], missing: string): void {
  if (onMissingPeer === 'hold') {
    world.run(20_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n3', 'holding')).toMatchObject([{ missing: [missing] }])
  } else {
    world.until(() => world.role('n3') === 'active', 8_000)
    expect(world.events('n3', 'possibleLoss')).toMatchObject([{ missing: [missing] }])
  }
}

describe('GEN-2: who may stand for whom', () => {
  it.each([2, 3])(
    'the lost active of %i nodes returns with its own changes: no member is named',
    (count) => {
      const world = settled(count, { order: 'list' })
      world.command('n1', { name: 'switchover', to: 'n2' })
      world.until(() => world.role('n1') === 'standby', 8_000)
      world.run(1_000)
      const standbys = count === 2 ? ['n1'] : ['n1', 'n3']
      // Nobody was told that these are on a standby.
      for (const id of standbys) world.node(id).lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n2')
      world.memoryAcks = true
      world.kill('n2')
      world.until(() => world.role('n1') === 'active', 8_000)
      for (const id of standbys) world.node(id).lagging = false
      world.start('n2')
      world.until(() => world.events('n1', 'steppedDown').length > 0, 5_000)
      world.until(() => world.actives().length === 1, 8_000)
      expect(world.actives()).toEqual(['n1'])
      expect(world.node('n1').disk.seq).toBe(10)
      expect(world.said.filter((said) => said.event?.name === 'possibleLoss')).toEqual([])
    },
  )

  describe.each(both)('onMissingPeer %s', (onMissingPeer) => {
    it('the lost active returns with an empty disk: it answers for no member', () => {
      const world = ahead({ onMissingPeer })
      world.freeze('n2', 60_000)
      world.kill('n1')
      replaceDisk(world, 'n1', emptyDisk())
      world.start('n1')
      isToldOf(world, onMissingPeer, 'n2')
    })

    it('the lost active returns with an older state of its disk', () => {
      const world = settled(3, { onMissingPeer })
      const older = structuredClone(world.node('n1').disk)
      world.node('n3').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      world.run(10)
      world.node('n3').lagging = false
      world.freeze('n2', 60_000)
      world.kill('n1')
      replaceDisk(world, 'n1', older)
      world.start('n1')
      isToldOf(world, onMissingPeer, 'n2')
    })

    it('the lost active restarts without what it had acknowledged from memory', () => {
      const world = settled(3, { onMissingPeer })
      world.node('n1').lazy = true
      world.node('n3').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      world.run(10)
      world.node('n3').lagging = false
      world.freeze('n2', 60_000)
      world.kill('n1')
      world.start('n1')
      isToldOf(world, onMissingPeer, 'n2')
    })

    it('a member of the set returns with an empty disk: it counts as missing', () => {
      const world = ahead({ onMissingPeer })
      world.kill('n2')
      world.kill('n1')
      replaceDisk(world, 'n2', emptyDisk())
      world.start('n2')
      isToldOf(world, onMissingPeer, 'n2')
    })

    it('a member of the set returns with an older state of its disk', () => {
      const world = settled(3, { onMissingPeer })
      const older = structuredClone(world.node('n2').disk)
      world.node('n3').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      // n3 heard how far n2 had come.
      world.run(500)
      world.node('n3').lagging = false
      world.kill('n2')
      world.kill('n1')
      replaceDisk(world, 'n2', older)
      world.start('n2')
      isToldOf(world, onMissingPeer, 'n2')
    })

    it('a member of the set restarts without what it had acknowledged from memory', () => {
      const world = settled(3, { onMissingPeer })
      world.memoryAcks = true
      world.node('n2').lazy = true
      world.node('n3').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      world.run(10)
      world.node('n3').lagging = false
      world.kill('n2')
      world.kill('n1')
      world.start('n2')
      isToldOf(world, onMissingPeer, 'n2')
    })
  })

  it('a member that restarted with its disk as it was counts, also with hold', () => {
    const world = ahead({ onMissingPeer: 'hold' })
    world.kill('n2')
    world.kill('n1')
    world.start('n2')
    world.until(() => world.actives().length === 1, 10_000)
    const [active = ''] = world.actives()
    expect(world.ledger.lost(world.node(active).disk)).toBe(0)
    expect(world.events(active, 'possibleLoss')).toEqual([])
  })

  it('the process that wrote the last term stands for the set as long as it lives', () => {
    const world = ahead({ onMissingPeer: 'hold' })
    world.freeze('n2', 60_000)
    // It gives up by itself and lives on; n3 fetches from it, or it goes first.
    world.node('n1').ineligible = 'disk'
    world.input(world.node('n1'), { type: 'copyFailed', reason: 'disk' })
    world.until(() => world.role('n3') === 'active', 8_000)
    expect(world.events('n3', 'possibleLoss')).toEqual([])
    expect(world.ledger.lost(world.node('n3').disk)).toBe(0)
  })

  it('a member that gave up its own term for the followed one answers for itself', () => {
    const world = settled(3)
    cutOff(world, 'n3')
    world.until(() => world.role('n3') === 'active', 20_000)
    for (let writes = 0; writes < 3; writes += 1) world.write('n3')
    world.write('n1')
    healAll(world)
    // n2 hears of what n3 wrote, and follows n1 all the while.
    world.run(3_000)
    expect(world.actives()).toEqual(['n1', 'n3'])
    world.kill('n3')
    world.run(3_000)
    world.start('n3')
    world.until(() => world.role('n3') === 'standby', 20_000)
    world.run(3_000)
    world.said = []
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 15_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })

  it('an operator may order a takeover without the member that lost its disk', () => {
    const world = ahead({ onMissingPeer: 'hold' })
    world.kill('n2')
    world.kill('n1')
    replaceDisk(world, 'n2', emptyDisk())
    world.start('n2')
    world.run(10_000)
    const id = world.command('n3', { name: 'takeOver', withoutPeers: ['n1', 'n2'] })
    world.until(() => world.role('n3') === 'active', 3_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.events('n3', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
  })

  it('after a restart of all, a member of the set that returns empty is named', () => {
    const world = settled(3)
    for (const id of ['n1', 'n2', 'n3']) world.kill(id)
    replaceDisk(world, 'n2', emptyDisk())
    for (const id of ['n1', 'n2', 'n3']) world.start(id)
    world.until(() => world.actives().length === 1, 15_000)
    const [active = ''] = world.actives()
    expect(world.events(active, 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
    world.until(() => world.role('n2') === 'standby', 3_000)
  })

  it("with 'hold' a restart of all holds for a member that comes back empty", () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    for (const id of ['n1', 'n2', 'n3']) world.kill(id)
    replaceDisk(world, 'n2', emptyDisk())
    for (const id of ['n1', 'n2', 'n3']) world.start(id)
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n1', 'holding')).toMatchObject([{ missing: ['n2'] }])
    expect(world.events('n2', 'holding')).toMatchObject([{ missing: ['n2'] }])
    world.command('n1', { name: 'takeOver', withoutPeers: ['n2'] })
    world.until(() => world.role('n1') === 'active', 8_000)
  })

  it('a new member that was never in the set delays no takeover', () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    world.kill('n3')
    world.run(3_000)
    for (const id of ['n1', 'n2']) world.kill(id)
    replaceDisk(world, 'n3', emptyDisk())
    for (const id of ['n1', 'n2', 'n3']) world.start(id)
    world.until(() => world.actives().length === 1, 15_000)
  })
})

describe('ROL-16: later data', () => {
  /**
   * n3 is out of the set, hears of later changes through n2, and is left with n1 as the others make
   * it.
   */
  function outOfSet(change: (world: World) => void): World {
    const world = settled(3)
    world.cutLink('n1', 'n3')
    world.run(6_000)
    for (let writes = 0; writes < 20; writes += 1) world.write('n1')
    world.run(6_000)
    world.kill('n2')
    world.run(50)
    world.kill('n1')
    healAll(world)
    change(world)
    return world
  }

  it('the lost active with an empty disk does not prove that nothing is later', () => {
    const world = outOfSet(() => undefined)
    replaceDisk(world, 'n1', emptyDisk())
    world.start('n1')
    world.run(20_000)
    expect(world.actives()).toEqual([])
    // It says so, and disturbs nobody with rounds that lead nowhere.
    expect(world.events('n3', 'holding')).toMatchObject([{ missing: ['n1'] }])
    expect(world.node('n3').core.durable.promised?.epoch).toBe(1)
    world.start('n2')
    world.until(() => world.actives().length === 1, 15_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('the lost active with its disk unchanged does', () => {
    const world = outOfSet((one) => one.start('n1'))
    world.until(() => world.actives().length === 1, 15_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('an empty term is not later: a node with every change serves', () => {
    const world = settled(2)
    for (const id of ['n2', 'n1']) world.command(id, { name: 'stop' })
    world.run(3_000)
    world.start('n1')
    world.until(() => world.role('n1') === 'active', 15_000)
    world.node('n2').restoreMs = 60_000
    world.start('n2')
    world.until(() => world.role('n2') === 'restoring', 5_000)
    world.run(1_000)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 20_000)
    expect(world.ledger.lost(world.node('n2').disk)).toBe(0)
  })

  it('an order to a member that returned with less concerns its copy as it is', () => {
    const world = settled(2)
    world.node('n2').lagging = true
    const older = structuredClone(world.node('n1').disk)
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    // The disk of n2 is so slow that it is out of the set, and hears of what it lacks.
    world.node('n1').disk.inSync = ['n1']
    world.factsChanged('n1')
    world.run(5_000)
    world.kill('n1')
    replaceDisk(world, 'n1', older)
    world.start('n1')
    world.run(20_000)
    expect(world.actives()).toEqual([])
    world.command('n1', { name: 'takeOver', withoutPeers: ['n2'] })
    world.until(() => world.role('n1') === 'active', 10_000)
  })

  it('a later term without a change covers nothing', () => {
    const term = { epoch: 1, nodeId: 'n1', bootId: 'n1.1' }
    const history = [
      { ...term, firstSeq: 1 },
      { epoch: 5, nodeId: 'n2', bootId: 'n2.1', firstSeq: 21 },
    ]
    expect(covers({ history, seq: 20 }, { term, seq: 25 })).toBe(false)
    expect(covers({ history, seq: 21 }, { term, seq: 25 })).toBe(true)
  })

  it('an order to take over without later changes names the member that had them', () => {
    const world = outOfSet(() => undefined)
    world.run(15_000)
    world.command('n3', { name: 'takeOver', withoutPeers: ['n1', 'n2'] })
    world.until(() => world.role('n3') === 'active', 5_000)
    const [event] = world.events('n3', 'possibleLoss')
    expect(event).toMatchObject({ missing: expect.arrayContaining(['n1']) })
  })
})

describe('a fresher copy that may not lead', () => {
  it.each(['ineligible', 'damaged'] as const)(
    'GEN-2: %s and of another history, it is named in possibleLoss',
    (why) => {
      const world = settled(3)
      // n3 went on alone for a while, in a later term.
      cutOff(world, 'n3')
      world.until(() => world.role('n3') === 'active', 8_000)
      for (let writes = 0; writes < 5; writes += 1) world.write('n3')
      for (let writes = 0; writes < 3; writes += 1) world.write('n1')
      world.kill('n3')
      for (const id of ['n1', 'n2']) world.kill(id)
      world.run(1_000)
      healAll(world)
      if (why === 'damaged') world.node('n3').damaged = true
      else world.node('n3').ineligible = 'disk full'
      world.said = []
      for (const id of ['n1', 'n2', 'n3']) world.start(id)
      world.until(() => world.actives().length === 1, 20_000)
      const [active = ''] = world.actives()
      expect(active).not.toBe('n3')
      expect(world.events(active, 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
    },
  )
})

describe('GEN-2: a disk that is restored to its state after a clean stop', () => {
  /**
   * n1 stopped cleanly last and served again; then the others go on, and its disk is put back to
   * that stop.
   */
  function putBack(count: number): World {
    const world = settled(count)
    for (const id of ['n3', 'n2', 'n1'].slice(3 - count)) {
      world.command(id, { name: 'stop' })
      world.run(1_000)
    }
    const older = structuredClone(world.node('n1').disk)
    expect(older.durable.lastStop).toBe('active')
    for (const { id } of world.members) world.start(id)
    world.until(() => world.role('n1') === 'active', 15_000)
    world.until(() => world.role('n2') === 'standby', 15_000)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 15_000)
    for (let writes = 0; writes < 5; writes += 1) world.write('n2')
    for (const { id } of world.members) if (world.node(id).alive) world.kill(id)
    replaceDisk(world, 'n1', older)
    world.said = []
    return world
  }

  it.each([2, 3])(
    'of %i members: its node serves, and names the one that continued without it',
    (count) => {
      const world = putBack(count)
      world.start('n1')
      world.until(() => world.role('n1') === 'active', 15_000)
      for (let writes = 0; writes < 3; writes += 1) world.write('n1')
      world.said = []
      world.start('n2')
      world.until(() => world.role('n2') === 'standby', 15_000)
      expect(world.events('n1', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
    },
  )

  it('its node gives the role to the one that continued, if nothing was written', () => {
    const world = putBack(2)
    world.start('n1')
    world.until(() => world.role('n1') === 'active', 15_000)
    world.start('n2')
    world.until(() => world.role('n2') === 'active', 15_000)
    world.run(3_000)
    expect(world.ledger.lost(world.node('n2').disk)).toBe(0)
    expect(world.events('n1', 'possibleLoss')).toEqual([])
  })

  it('of two that both continued, the one that yields is named, even with equal epochs', () => {
    const world = putBack(2)
    world.start('n1')
    world.until(() => world.role('n1') === 'active', 15_000)
    for (let writes = 0; writes < 9; writes += 1) world.write('n1')
    world.kill('n1')
    for (const id of ['n1', 'n2']) world.start(id)
    world.until(() => world.actives().length === 1, 15_000)
    const [active = ''] = world.actives()
    const other = active === 'n1' ? 'n2' : 'n1'
    world.until(() => world.role(other) === 'standby', 15_000)
    expect(world.events(active, 'possibleLoss')).toMatchObject([{ missing: [other] }])
  })

  it('also a member that has the rest of a known term from its owner', () => {
    const world = settled(3)
    cutOff(world, 'n3')
    world.until(() => world.role('n3') === 'active', 20_000)
    world.write('n3')
    world.kill('n3')
    // Held by n2, too, and lost with the history that these two have.
    for (let writes = 0; writes < 3; writes += 1) world.write('n1')
    world.run(10)
    for (const id of ['n1', 'n2']) world.kill(id)
    healAll(world)
    world.said = []
    for (const id of ['n1', 'n2', 'n3']) world.start(id)
    world.until(() => world.role('n2') === 'standby', 20_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.events('n3', 'possibleLoss')).toMatchObject([{ missing: ['n2'] }])
  })

  it('the missing rest of a known term that was never acknowledged is no loss', () => {
    const world = settled(2)
    world.node('n2').lagging = true
    world.kill('n2')
    world.run(3_000)
    // Nobody takes what n1 writes last, and it crashes with it; n2 goes on, and stops cleanly.
    const ahead = structuredClone(world.node('n1').disk)
    world.command('n1', { name: 'stop' })
    world.run(1_000)
    world.start('n2')
    world.until(() => world.role('n2') === 'active', 15_000)
    world.write('n2')
    world.command('n2', { name: 'stop' })
    world.run(6_000)
    replaceDisk(world, 'n1', { ...ahead, seq: ahead.seq + 2 })
    world.said = []
    world.start('n2')
    world.until(() => world.role('n2') === 'active', 15_000)
    world.start('n1')
    world.until(() => world.role('n1') === 'standby', 15_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })
})
