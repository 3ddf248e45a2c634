import { describe, expect, it } from 'vitest'
import type { Term } from '../../src/history/position.js'
import { cutOff, names, settled } from './clusters.js'
import { World } from './world.js'

/** The next dial is refused, and its answer is read only after the pause, before another dial. */
function refusedWhileFrozen(world: World, from: string, to: string, forMs: number): void {
  const { boot } = world.node(from)
  world.queue = world.queue.filter((item) => item.kind !== 'dial' || item.from !== from)
  world.inputLater(5, from, { type: 'dialFailed', peer: to, cause: 'refused' })
  world.later(forMs + 50, () => world.push(0, { kind: 'dial', from, to, boot }))
}

/**
 * One node stands still for so long; the other one, dead until now, becomes active and writes
 * meanwhile.
 */
function frozenMeanwhile(world: World, frozen: string, other: string, forMs: number): void {
  world.freeze(frozen, forMs)
  refusedWhileFrozen(world, frozen, other, forMs)
  world.start(other)
  world.until(() => world.role(other) === 'active', 39_000)
  expect(world.write(other)).toBe(true)
  world.until(() => !world.node(frozen).frozen, forMs)
}

/** Cutting the old stream takes a node so long. */
function slowCut(world: World, slow: string, cutMs: number): void {
  const inputLater = world.inputLater.bind(world)
  world.inputLater = (delayMs, id, input) => {
    inputLater(id === slow && input.type === 'cut' ? cutMs : delayMs, id, input)
  }
}

