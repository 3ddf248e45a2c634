import { describe, expect, it } from 'vitest'
import { explain } from '../../src/core/step.js'
import { cutOff, healAll, names, settled } from './clusters.js'
import { copyOf } from './shell.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

describe('failure detection', () => {
  it('ROL-5: a frozen active is replaced after deadMs and within two more heartbeats', () => {
    const world = settled(2)
    world.freeze('n1', 60_000)
    const tookMs = world.until(() => world.role('n2') !== 'standby', 5_000)
    expect(tookMs).toBeGreaterThanOrEqual(2_000 - 200)
    expect(tookMs).toBeLessThanOrEqual(2_000 + 2 * 200)
    world.until(() => world.role('n2') === 'active', 2_000)
  })

  it('ROL-5: a member that fell silent is waited for little more than a heartbeat', () => {
    for (const count of [2, 3]) {
      const world = settled(count)
      world.freeze('n1', 60_000)
      const tookMs = world.until(() => world.role('n2') === 'active', 5_000)
      expect(tookMs).toBeGreaterThanOrEqual(2_000)
      expect(tookMs).toBeLessThanOrEqual(2_000 + 2 * 200)
    }
  })

  it('ROL-5: a silence of half deadMs changes no role', () => {
    const world = settled(3)
    cutOff(world, 'n1')
    world.run(1_000)
    healAll(world)
    world.run(5_000)
    expect(world.said.filter((said) => said.role)).toEqual([])
  })

  for (const count of [2, 3, 4, 5]) {
    it(`ROL-6, ROL-14: a killed active of ${count} is replaced at once, 100 rounds`, () => {
      const world = settled(count)
      for (let round = 0; round < 100; round += 1) {
        const [active = ''] = world.actives()
        for (let writes = 0; writes < 3; writes += 1) world.write(active)
        world.kill(active)
        const tookMs = world.until(() => world.actives().length === 1, 5_000)
        expect(tookMs, `round ${round}`).toBeLessThan(100)
        const [next = ''] = world.actives()
        expect(world.write(next)).toBe(true)
        expect(world.ledger.lost(world.node(next).disk)).toBe(0)
        world.start(active)
        world.until(
          () => names(count).every((id) => id === next || world.role(id) === 'standby'),
          5_000,
        )
        world.run(100)
      }
    })
  }

  it('ROL-6: with two nodes no timer runs between the refused dial and the open term', () => {
    const world = settled(2)
    world.kill('n1')
    const tookMs = world.until(() => world.role('n2') === 'active', 100)
    // One persist, one gate, one open term, and the network.
    expect(tookMs).toBeLessThan(10)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })

  it('ROL-6: a reset with the listener still up is no death', () => {
    const world = settled(2)
    world.links.delete('n2>n1')
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'reset' })
    world.push(1, { kind: 'dial', from: 'n2', to: 'n1', boot: 1 })
    world.run(5_000)
    expect(world.roles('n2')).toEqual([])
  })

  it('ROL-6: a refused dial of a peer that still sends is no death', () => {
    const world = settled(2)
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'reset' })
    world.run(250)
    for (let tries = 0; tries < 20; tries += 1) {
      world.inputLater(50 * tries, 'n2', { type: 'dialFailed', peer: 'n1', cause: 'refused' })
    }
    world.run(2_000)
    expect(world.roles('n2')).toEqual([])
  })

  it('ROL-6: refused dials without a lost connection prove no death', () => {
    const world = settled(2)
    // Both connections fall silent, and at the address that is known for it nothing listens any
    // more.
    world.links.clear()
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'timeout' })
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'timeout', accepted: true })
    for (let tries = 0; tries < 30; tries += 1) {
      world.inputLater(50 * tries, 'n2', { type: 'dialFailed', peer: 'n1', cause: 'refused' })
    }
    world.run(1_500)
    expect(world.roles('n2')).toEqual([])
    world.until(() => world.role('n2') === 'active', 3_000)
  })

  it('ROL-6: a process that was replaced before the redial counts as dead', () => {
    const world = settled(2)
    world.kill('n1')
    world.start('n1')
    const tookMs = world.until(() => world.actives().length === 1, 1_000)
    expect(tookMs).toBeLessThan(500)
    world.run(3_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('ROL-9: killed, frozen or cut off, the active is replaced', () => {
    const ways = {
      kill: (world: World) => world.kill('n1'),
      freeze: (world: World) => world.freeze('n1', 60_000),
      cut: (world: World) => cutOff(world, 'n1'),
    }
    for (const fail of Object.values(ways)) {
      const world = settled(3)
      fail(world)
      world.until(() => world.role('n2') === 'active', 4_000)
      world.until(() => world.role('n3') === 'standby', 1_000)
    }
  })

  it('a paused standby extends its deadlines instead of accusing the active', () => {
    const world = settled(2)
    world.freeze('n2', 10_000)
    world.run(15_000)
    expect(world.roles('n2')).toEqual([])
    expect(world.events('n2', 'late')).toHaveLength(1)
  })
})

describe('asking before taking over', () => {
  it('ROL-7: an active that returns during the search keeps the role', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    world.until(() => world.role('n2') === 'discovering', 3_000)
    world.run(100)
    healAll(world)
    world.run(3_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.roles('n2')).toEqual(['discovering', 'restoring', 'standby'])
    expect(world.roles('n1')).toEqual([])
  })

  it('ROL-18: a standby that lost the active alone does not promote itself', () => {
    const world = settled(3)
    world.cutLink('n1', 'n2')
    world.run(20_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.roles('n2')).toEqual(['discovering'])
    expect(world.events('n2', 'activeUnreachable')).toEqual([
      { name: 'activeUnreachable', active: 'n1', heardBy: ['n3'] },
    ])
    healAll(world)
    world.until(() => world.role('n2') === 'standby', 1_000)
  })

  it('ROL-18: the changes that it missed make it outdated, so it does not serve alone later', () => {
    const world = settled(3)
    world.cutLink('n1', 'n2')
    world.run(5_000)
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(5_000)
    world.kill('n1')
    world.kill('n3')
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n2', 'holding').length).toBeGreaterThan(0)
    expect(world.events('n2', 'outdated')).toHaveLength(1)
    world.start('n3')
    world.until(() => world.actives().length === 1, 15_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('a receiver that hears the active refuses to promise', () => {
    const world = settled(3)
    const term = { epoch: 9, nodeId: 'n2', bootId: 'n2.1' }
    const { core } = world.node('n3')
    const view = core.peers.get('n2')?.view
    if (view === undefined) throw new Error('n3 has no view of n2')
    world.input(world.node('n3'), {
      type: 'message',
      from: 'n2',
      message: { type: 'promiseRequest', term, view },
    })
    world.run(50)
    expect(core.durable.promised?.epoch).toBe(1)
    expect(explain(core).at(-1)).toMatchObject({ rule: 'promise', outcome: 'hearsActive' })
  })
})

describe('who takes over', () => {
  it('ROL-17: the freshest takes over, not the first listed', () => {
    const world = settled(3)
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(50)
    world.kill('n1')
    world.until(() => world.role('n3') === 'active', 3_000)
    world.node('n2').lagging = false
    world.until(() => world.role('n2') === 'standby', 3_000)
    expect(world.node('n2').disk.seq).toBe(10)
  })

  it("ROL-17: with order 'list' the first listed goes, after fetching what it lacks", () => {
    const world = settled(3, { order: 'list' })
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(50)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 3_000)
    expect(world.node('n2').disk.seq).toBe(10)
  })

  it('a candidate fetches the missing suffix from an observer too', () => {
    const members = [
      { id: 'n1', promotable: true },
      { id: 'n2', promotable: true },
      { id: 'o1', promotable: false },
    ]
    const world = settled(3, { members })
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(50)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 3_000)
    expect(world.node('n2').disk.seq).toBe(10)
    expect(world.roles('o1')).not.toContain('active')
  })

  it('an observer is never promoted, even when it is alone', () => {
    const members = [
      { id: 'n1', promotable: true },
      { id: 'o1', promotable: false },
    ]
    const world = settled(2, { members })
    world.kill('n1')
    world.run(30_000)
    expect(world.actives()).toEqual([])
  })

  /** N2 was dead for five writes and has begun to restore them, which takes this long. */
  function restoring(count: number, options: WorldOptions = {}, restoreMs = 2_000): World {
    const world = settled(count, options)
    world.kill('n2')
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.node('n2').restoreMs = restoreMs
    world.start('n2')
    world.until(() => world.role('n2') === 'restoring', 1_000)
    return world
  }

  it('ROL-16: a node that was being restored does not serve, because it knows a later term', () => {
    const world = restoring(2)
    world.run(100)
    world.kill('n1')
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n2', 'outdated')).toHaveLength(1)
    world.start('n1')
    world.until(() => world.actives().includes('n1'), 15_000)
    expect(world.ledger.lost(world.node('n1').disk)).toBe(0)
  })

  it('ROL-16: allowStale lets it serve its previous complete copy', () => {
    const world = restoring(2, { allowStale: true })
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 15_000)
    expect(world.node('n2').disk.seq).toBe(5)
  })

  it('ROL-16: an operator may order a takeover without the node that has the later changes', () => {
    const world = restoring(2)
    world.kill('n1')
    world.run(15_000)
    expect(world.actives()).toEqual([])
    const id = world.command('n2', { name: 'takeOver', withoutPeers: ['n1'] })
    world.until(() => world.role('n2') === 'active', 1_000)
    expect(world.outcome(id)).toBe('ok')
  })

  it('ROL-16: a complete copy is promoted if there is one', () => {
    const world = restoring(3, {}, 3_000)
    world.kill('n1')
    world.until(() => world.role('n3') === 'active', 3_000)
  })

  it('an ineligible standby is excluded', () => {
    const world = settled(3)
    world.node('n2').ineligible = 'disk full'
    world.factsChanged('n2')
    world.run(500)
    world.kill('n1')
    world.until(() => world.role('n3') === 'active', 1_000)
  })

  it('a candidate that does nothing is excluded after deadMs', () => {
    const world = settled(3)
    world.node('n2').gateOpen = false
    world.kill('n1')
    world.until(() => world.role('n3') === 'active', 12_000)
  })

  it('a member that did not get the request for a promise is asked again', () => {
    const world = settled(3)
    const { core } = world.node('n2')
    world.kill('n1')
    world.until(() => core.round?.phase === 'preparing', 5_000)
    world.cutLink('n2', 'n3')
    world.until(() => core.round?.phase === 'asking', 100)
    world.run(20)
    world.heal('n2', 'n3')
    const tookMs = world.until(() => world.actives().length > 0, 5_000)
    expect(tookMs).toBeLessThan(1_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })

  it('a term is not opened when a higher epoch appears during the gate call', () => {
    const world = settled(3)
    const { core } = world.node('n2')
    world.kill('n1')
    world.until(() => core.round?.phase === 'gate', 5_000)
    const taken = core.round?.term.epoch ?? 0
    const n3 = core.peers.get('n3')
    if (n3?.view === undefined) throw new Error('n3 was not heard')
    n3.view = { ...n3.view, promised: { epoch: taken + 5, nodeId: 'n3', bootId: 'n3.1' } }
    world.until(() => world.actives().length > 0, 10_000)
    expect(world.node(world.actives()[0] ?? '').core.tenure?.term.epoch).toBeGreaterThan(taken)
  })

  it('a closed gate is asked again with growing pauses', () => {
    const world = settled(2)
    world.node('n2').gateOpen = false
    world.kill('n1')
    world.run(5_000)
    expect(world.role('n2')).toBe('discovering')
    world.node('n2').gateOpen = true
    world.until(() => world.role('n2') === 'active', 10_000)
  })
})

describe('missing members', () => {
  it('a silent member of the in-sync set is waited for, then possibleLoss names it', () => {
    const world = settled(3)
    cutOff(world, 'n3')
    world.run(100)
    // The active dies before it removes n3 from the set.
    world.kill('n1')
    const tookMs = world.until(() => world.role('n2') === 'active', 5_000)
    expect(tookMs).toBeGreaterThan(1_500)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  it('a member of the set that was silent long before is waited for, too', () => {
    const world = settled(3)
    // The active hears both, so that both stay in the set.
    world.cutLink('n2', 'n3')
    world.run(5_000)
    world.kill('n1')
    const tookMs = world.until(() => world.actives().length > 0, 5_000)
    expect(tookMs).toBeGreaterThan(1_900)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  /** Everybody lives but the active; n2 lacks what n3 has, and n3 may not go itself. */
  function unfetchable({
    damaged = false,
    fetchable = false,
    ...options
  }: WorldOptions & { damaged?: boolean; fetchable?: boolean }): World {
    const world = settled(3, options)
    const [n2, n3] = [world.node('n2'), world.node('n3')]
    n2.lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    n3.damaged = damaged
    n3.ineligible = damaged ? undefined : 'disk full'
    n3.fetchable = fetchable
    world.factsChanged('n3')
    world.run(50)
    world.kill('n1')
    n2.lagging = false
    return world
  }

  it('a fetch from a member is repeated for deadMs, then possibleLoss names it', () => {
    const world = unfetchable({})
    const tookMs = world.until(() => world.role('n2') === 'active', 8_000)
    expect(tookMs).toBeGreaterThan(2_000)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
    // The term began with a change of its own.
    expect(world.node('n2').disk.seq).toBe(6)
  })

  it('the member whose changes could not be fetched follows immediately, also without writes', () => {
    for (const damaged of [false, true]) {
      const world = unfetchable({ damaged })
      world.until(() => world.role('n2') === 'active', 8_000)
      world.until(() => world.role('n3') === 'standby', 1_000)
      expect(world.node('n3').disk).toMatchObject({
        seq: 6,
        history: world.node('n2').disk.history,
      })
    }
  })

  it('a damaged copy is a source and no candidate', () => {
    const world = unfetchable({ damaged: true, fetchable: true })
    world.until(() => world.role('n2') === 'active', 500)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
    expect(world.node('n2').disk.seq).toBe(10)
    world.until(() => world.role('n3') === 'standby', 1_000)
  })

  it('the fetch is repeated for longer than deadMs while data arrives', () => {
    const world = unfetchable({})
    const n2 = world.node('n2')
    const push = world.inputLater.bind(world)
    let left = 4
    // Each attempt brings one change, and takes a while.
    world.inputLater = (delayMs, id, input) => {
      if (input.type !== 'fetched' || left === 0) return push(delayMs, id, input)
      left -= 1
      n2.disk.seq += 1
      if (left === 0) world.node('n3').fetchable = true
      push(1_500, id, { ...input, copy: copyOf(world, n2) })
    }
    world.until(() => world.role('n2') === 'active', 20_000)
    expect(left).toBe(0)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
    expect(n2.disk.seq).toBe(10)
  })

  it('its changes are fetched as soon as that works', () => {
    const world = unfetchable({})
    world.run(1_000)
    world.node('n3').fetchable = true
    world.until(() => world.role('n2') === 'active', 3_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
    expect(world.node('n2').disk.seq).toBe(10)
  })

  it("GEN-2: onMissingPeer 'hold' holds for a member that cannot be fetched from", () => {
    const world = unfetchable({ onMissingPeer: 'hold' })
    world.run(60_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n2', 'holding')).toMatchObject([{ missing: ['n3'] }])
    const id = world.command('n2', { name: 'takeOver', withoutPeers: ['n3'] })
    world.until(() => world.role('n2') === 'active', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  it("GEN-2: with 'hold' it goes on by itself once the data can be fetched", () => {
    const world = unfetchable({ onMissingPeer: 'hold' })
    world.run(30_000)
    world.node('n3').fetchable = true
    world.until(() => world.role('n2') === 'active', 12_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
    expect(world.node('n2').disk.seq).toBe(10)
  })

  it.each(['list', 'freshest'] as const)(
    'GEN-2: order %s: a member whose changes cannot be fetched takes over itself, and nothing is lost',
    (order) => {
      const world = settled(3, { order })
      world.node('n2').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      world.node('n3').fetchable = false
      world.run(50)
      world.kill('n1')
      world.until(() => world.role('n3') === 'active', 10_000)
      expect(world.roles('n2')).not.toContain('active')
    },
  )

  it('a fresher member that cannot be fetched from and does nothing is excluded in the end', () => {
    const world = settled(3)
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.node('n3').fetchable = false
    world.node('n3').gateOpen = false
    world.run(50)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 30_000)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  it('a node that knows of later changes holds, and reports it', () => {
    const world = settled(3)
    world.kill('n2')
    world.run(3_000)
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.start('n2')
    world.until(() => world.role('n2') === 'standby', 3_000)
    world.node('n3').ineligible = 'disk full'
    world.factsChanged('n3')
    world.node('n3').fetchable = false
    world.run(3_000)
    world.kill('n1')
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n2', 'holding')).toMatchObject([{ missing: ['n1'] }])
  })

  it('the damaged copy of the lost active does not answer for the set', () => {
    const world = settled(3)
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(50)
    cutOff(world, 'n3')
    world.kill('n1')
    // What can be read of its journal ends before the acknowledged writes.
    world.node('n1').damaged = true
    world.node('n1').disk.seq = 5
    world.start('n1')
    world.until(() => world.role('n2') === 'active', 30_000)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  it('fetched entries may contain another set, whose missing members are named', () => {
    const world = settled(4)
    const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((id) => world.node(id))
    if (n1 === undefined || n2 === undefined || n3 === undefined) throw new Error('no nodes')
    // n2 is behind and knows an old set; n4 joined since then, and n3 left with a full disk.
    n2.lagging = true
    n2.disk.inSync = ['n1', 'n2', 'n3']
    n1.disk.inSync = ['n1', 'n4']
    world.write('n1')
    n3.lagging = true
    n3.ineligible = 'disk full'
    for (const id of ['n2', 'n3']) world.factsChanged(id)
    world.run(300)
    for (let writes = 0; writes < 3; writes += 1) world.write('n1')
    cutOff(world, 'n4')
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 20_000)
    expect(world.ledger.lost(n2.disk)).toBe(3)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n1', 'n4'] }])
  })

  it('a removed member is not named', () => {
    const world = settled(3)
    cutOff(world, 'n3')
    world.run(4_000)
    world.said = []
    world.kill('n1')
    const tookMs = world.until(() => world.role('n2') === 'active', 5_000)
    expect(tookMs).toBeLessThan(1_500)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })

  it("onMissingPeer 'hold' waits until the operator says otherwise", () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    world.cutLink('n3', 'n2')
    world.cutLink('n3', 'n1')
    world.run(100)
    world.kill('n1')
    world.run(20_000)
    expect(world.role('n2')).toBe('discovering')
    expect(world.events('n2', 'holding')).toMatchObject([{ missing: ['n3'] }])
    const id = world.command('n2', { name: 'takeOver', withoutPeers: ['n3'] })
    world.until(() => world.role('n2') === 'active', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })

  it('takeOver is refused where the active is heard', () => {
    const world = settled(2)
    const id = world.command('n2', { name: 'takeOver', withoutPeers: ['n1'] })
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
  })

  it('the failover names its incident, the lost active and the new term', () => {
    const world = settled(2)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 1_000)
    expect(world.events('n2', 'failover')).toEqual([
      {
        name: 'failover',
        incident: 'test/2/n2',
        from: 'n1',
        term: { epoch: 2, nodeId: 'n2', bootId: 'n2.1' },
      },
    ])
  })
})
