/** Which connection proves what, and whom an active gives way to. */
import { describe, expect, it } from 'vitest'
import type { PeerView } from '../../src/core/state/messages.js'
import type { Extent } from '../../src/history/position.js'
import { names, settled } from './clusters.js'
import { World } from './world.js'

/** From now on dials of `id` are refused, as if its listener were closed or its address wrong. */
function refuseDials(world: World, from: string, id: string): void {
  world.queue = world.queue.filter((item) => item.kind !== 'dial' || item.from !== from)
  world.inputLater(1, from, { type: 'dialFailed', peer: id, cause: 'refused' })
}

describe('two connections between two nodes', () => {
  it('ROL-6: a refused dial proves nothing while a connection dialled by the peer is open', () => {
    const world = settled(2)
    world.breakLink('n2', 'n1')
    refuseDials(world, 'n2', 'n1')
    world.freeze('n1', 60_000)
    world.run(1_000)
    expect(world.role('n2')).toBe('standby')
    // When that one ends too, nobody is left there.
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'reset', accepted: true })
    world.run(1)
    expect(world.role('n2')).toBe('discovering')
    expect(world.events('n2', 'peerDown')).toEqual([
      { name: 'peerDown', peer: 'n1', cause: 'gone' },
    ])
  })

  it('ROL-6: a peer is not gone when the connection that it dialled ends', () => {
    const world = new World(names(2))
    world.closed.add('n1')
    for (const id of names(2)) world.start(id)
    world.until(() => world.actives().length === 1, 20_000)
    expect(world.actives()).toEqual(['n2'])
    world.breakLink('n1', 'n2')
    world.inputLater(0, 'n2', { type: 'dialFailed', peer: 'n1', cause: 'refused' })
    world.run(5_000)
    expect(world.events('n2', 'peerDown')).toEqual([])
  })

  it('ROL-6: a lost connection to a process proves nothing about its successor', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(20)
    world.start('n2')
    world.until(() => world.role('n2') === 'standby', 5_000)
    world.said = []
    // Its second process is heard by its own dial, and has no port that can be reached.
    world.breakLink('n1', 'n2')
    world.queue = world.queue.filter((item) => item.kind !== 'dial' || item.from !== 'n1')
    world.inputLater(1, 'n1', { type: 'linkUp', peer: 'n2', bootId: 'n2.3', accepted: true })
    world.inputLater(2, 'n1', { type: 'linkDown', peer: 'n2', cause: 'reset', accepted: true })
    world.inputLater(3, 'n1', { type: 'dialFailed', peer: 'n2', cause: 'refused' })
    world.run(50)
    expect(world.node('n1').core.peers.get('n2')?.gone).toBe(false)
  })

  it('ROL-4: of equal members the first that another can dial becomes active, in either order', () => {
    for (const order of ['freshest', 'list'] as const) {
      const world = new World(names(3), { order })
      world.closed.add('n1')
      for (const id of names(3)) world.start(id)
      world.until(() => world.actives().length === 1, 20_000)
      expect(world.actives()).toEqual(['n2'])
      world.until(() => world.role('n1') === 'standby', 5_000)
    }
  })

  it('ROL-17: a fresher copy counts more than being dialable', () => {
    const world = settled(3)
    world.node('n3').lagging = true
    world.write('n1')
    world.run(20)
    world.closed.add('n2')
    world.breakLink('n3', 'n2')
    world.run(1_000)
    world.kill('n1')
    world.until(() => world.actives().length === 1, 10_000)
    expect(world.actives()).toEqual(['n2'])
    expect(world.ledger.lost(world.node('n2').disk)).toBe(0)
  })
})

describe('an active that learns of a newer one which does not hear it', () => {
  const other = { epoch: 7, nodeId: 'n3', bootId: 'n3.1' }

  /**
   * n1 is active, with n2 in sync; n3 says that it is active in a newer term, and hears only n2.
   */
  function meets(copy: (own: Extent) => Extent, held = true): World {
    const world = settled(3)
    world.kill('n3')
    world.run(500)
    if (!held) {
      world.node('n1').heldSeq = 0
      world.factsChanged('n1')
    }
    const own = world.node('n1').disk
    const view = world.node('n1').core.peers.get('n2')?.view as PeerView
    const rival: PeerView = {
      ...view,
      ...{ role: 'active', bootId: 'n3.1', hears: [], activeTerm: other, follows: undefined },
      promised: other,
      copy: { ...view.copy, ...copy({ history: own.history, seq: own.seq }) },
    }
    for (let atMs = 0; atMs < 6_000; atMs += 200) {
      world.inputLater(atMs, 'n1', {
        type: 'message',
        from: 'n3',
        message: { type: 'heartbeat', view: rival },
      })
    }
    world.run(6_000)
    return world
  }

  it('GEN-7, SES-2: steps down for one that has everything acknowledged', () => {
    const world = meets((own) => ({
      history: [...own.history, { ...other, firstSeq: own.seq + 1 }],
      seq: own.seq + 1,
    }))
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
  })

  it.each([
    ['an empty copy', () => ({ history: [{ ...other, firstSeq: 1 }], seq: 0 })],
    ['another history', () => ({ history: [{ ...other, firstSeq: 1 }], seq: 3 })],
    [
      'a copy without what a standby holds',
      (own: Extent) => ({
        history: [...own.history, { ...other, firstSeq: own.seq }],
        seq: own.seq,
      }),
    ],
  ])('GEN-2: stays for %s, and says that there are two', (_what, copy) => {
    const world = meets(copy)
    expect(world.actives()).toEqual(['n1'])
    expect(world.events('n1', 'splitBrain')).toHaveLength(1)
  })

  it.each([0, 3])(
    'GEN-2: stays beside %i changes of another history if no standby holds its own',
    (seq) => {
      const world = meets(() => ({ history: [{ ...other, firstSeq: 1 }], seq }), false)
      expect(world.actives()).toEqual(['n1'])
    },
  )

  it('SES-2: steps down for a copy that lacks only what no standby holds', () => {
    const world = meets(
      (own) => ({ history: [...own.history, { ...other, firstSeq: own.seq }], seq: own.seq }),
      false,
    )
    expect(world.events('n1', 'steppedDown')).toHaveLength(1)
  })
})

