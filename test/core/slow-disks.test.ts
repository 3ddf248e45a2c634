import { describe, expect, it } from 'vitest'
import { withTerm } from '../../src/history/position.js'
import { cutOff, healAll, settled } from './clusters.js'
import { copyOf } from './shell.js'
import type { World } from './world.js'
import type { ItemBody } from './world-types.js'

type DiskWork = 'persist' | 'open'

/** What the disk of a node does with some of its work: nothing at all, or the given delay. */
function slowDisk(world: World, id: string, kinds: readonly DiskWork[], delayMs?: number): void {
  const push = world.push.bind(world)
  const isSlow = (item: ItemBody): boolean =>
    'node' in item && item.node === id && (kinds as readonly string[]).includes(item.kind)
  world.push = (normalMs, item) => {
    if (!isSlow(item)) push(normalMs, item)
    else if (delayMs !== undefined) push(delayMs, item)
  }
  if (delayMs === undefined) world.queue = world.queue.filter((item) => !isSlow(item))
}

describe('a disk that takes no promise', () => {
  it.each([true, false])(
    'a reachable member with more that does not promise stays left out (promotable: %s)',
    (promotable) => {
      const members = [
        { id: 'n1', promotable: true },
        { id: 'n2', promotable: true },
        { id: 'n3', promotable },
      ]
      const world = settled(3, { members })
      world.node('n2').lagging = true
      for (let writes = 0; writes < 5; writes += 1) world.write('n1')
      world.run(50)
      slowDisk(world, 'n3', ['persist'])
      world.kill('n1')
      world.run(30_000)
      expect(world.actives()).toEqual(['n2'])
      expect(world.events('n2', 'possibleLoss').at(-1)).toMatchObject({ missing: ['n3'] })
      world.said = []
      world.run(60_000)
      expect(world.roles('n2')).toEqual([])
    },
  )

  it('a promised term is followed once the promise is durable, even if its candidate did not wait', () => {
    const world = settled(3)
    slowDisk(world, 'n3', ['persist'], 30_000)
    world.kill('n1')
    world.until(() => world.role('n2') === 'active', 20_000)
    const { term } = world.node('n2').core.tenure ?? {}
    world.until(() => world.node('n3').stream?.peer === 'n2', 60_000)
    expect(world.node('n3').stream?.peer).toBe('n2')
    expect(world.node('n3').disk.durable.promised).toEqual(term)
  })

  it('ROL-12: a switchover ends at its deadline, and the others take over', () => {
    const world = settled(3)
    slowDisk(world, 'n1', ['persist'])
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.run(10_000)
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    world.run(10_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('ROL-12: an active whose copy fails meanwhile lets the others take over', () => {
    const world = settled(3)
    slowDisk(world, 'n1', ['persist'])
    const id = world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.node('n1').core.handover?.phase === 'persisting', 1_000)
    world.node('n1').ineligible = 'storage: STORAGE_FULL'
    world.input(world.node('n1'), { type: 'copyFailed', reason: 'storage: STORAGE_FULL' })
    expect(world.outcome(id)).toBe('SWITCHOVER_FAILED')
    world.run(20_000)
    expect(world.actives()).toEqual(['n2'])
  })

  it('a promise that becomes durable after the loss of the role changes nothing', () => {
    const world = settled(2)
    world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.node('n1').core.handover?.phase === 'persisting', 1_000)
    world.input(world.node('n1'), { type: 'copyFailed', reason: 'storage: STORAGE_FULL' })
    expect(world.role('n1')).toBe('discovering')
    world.run(5_000)
    expect(world.actives()).toHaveLength(1)
  })

  it.each(['n1', 'n2'])('a stop of %s ends all the same, and counts as a crash', (id) => {
    const world = settled(2)
    slowDisk(world, id, ['persist'])
    const command = world.command(id, { name: 'stop' })
    world.run(15_000)
    expect(world.outcome(command)).toBe('ok')
    expect(world.node(id).disk.durable.lastStop).toBe('crashed')
  })

  it('a node that could not start can be stopped', () => {
    const world = settled(2)
    world.kill('n2')
    slowDisk(world, 'n2', ['persist'])
    world.start('n2')
    world.run(1_000)
    const command = world.command('n2', { name: 'stop' })
    world.run(100)
    expect(world.outcome(command)).toBe('ok')
  })
})

describe('a disk that opens no term', () => {
  it('the others do not wait for it without limit', () => {
    const world = settled(3)
    slowDisk(world, 'n2', ['open'])
    world.kill('n1')
    world.until(() => world.actives()[0] === 'n3', 30_000)
    world.run(10_000)
    expect(world.actives()).toEqual(['n3'])
  })

  it('the node that opened it too late follows the one that continued', () => {
    const world = settled(3)
    slowDisk(world, 'n2', ['open'], 15_000)
    world.kill('n1')
    world.until(() => world.actives()[0] === 'n3', 14_000)
    world.run(20_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.roles('n2')).not.toContain('active')
    expect(world.role('n2')).toBe('standby')
  })

  it('a candidate does not serve beside a member with more data that returns while the term is opened', () => {
    const world = settled(2)
    world.node('n2').lagging = true
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    slowDisk(world, 'n2', ['open'], 200)
    world.kill('n1')
    const { core } = world.node('n2')
    world.until(() => core.round?.phase === 'opening', 8_000)
    world.start('n1')
    world.until(() => world.actives().length === 1, 8_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
    expect(world.events('n2', 'steppedDown')).toEqual([])
    const [active = ''] = world.actives()
    expect(world.ledger.lost(world.node(active).disk)).toBe(0)
  })

  it('OPS-2: a slow candidate that makes progress is waited for', () => {
    const world = settled(3)
    slowDisk(world, 'n2', ['open'], 15_000)
    world.kill('n1')
    const { core } = world.node('n2')
    world.until(() => core.round?.phase === 'opening', 4_000)
    const term = core.round?.term
    if (term === undefined) throw new Error('there is no round')
    for (let atMs = 0; atMs < 15_000; atMs += 500) {
      world.inputLater(atMs, 'n2', { type: 'termProgress', term })
    }
    world.run(30_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.roles('n3')).not.toContain('active')
  })

  it('ROL-8: a candidate that was paused does not serve beside one that began a round meanwhile', () => {
    const world = settled(3)
    slowDisk(world, 'n2', ['open'], 8_000)
    world.kill('n1')
    const { core } = world.node('n2')
    world.until(() => core.round?.phase === 'opening', 4_000)
    const term = core.round?.term
    if (term === undefined) throw new Error('there is no round')
    // The disk of n3 takes its time too, so that both terms are being opened when n2 goes on.
    slowDisk(world, 'n3', ['open'], 6_000)
    world.until(() => world.node('n3').core.round?.phase === 'opening', 20_000)
    world.inputLater(0, 'n2', { type: 'termProgress', term })
    world.run(30_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.roles('n2')).not.toContain('active')
  })

  it('ROL-8: a paused active that continues meanwhile remains the only one', () => {
    const world = settled(2)
    world.freeze('n1', 2_350)
    world.until(() => world.role('n2') === 'discovering', 4_000)
    slowDisk(world, 'n2', ['open'], 3_500)
    world.until(() => world.node('n2').core.round?.phase === 'opening', 4_000)
    world.run(30_000)
    expect(world.actives()).toHaveLength(1)
  })

  it('ROL-8: a partition that ends meanwhile leaves one active', () => {
    const world = settled(2)
    cutOff(world, 'n1')
    slowDisk(world, 'n2', ['open'], 500)
    world.until(() => world.node('n2').core.round?.phase === 'opening', 6_000)
    healAll(world)
    world.run(30_000)
    expect(world.actives()).toEqual(['n1'])
  })

  it('possibleLoss names the members that a failed attempt had left out', () => {
    const world = settled(3)
    cutOff(world, 'n3')
    world.run(100)
    world.kill('n1')
    const n2 = world.node('n2')
    const push = world.push.bind(world)
    let failed = false
    // The entry of the term is in the journal, and its flush failed; later the disk works again.
    world.push = (delayMs, item) => {
      if (failed || item.kind !== 'open') return push(delayMs, item)
      failed = true
      n2.disk.history = withTerm(n2.disk.history, item.term, n2.disk.seq)
      n2.disk.inSync = []
      const copy = copyOf(world, n2)
      world.inputLater(5, 'n2', { type: 'termOpened', term: item.term, ok: false, copy })
    }
    world.until(() => world.role('n2') === 'active', 10_000)
    expect(failed).toBe(true)
    expect(world.events('n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
  })
})
