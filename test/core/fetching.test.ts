import { describe, expect, it } from 'vitest'
import { settled } from './clusters.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

const members = ['n1', 'n2', 'n3', 'n4'].map((id) => ({ id, promotable: id !== 'n4' }))

/** Both standbys lack what only the observer has, and fetching it takes so long. */
function lacking(fetchMs: number, options: WorldOptions = {}): World {
  const world = settled(4, { members, ...options })
  for (const id of ['n2', 'n3']) world.node(id).lagging = true
  for (let writes = 0; writes < 3; writes += 1) world.write('n1')
  world.run(20)
  for (const id of ['n2', 'n3']) {
    world.node(id).lagging = false
    world.node(id).fetchMs = fetchMs
  }
  world.kill('n1')
  return world
}

function rounds(world: World): number {
  const epochs = ['n2', 'n3', 'n4'].map((id) => world.node(id).core.durable.promised?.epoch ?? 0)
  return Math.max(...epochs) - 1
}

describe('ROL-17: a fetch before a takeover', () => {
  it.each([1_000, 5_000, 12_000, 60_000])(
    'of %d ms ends with one active after one round',
    (fetchMs) => {
      const world = lacking(fetchMs)
      const tookMs = world.until(() => world.actives().length > 0, 2 * fetchMs + 5_000)
      expect(tookMs).toBeLessThan(fetchMs + 3_000)
      expect(rounds(world)).toBe(1)
      world.run(5_000)
      expect(world.actives()).toHaveLength(1)
      expect(world.ledger.lost(world.node(world.actives()[0] ?? '').disk)).toBe(0)
    },
  )

  it('a candidate refuses another round while its fetch makes progress', () => {
    const world = lacking(30_000)
    world.until(() => (world.node('n2').core.fetchedCount ?? 0) > 0, 5_000)
    world.run(5_000)
    const { core } = world.node('n2')
    const view = core.peers.get('n3')?.view
    if (view === undefined) throw new Error('n2 has no view of n3')
    const term = { epoch: 9, nodeId: 'n3', bootId: 'n3.1' }
    const message = { type: 'promiseRequest', term, view } as const
    world.input(world.node('n2'), { type: 'message', from: 'n3', message })
    expect(core.round?.phase).toBe('fetching')
    world.input(world.node('n4'), { type: 'message', from: 'n3', message })
    expect(world.node('n4').core.pledge?.candidate).toBe('n2')
  })

  it('a node that starts meanwhile waits for it, too', () => {
    const world = lacking(30_000)
    world.run(3_000)
    world.kill('n3')
    world.run(100)
    world.start('n3')
    world.until(() => world.role('n2') === 'active', 30_000)
    expect(rounds(world)).toBe(1)
  })

  it('a candidate whose fetch stalls is excluded after deadMs', () => {
    const world = lacking(20_000)
    world.until(() => world.node('n2').core.fetchedCount > 3_000, 10_000)
    // Its fetch hangs, while it says all is well.
    const { later } = world
    world.later = () => undefined
    world.run(200)
    world.later = later
    world.node('n3').fetchMs = 0
    const tookMs = world.until(() => world.role('n3') === 'active', 20_000)
    expect(tookMs).toBeLessThan(8_000)
    expect(world.ledger.lost(world.node('n3').disk)).toBe(0)
  })

  it('fetched data is kept for the next attempt', () => {
    const world = lacking(10_000)
    world.until(() => world.node('n2').core.fetchedCount >= 6_000, 12_000)
    world.node('n4').fetchable = false
    world.run(400)
    world.node('n4').fetchable = true
    const tookMs = world.until(() => world.actives().length > 0, 20_000)
    expect(tookMs).toBeLessThan(8_000)
    expect(world.events('n2', 'possibleLoss')).toEqual([])
  })

  it('a candidate that dies while it fetches is replaced', () => {
    const world = lacking(10_000)
    world.until(() => world.node('n2').core.fetchedCount >= 3_000, 12_000)
    world.kill('n2')
    world.until(() => world.role('n3') === 'active', 20_000)
    expect(world.ledger.lost(world.node('n3').disk)).toBe(0)
  })
})
