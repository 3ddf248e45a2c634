import { describe, expect, it } from 'vitest'
import { withTerm } from '../../src/history/position.js'
import { cutOff, settled } from './clusters.js'
import { generator, type Random, seeds, withSeed } from './seeds.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

/**
 * Three nodes, of which n3 was killed so long ago that it is out of the set; its machine is there,
 * or is switched off.
 */
function withoutThird(options: WorldOptions = {}, isOff = false): World {
  const world = settled(3, options)
  world.kill('n3')
  if (isOff) cutOff(world, 'n3')
  world.run(4_000)
  expect(world.node('n2').disk.inSync).toEqual(['n1', 'n2'])
  return world
}

/** n2 is cut off; n1 takes it out of the set and goes on with n3, which comes back. */
function exchanged(options: WorldOptions = {}): World {
  const world = withoutThird(options)
  cutOff(world, 'n2')
  world.start('n3')
  world.until(() => world.role('n3') === 'standby', 1_000)
  for (let writes = 0; writes < 5; writes += 1) world.write('n1')
  return world
}

/**
 * n1 dies, and n2 cannot open its term. The others serve while n2 is cut off; then all but n2 are
 * down, and its disk works again.
 */
function openedTooLate(isJournaled: boolean): World {
  const world = settled(3)
  const n2 = world.node('n2')
  n2.opens = false
  world.kill('n1')
  world.until(() => n2.core.round?.phase === 'opening', 8_000)
  const term = n2.core.round?.term
  if (term === undefined) throw new Error('there is no round')
  world.until(() => n2.core.round === undefined, 1_000)
  if (isJournaled) n2.disk.history = withTerm(n2.disk.history, term, n2.disk.seq)
  n2.ineligible = 'disk full'
  world.factsChanged('n2')
  cutOff(world, 'n2')
  world.start('n1')
  world.until(() => world.role('n3') === 'active' && world.role('n1') === 'standby', 20_000)
  world.write('n3')
  world.run(2_000)
  world.kill('n1')
  world.kill('n3')
  n2.opens = true
  n2.ineligible = undefined
  world.factsChanged('n2')
  return world
}

function possibleLoss(world: World): unknown {
  return world.events('n2', 'possibleLoss').map((event) => 'missing' in event && event.missing)
}