describe('a paused active', () => {
  it('GEN-2: does not step down for one that started empty meanwhile', () => {
    const world = settled(2)
    world.kill('n2')
    const { disk } = world.node('n2')
    Object.assign(disk, { history: [], seq: 0, inSync: undefined })
    const promised = { epoch: 5, nodeId: 'n2', bootId: 'n2.1' }
    disk.durable = { promised, known: undefined, lastStop: 'never' }
    world.freeze('n1', 15_000)
    world.start('n2')
    world.until(() => world.role('n2') === 'active', 14_000)
    world.until(() => !world.node('n1').frozen, 15_000)
    world.run(10_000)
    expect(world.events('n1', 'steppedDown')).toEqual([])
    expect(world.actives()).toEqual(['n1'])
    expect(world.role('n2')).toBe('standby')
    expect(world.node('n2').disk.seq).toBe(5)
  })
})

describe('a start beside a member that refuses', () => {
  it('ROL-1: holds after the wait, says what to check, and continues when the member is heard', () => {
    const world = new World(names(2))
    world.refusals.add('n2>n1')
    world.refusals.add('n1>n2')
    world.start('n1')
    world.start('n2')
    world.run(30_000)
    expect(world.actives()).toEqual([])
    expect(world.events('n1', 'holding')).toEqual([
      expect.objectContaining({ missing: ['n2'], reason: expect.stringContaining('secret') }),
    ])
    world.refusals.clear()
    world.until(() => world.role('n2') === 'standby', 2_000)
    expect(world.actives()).toEqual(['n1'])
  })

  it('ROL-20: a proven copy holds as well, because the other member may be serving', () => {
    const world = settled(2)
    world.kill('n2')
    world.run(3_000)
    world.command('n1', { name: 'stop' })
    world.run(3_000)
    world.refusals.add('n2>n1')
    world.refusals.add('n1>n2')
    world.start('n2')
    world.start('n1')
    world.run(30_000)
    expect(world.actives()).toEqual([])
    world.kill('n2')
    // Silence for as long as a start waits lets it go on.
    world.until(() => world.actives()[0] === 'n1', 15_000)
  })
})

describe('an open connection without messages', () => {
  const [heartbeatMs, deadMs] = [200, 1_000]

  /** How long after the cut each of the two dials anew first; undefined while it does not. */
  function cutAndRun(both: boolean): { n1: number | undefined; n2: number | undefined } {
    const world = settled(2, { heartbeatMs, deadMs })
    world.run(5_000)
    expect(world.redials).toEqual([])
    const cutMs = world.nowMs
    world.cutLink('n1', 'n2', both)
    world.run(10_000)
    const firstOf = (id: string): number | undefined => {
      const atMs = world.redials.find(({ from }) => from === id)?.atMs
      return atMs === undefined ? undefined : atMs - cutMs
    }
    return { n1: firstOf('n1'), n2: firstOf('n2') }
  }

  it('is dialled again when nothing has arrived for deadMs', () => {
    const { n1, n2 } = cutAndRun(true)
    for (const afterMs of [n1, n2]) {
      expect(afterMs).toBeGreaterThan(deadMs - heartbeatMs)
      expect(afterMs).toBeLessThan(deadMs + 2 * heartbeatMs)
    }
  })

  it('is dialled again when the peer has reported for deadMs that it hears nothing', () => {
    const { n1, n2 } = cutAndRun(false)
    expect(n2).toBeLessThan(deadMs + 2 * heartbeatMs)
    expect(n1).toBeGreaterThan(2 * deadMs - heartbeatMs)
    expect(n1).toBeLessThan(2 * deadMs + 4 * heartbeatMs)
  })
})