describe('fencing', () => {
  it('promises are sent and requested only after the old stream is cut', () => {
    const giver = settled(3)
    slowCut(giver, 'n3', 400)
    giver.kill('n1')
    giver.until(() => giver.node('n2').core.round?.phase === 'asking', 5_000)
    giver.run(200)
    expect(giver.node('n2').core.round?.promises.has('n3')).toBe(false)
    giver.until(() => giver.role('n2') === 'active', 5_000)
    expect(giver.actives()).toEqual(['n2'])

    const asker = settled(3)
    slowCut(asker, 'n2', 400)
    asker.kill('n1')
    asker.until(() => asker.node('n2').core.round !== undefined, 5_000)
    asker.run(200)
    expect(asker.node('n2').core.round?.phase).toBe('preparing')
    asker.until(() => asker.role('n2') === 'active', 5_000)
    expect(asker.actives()).toEqual(['n2'])
  })

  it('ROL-19: a frozen active that resumes gives up the role before it accepts a write', () => {
    const world = settled(2)
    world.freeze('n1', 6_000)
    world.until(() => world.role('n2') === 'active', 5_000)
    world.write('n2')
    world.until(() => !world.node('n1').frozen, 5_000)
    expect(world.write('n1')).toBe(false)
    world.until(() => world.role('n1') === 'standby', 1_000)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    expect(world.actives()).toEqual(['n2'])
    expect(world.node('n1').disk.history.at(-1)?.epoch).toBe(2)
  })

  it('ROL-19: every term has a higher epoch than the one before, on every node', () => {
    const world = settled(3)
    for (let round = 0; round < 6; round += 1) {
      const [active = ''] = world.actives()
      world.kill(active)
      world.until(() => world.actives().length === 1, 5_000)
      world.run(200)
      world.start(active)
      world.run(1_000)
    }
    const epochs = world.ledger.opens.map((open) => open.term.epoch)
    expect(epochs).toEqual([...epochs].sort((left, right) => left - right))
    expect(new Set(epochs).size).toBe(epochs.length)
  })

  it('ROL-19: after a suspend that only the wall clock shows the active asks first', () => {
    const world = settled(2)
    world.wallOffsetMs += 60_000
    world.until(() => world.node('n1').writesFrozen, 200)
    world.until(() => !world.node('n1').writesFrozen, 500)
    expect(world.roles('n1')).toEqual([])
    expect(world.events('n1', 'late')).toHaveLength(1)
  })

  it('ROL-19: a candidate that was paused while its term was opened asks before it serves', () => {
    const world = settled(3)
    world.kill('n1')
    world.until(() => world.node('n2').core.round?.phase === 'opening', 1_000)
    world.freeze('n2', 8_000)
    world.until(() => world.role('n3') === 'active', 7_000)
    world.run(8_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.role('n2')).toBe('standby')
    expect(world.write('n2')).toBe(false)
    // It asked first: the application never heard of a role.
    expect(world.roles('n2')).not.toContain('active')
  })

  it('ROL-19: a candidate that was paused while its term was opened serves if no other node does', () => {
    const world = settled(2)
    world.kill('n1')
    world.until(() => world.node('n2').core.round?.phase === 'opening', 1_000)
    world.freeze('n2', 8_000)
    world.until(() => world.role('n2') === 'active', 12_000)
    expect(world.write('n2')).toBe(true)
  })

  /**
   * N1 stands still; n3 takes over, and its last frames to n1 before that lie in the socket; then
   * they are lost.
   */
  function replacedBehindACut(): World {
    const world = settled(3)
    world.node('n2').ineligible = 'not now'
    world.factsChanged('n2')
    world.run(500)
    world.said = []
    // Under way when it stops: it is in its journal, and nobody was told that it is safe.
    for (const id of ['n2', 'n3']) world.node(id).lagging = true
    world.write('n1')
    world.freeze('n1', 6_000)
    for (const id of ['n2', 'n3']) world.node(id).lagging = false
    world.run(1_000)
    world.cutLink('n3', 'n1', false)
    world.until(() => world.role('n3') === 'active', 4_000)
    for (let writes = 0; writes < 10; writes += 1) world.write('n3')
    world.until(() => !world.node('n1').frozen, 6_000)
    return world
  }

  it('ROL-19: old frames in the socket of a paused active do not hide its successor', () => {
    const world = replacedBehindACut()
    world.until(() => {
      expect(world.write('n1')).toBe(false)
      return world.role('n1') !== 'active'
    }, 1_000)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    // Nor do they make it a candidate afterwards.
    world.run(30_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.node('n3').core.tenure?.term.epoch).toBe(2)
    world.cuts.clear()
    world.until(() => world.role('n1') === 'standby', 3_000)
    expect(world.actives()).toEqual(['n3'])
  })

  it('ROL-19: a paused active does not continue while a member reports a newer round', () => {
    const world = settled(3)
    world.freeze('n1', 3_000)
    const n1 = world.node('n1')
    world.until(() => !n1.frozen, 4_000)
    world.until(() => n1.core.tenure?.asking !== undefined, 500)
    cutOff(world, 'n1')
    const view = n1.core.peers.get('n2')?.view
    const queryId = n1.core.tenure?.asking?.queryId
    if (view === undefined || queryId === undefined) throw new Error('n1 does not ask')
    const answer = (round: Term | undefined): void => {
      const message = { type: 'answer', queryId, view: { ...view, round } } as const
      world.input(n1, { type: 'message', from: 'n2', message })
    }
    for (let atMs = 0; atMs < 6_000; atMs += 200) {
      answer({ epoch: 2, nodeId: 'n3', bootId: 'n3.1' })
      expect(world.write('n1')).toBe(false)
      world.run(200)
    }
    answer(undefined)
    expect(world.write('n1')).toBe(true)
  })

  /**
   * N1 stands still; n2 takes over, which n3 hears nothing of; then n1 has a connection to n3 alone
   * for `withoutMs`.
   */
  function replacedWithoutALink(withoutMs: number): World {
    const [n1, n2] = names(2).map((id) => ({ id, promotable: true }))
    const members = [n1, n2, { id: 'n3', promotable: false }].flatMap((one) => one ?? [])
    const world = settled(3, { members })
    world.cutLink('n2', 'n3')
    // Nothing arrives at n1 any more: it does not hear them when it goes on.
    for (const id of ['n2', 'n3']) world.cutLink(id, 'n1', false)
    world.run(2_500)
    world.freeze('n1', 6_000)
    world.until(() => world.role('n2') === 'active', 5_000)
    expect(world.write('n2')).toBe(true)
    world.heal('n1', 'n3')
    world.cutLink('n1', 'n2')
    world.breakLink('n1', 'n2')
    world.breakLink('n2', 'n1')
    world.until(() => !world.node('n1').frozen, 6_000)
    world.later(withoutMs, () => world.heal('n1', 'n2'))
    return world
  }

  it('ROL-19: a paused active waits for the answer of a member whose connection is not open yet', () => {
    const world = replacedWithoutALink(1_000)
    world.until(() => {
      expect(world.write('n1')).toBe(false)
      return world.role('n1') !== 'active'
    }, 1_500)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    expect(world.actives()).toEqual(['n2'])
  })

  it('ROL-19: a paused active asks on a new connection immediately', () => {
    const world = replacedWithoutALink(1_000)
    world.until(() => world.links.has('n1>n2') || world.links.has('n2>n1'), 1_500)
    world.sent = []
    world.run(world.latencyMs + 1)
    expect(world.sent).toContainEqual(
      expect.objectContaining({ from: 'n1', to: 'n2', type: 'query' }),
    )
  })

  it('ROL-19: no term is opened above a promise that another member reports as used', () => {
    const world = settled(3)
    const term = { epoch: 7, nodeId: 'n3', bootId: 'n3.1' }
    const { core } = world.node('n1')
    const view = core.peers.get('n2')?.view
    if (view === undefined) throw new Error('n1 has no view of n2')
    const follows = { id: 'n3', term, heard: true }
    const message = { type: 'heartbeat', view: { ...view, promised: term, follows } } as const
    world.input(world.node('n1'), { type: 'message', from: 'n2', message })
    expect(core.tenure?.reopening).toBeUndefined()
    const unused = { ...message, view: { ...view, promised: term } }
    world.input(world.node('n1'), { type: 'message', from: 'n2', message: unused })
    expect(core.tenure?.reopening?.term.epoch).toBe(8)
  })

  it('ROL-19: proofs of ended peers are void after a pause', () => {
    const world = settled(2)
    world.kill('n2')
    world.until(() => world.node('n1').core.peers.get('n2')?.gone === true, 1_000)
    expect(world.write('n1')).toBe(true)
    frozenMeanwhile(world, 'n1', 'n2', 40_000)
    world.until(() => {
      expect(world.write('n1')).toBe(false)
      return world.role('n1') !== 'active'
    }, 1_000)
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
    expect(world.actives()).toEqual(['n2'])
  })

  it('ROL-19: a dial that was refused before a pause proves nothing after it', () => {
    const world = settled(2)
    world.kill('n1')
    // Not in step with the dials of n1.
    frozenMeanwhile(world, 'n2', 'n1', 40_010)
    world.run(10)
    expect(world.node('n2').core.peers.get('n1')?.gone).toBe(false)
    world.run(5_000)
    expect(world.roles('n2')).not.toContain('active')
    expect(world.actives()).toEqual(['n1'])
    expect(world.role('n2')).toBe('standby')
  })

  it('ROL-19: a pause too short to be reported still moves the deadlines of a search', () => {
    const options = { heartbeatMs: 20, discoveryMs: 100, startupWaitMs: 100 }
    const world = new World(['n1', 'n2'], options)
    world.start('n1')
    world.until(() => world.role('n1') === 'active', 1_000)
    world.start('n2')
    world.freeze('n2', 200)
    world.run(2_000)
    expect(world.actives()).toEqual(['n1'])
    expect(world.events('n2', 'late')).toEqual([])
  })

  it('a paused active without a reachable member continues after deadMs', () => {
    const world = settled(2)
    cutOff(world, 'n2')
    world.run(5_000)
    world.freeze('n1', 5_000)
    world.until(() => world.node('n1').writesFrozen, 6_000)
    const tookMs = world.until(() => !world.node('n1').writesFrozen, 5_000)
    expect(tookMs).toBeGreaterThanOrEqual(1_900)
    expect(world.role('n1')).toBe('active')
  })
})
