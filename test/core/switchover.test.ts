import { describe, expect, it } from 'vitest'
import { cutOff, healAll, settled } from './clusters.js'

describe('switchover', () => {
  it('ROL-12: the role moves at once and nothing acknowledged is lost', () => {
    const world = settled(3)
    world.write('n1')
    const id = world.command('n1', { name: 'switchover', to: undefined })
    const tookMs = world.until(() => world.role('n2') === 'active', 1_000)
    expect(tookMs).toBeLessThan(100)
    world.until(() => world.role('n1') === 'standby' && world.role('n3') === 'standby', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.ledger.lost(world.node('n2').disk)).toBe(0)
    expect(world.roles('n1')).toEqual(['discovering', 'restoring', 'standby'])
    expect(world.write('n2')).toBe(true)
  })

  it('ROL-12: to a named standby, back and forth', () => {
    const world = settled(3)
    let active = 'n1'
    for (const to of ['n3', 'n1', 'n2', 'n3', 'n2', 'n1']) {
      const id = world.command(active, { name: 'switchover', to })
      world.until(() => world.role(to) === 'active', 1_000)
      world.run(500)
      expect(world.outcome(id)).toBe('ok')
      expect(world.actives()).toEqual([to])
      expect(world.write(to)).toBe(true)
      active = to
    }
    expect(world.node('n2').disk.seq).toBe(11)
  })

  it('ROL-12: on a standby it is refused', () => {
    const world = settled(2)
    const id = world.command('n2', { name: 'switchover', to: undefined })
    expect(world.outcome(id)).toBe('NOT_ACTIVE')
    world.run(1_000)
    expect(world.said.filter((said) => said.role)).toEqual([])
  })

  it('ROL-12: without an eligible standby it is refused and the role stays', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(100)
    const first = world.command('n1', { name: 'switchover', to: undefined })
    const second = world.command('n1', { name: 'switchover', to: 'n2' })
    expect([world.outcome(first), world.outcome(second)]).toEqual([
      'NO_ELIGIBLE_STANDBY',
      'NO_ELIGIBLE_STANDBY',
    ])
    for (const to of ['nobody', 'n1']) {
      const stranger = world.command('n1', { name: 'switchover', to })
      expect(world.outcome(stranger)).toBe('OPTION_INVALID')
    }
    expect(world.write('n1')).toBe(true)
  })

  it('a second one meanwhile is refused', () => {
    const world = settled(2)
    world.node('n2').lagging = true
    world.write('n1')
    world.command('n1', { name: 'switchover', to: 'n2' })
    const second = world.command('n1', { name: 'switchover', to: 'n2' })
    expect(world.outcome(second)).toBe('SWITCHOVER_UNDER_WAY')
  })

  it('when the drain takes too long the role stays and writes continue', () => {
    const world = settled(2)
    world.node('n2').lagging = true
    world.write('n1')
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    expect(world.write('n1')).toBe(false)
    world.run(6_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    expect(world.roles('n1')).toEqual([])
    expect(world.write('n1')).toBe(true)
  })

  it('when the drain fails the role stays, and nothing was offered', () => {
    const world = settled(2)
    const n1 = world.node('n1')
    world.node('n2').lagging = true
    world.write('n1')
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    const { drain, core } = n1
    world.input(n1, { type: 'drained', id: drain?.id ?? 0, ok: false, copy: core.copy })
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    world.node('n2').lagging = false
    world.run(1_000)
    expect(world.sent.filter(({ type }) => type === 'handover')).toEqual([])
    expect(world.roles('n1')).toEqual([])
    expect(world.write('n1')).toBe(true)
  })

  it('a target that is not at the position of the handover refuses, and the old one serves again', () => {
    const world = settled(2)
    world.write('n1')
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.role('n1') === 'discovering', 1_000)
    // Its cut shows that it lacks what the giver had acknowledged with it.
    world.node('n2').disk.seq -= 1
    world.until(() => world.outcome(id) !== undefined, 1_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    expect(world.sent.filter(({ type }) => type === 'handoverRefused')).toHaveLength(1)
    expect(world.roles('n2')).not.toContain('active')
    world.until(() => world.actives().length === 1, 5_000)
    expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
  })

  it('when the target vanishes after the hand-over the old one serves again, in a new term', () => {
    const world = settled(2)
    world.node('n2').gateOpen = false
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.role('n1') === 'discovering', 1_000)
    world.run(20)
    world.kill('n2')
    world.until(() => world.role('n1') === 'active', 5_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    expect(world.node('n1').core.tenure?.term.epoch).toBeGreaterThan(2)
  })

  it('when the target falls silent after the hand-over the old one serves again, and possibleLoss names the target', () => {
    const world = settled(3)
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.role('n1') === 'discovering', 1_000)
    cutOff(world, 'n1')
    world.until(() => world.role('n1') === 'active', 10_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    // It may have served, and acknowledged writes with n3.
    expect(world.events('n1', 'possibleLoss')).toMatchObject([{ missing: ['n2', 'n3'] }])
    healAll(world)
    world.run(100)
    expect(world.ledger.opens.length).toBeGreaterThanOrEqual(2)
  })

  it("with onMissingPeer 'hold' the old one holds for a target that fell silent", () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.role('n1') === 'discovering', 1_000)
    cutOff(world, 'n1')
    world.run(30_000)
    expect(world.role('n1')).toBe('discovering')
    expect(world.events('n1', 'holding')).toMatchObject([{ missing: ['n2', 'n3'] }])
    healAll(world)
    world.until(() => world.role('n1') === 'standby', 5_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('a target that cannot open its term says so at once', () => {
    const world = settled(2)
    world.node('n2').opens = false
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    const tookMs = world.until(() => world.outcome(id) !== undefined, 10_000)
    expect(tookMs).toBeLessThan(100)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    world.until(() => world.role('n1') === 'active', 5_000)
  })

  it("a target that refused and died is not missed, with onMissingPeer 'hold' either", () => {
    const world = settled(2, { onMissingPeer: 'hold' })
    world.node('n2').opens = false
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.outcome(id) !== undefined, 5_000)
    world.kill('n2')
    world.until(() => world.role('n1') === 'active', 10_000)
    expect(world.events('n1', 'possibleLoss')).toEqual([])
  })

  it('a target that may not take the role refuses, and the old one serves again', () => {
    const world = settled(2)
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.node('n2').ineligible = 'disk full'
    world.factsChanged('n2')
    world.until(() => world.outcome(id) !== undefined, 10_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    world.until(() => world.role('n1') === 'active', 10_000)
  })
})

describe('stop', () => {
  it('a standby leaves; the active notices at once', () => {
    const world = settled(2)
    const id = world.command('n2', { name: 'stop' })
    world.until(() => world.role('n2') === 'dead', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.node('n2').disk.durable.lastStop).toBe('standby')
    expect(world.events('n1', 'peerDown')).toEqual([
      { name: 'peerDown', peer: 'n2', cause: 'stopped' },
    ])
  })

  it('an active hands over first', () => {
    const world = settled(3)
    const id = world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.actives()).toEqual(['n2'])
    expect(world.node('n1').disk.durable.lastStop).toBe('standby')
    expect(world.events('n2', 'failover')).toEqual([])
  })

  it('an active without an eligible standby records that it handed over to nobody', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(100)
    const id = world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 1_000)
    expect(world.outcome(id)).toBe('ok')
    expect(world.node('n1').disk.durable.lastStop).toBe('active')
  })

  it('after stopping all nodes one after the other, the last one starts without a wait', () => {
    const world = settled(3)
    for (const id of ['n1', 'n2', 'n3']) {
      world.command(id, { name: 'stop' })
      world.until(() => world.role(id) === 'dead', 7_000)
      world.run(100)
    }
    expect(world.node('n3').disk.durable.lastStop).toBe('active')
    world.start('n3')
    expect(world.until(() => world.role('n3') === 'active', 2_000)).toBeLessThan(1_200)
  })

  it('a second stop is answered together with the first', () => {
    const world = settled(2)
    const ids = [world.command('n1', { name: 'stop' }), world.command('n1', { name: 'stop' })]
    world.until(() => world.role('n1') === 'dead', 2_000)
    expect(ids.map((id) => world.outcome(id))).toEqual(['ok', 'ok'])
  })

  it('a stop before any decision keeps the proof of the previous process', () => {
    const world = settled(2)
    const stop = world.command('n2', { name: 'stop' })
    world.until(() => world.outcome(stop) === 'ok', 2_000)
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 2_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('active')
    world.start('n1')
    expect(world.node('n1').core.bootPersistId).toBeDefined()
    world.command('n1', { name: 'stop' })
    world.until(() => world.role('n1') === 'dead', 2_000)
    expect(world.node('n1').disk.durable.lastStop).toBe('active')
  })

  it('a stop in the middle of a takeover ends it', () => {
    const world = settled(2)
    world.node('n2').gateOpen = false
    world.kill('n1')
    world.run(50)
    world.command('n2', { name: 'stop' })
    world.until(() => world.role('n2') === 'dead', 1_000)
    expect(world.node('n2').disk.durable.lastStop).toBe('standby')
  })
})
