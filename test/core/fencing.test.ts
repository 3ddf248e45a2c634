import { describe, expect, it } from 'vitest'
import { cutOff, settled } from './clusters.js'
import { World } from './world.js'

/** The next dial is refused, and its answer is read only after the pause, before another dial. */
function refusedWhileFrozen(world: World, from: string, to: string, forMs: number): void {
  const { boot } = world.node(from)
  world.queue = world.queue.filter((item) => item.kind !== 'dial' || item.from !== from)
  world.inputLater(5, from, { type: 'dialFailed', peer: to, cause: 'refused' })
  world.later(forMs + 50, () => world.push(0, { kind: 'dial', from, to, boot }))
}

/** One node stands still for so long; the other one, dead until now, becomes active and writes meanwhile. */
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
  it('a promise is told, and asked for, once the old stream is cut', () => {
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

  it('ROL-19: a frozen active that resumes gives up before it accepts anything', () => {
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

  it('ROL-19: a candidate that stood still while its term was opened asks before it serves', () => {
    const world = settled(3)
    world.kill('n1')
    world.until(() => world.node('n2').core.round?.phase === 'opening', 1_000)
    world.freeze('n2', 8_000)
    world.until(() => world.role('n3') === 'active', 7_000)
    world.run(8_000)
    expect(world.actives()).toEqual(['n3'])
    expect(world.role('n2')).toBe('standby')
    expect(world.write('n2')).toBe(false)
  })

  it('ROL-19: what a node knew of peers that were gone is void after it stood still', () => {
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

  it('ROL-19: a dial that was refused before a standby stood still proves nothing afterwards', () => {
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

  it('a late active without anybody to ask goes on after deadMs', () => {
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