describe('GEN-2: a silent active may have continued with other members', () => {
  it('a cut-off standby names the member that the active may have taken in its place', () => {
    const world = exchanged()
    world.until(() => world.role('n2') === 'active', 8_000)
    expect(world.ledger.lost(world.node('n2').disk)).toBe(5)
    expect(possibleLoss(world)).toEqual([['n3']])
  })

  it('also when the active has provably ended by then', () => {
    const world = exchanged()
    world.run(1_000)
    world.kill('n1')
    world.kill('n3')
    world.cuts.clear()
    world.until(() => world.role('n2') === 'active', 8_000)
    expect(possibleLoss(world)).toEqual([['n3']])
  })

  it('also when the standby itself was paused meanwhile', () => {
    const world = withoutThird()
    world.freeze('n2', 10_000)
    world.start('n3')
    world.until(() => world.role('n3') === 'standby', 5_000)
    world.run(3_000)
    expect(world.node('n1').disk.inSync).toEqual(['n1', 'n3'])
    for (let writes = 0; writes < 5; writes += 1) world.write('n1')
    world.run(1_000)
    cutOff(world, 'n2')
    world.until(() => world.role('n2') === 'active', 20_000)
    expect(world.ledger.lost(world.node('n2').disk)).toBe(5)
    expect(possibleLoss(world)).toEqual([['n3']])
  })

  it('an active that gave up the role names the members that may have taken it since', () => {
    const world = settled(3)
    const n1 = world.node('n1')
    n1.ineligible = 'disk'
    world.input(n1, { type: 'copyFailed', reason: 'disk' })
    cutOff(world, 'n1')
    world.until(() => world.role('n2') === 'active' && world.role('n3') === 'standby', 8_000)
    world.write('n2')
    n1.ineligible = undefined
    world.factsChanged('n1')
    world.until(() => world.role('n1') === 'active', 8_000)
    expect(world.ledger.lost(world.node('n1').disk)).toBe(1)
    expect(world.events('n1', 'possibleLoss')).toMatchObject([{ missing: ['n2', 'n3'] }])
  })

  it('also when dials of that member were refused before it started and have had no answer since', () => {
    const world = withoutThird()
    world.cutLink('n2', 'n1')
    for (const link of ['n2>n3', 'n3>n2']) world.hangs.add(link)
    world.start('n3')
    world.until(() => world.node('n1').disk.inSync?.includes('n3') === true, 4_000)
    world.write('n1')
    world.until(() => world.role('n2') === 'active', 8_000)
    expect(world.ledger.lost(world.node('n2').disk)).toBe(1)
    expect(possibleLoss(world)).toEqual([['n3']])
  })

  it.each([true, false])(
    'a node that failed to open its term names the members that may have served since (its term is in its journal: %s)',
    (isJournaled) => {
      const world = openedTooLate(isJournaled)
      world.until(() => world.role('n2') === 'active', 20_000)
      expect(world.ledger.lost(world.node('n2').disk)).toBe(1)
      expect(possibleLoss(world)).toEqual([isJournaled ? ['n1', 'n3'] : ['n3']])
    },
  )

  it('the changes of that member are fetched if it answers', () => {
    const world = exchanged()
    world.until(() => world.role('n2') === 'discovering', 4_000)
    world.kill('n1')
    world.heal('n2', 'n3')
    world.until(() => world.actives().length === 1, 8_000)
    const [active = ''] = world.actives()
    expect(world.ledger.lost(world.node(active).disk)).toBe(0)
    expect(world.events(active, 'possibleLoss')).toEqual([])
  })

  it("with 'hold' nobody serves without a member that the active heard to the end", () => {
    const world = settled(3, { onMissingPeer: 'hold' })
    // It follows, and is not in the set.
    world.node('n3').ineligible = 'disk full'
    world.factsChanged('n3')
    world.node('n1').disk.inSync = ['n1', 'n2']
    world.write('n1')
    world.run(500)
    cutOff(world, 'n2')
    world.run(20_000)
    expect(world.role('n2')).toBe('discovering')
    expect(world.events('n2', 'holding')).toMatchObject([{ missing: ['n3'] }])
  })

  it("with 'hold' a machine that was switched off before is named, and not held for", () => {
    const world = withoutThird({ onMissingPeer: 'hold' }, true)
    cutOff(world, 'n1')
    world.until(() => world.role('n2') === 'active', 8_000)
    expect(possibleLoss(world)).toEqual([['n3']])
  })

  describe('no member is named when nothing can have been acknowledged without the candidate', () => {
    it('two nodes', () => {
      const world = settled(2)
      cutOff(world, 'n1')
      world.until(() => world.role('n2') === 'active', 8_000)
      expect(possibleLoss(world)).toEqual([])
    })

    it('all others answer', () => {
      const world = settled(4)
      cutOff(world, 'n1')
      world.until(() => world.role('n2') === 'active', 8_000)
      expect(possibleLoss(world)).toEqual([])
    })

    it('the member outside the set is an observer', () => {
      const members = ['n1', 'n2', 'n3'].map((id) => ({ id, promotable: id !== 'n3' }))
      const world = settled(3, { members })
      cutOff(world, 'n1')
      cutOff(world, 'n3')
      world.until(() => world.role('n2') === 'active', 8_000)
      expect(possibleLoss(world)).toEqual([])
    })

    it('the member outside the set had ended before, and all dials to it were refused since', () => {
      const world = withoutThird()
      cutOff(world, 'n1')
      world.until(() => world.role('n2') === 'active', 8_000)
      expect(possibleLoss(world)).toEqual([])
    })

    it('the active was heard until its process ended', () => {
      const world = withoutThird({}, true)
      world.kill('n1')
      expect(world.until(() => world.role('n2') === 'active', 8_000)).toBeLessThan(500)
      expect(possibleLoss(world)).toEqual([])
    })
  })
})

describe('random schedules', () => {
  it('GEN-2: a set that changes behind a cut: the new active names the members whose changes it may lack', () => {
    for (const seed of seeds(60)) {
      const random = generator(seed)
      const world = settled(3 + random(2))
      world.latencyMs = 1 + random(10)
      world.diskMs = 1 + random(10)
      withSeed(seed, world, () => exchange(world, random))
    }
  })
})

/** One member comes back while n2 is cut off, at any times; the writes end when n2 takes over. */
function exchange(world: World, random: Random): void {
  const ids = world.members.map(({ id }) => id)
  const [, , third = ''] = ids
  if (random(2) === 0) cutOff(world, third)
  else world.kill(third)
  world.run(random(6_000))
  if (random(4) === 0) world.freeze('n2', random(4_000))
  for (const id of ids) if (id !== 'n2') cutAtRandom(world, random, id)
  world.run(random(3_000))
  for (const id of ids) if (id !== 'n2') world.heal(third, id)
  if (!world.node(third).alive) world.start(third)
  const ends = random(3)
  const endMs = world.nowMs + random(4_000)
  while (world.role('n2') !== 'active' && world.nowMs < endMs + 15_000) {
    for (const id of world.actives()) world.write(id)
    world.run(1 + random(100))
    if (world.nowMs < endMs) continue
    if (ends > 0 && world.node('n1').alive) world.kill('n1')
    if (ends > 1) world.cuts.clear()
  }
  if (world.role('n2') !== 'active') return
  const named = world.said.flatMap(({ node, event }) =>
    node === 'n2' && event?.name === 'possibleLoss' ? event.missing : [],
  )
  expect(world.ledger.settle(world.node('n2').disk, new Set(named))).toBe(0)
}

function cutAtRandom(world: World, random: Random, id: string): void {
  if (random(4) > 0) world.cutLink('n2', id)
  else world.cutLink(id, 'n2', false)
}
