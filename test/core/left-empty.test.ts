import { describe, expect, it } from 'vitest'
import { leftEmptyMax } from '../../src/core/standing/left-empty.js'
import type { CopyFacts } from '../../src/core/state/facts.js'
import { step } from '../../src/core/step.js'
import type { HistoryTerm } from '../../src/history/position.js'
import { settled } from './clusters.js'
import { replaceDisk } from './disks.js'
import type { World } from './world.js'
import type { WorldOptions } from './world-types.js'

const both = ['takeOver', 'hold'] as const

/**
 * n2 got the role with all in sync and dies with five changes that no standby has; n1 serves in its
 * place.
 */
function lostWithARest(count: number, options: WorldOptions): World {
  const world = settled(count, options)
  world.command('n1', { name: 'switchover', to: 'n2' })
  world.until(() => world.role('n1') === 'standby', 8_000)
  world.run(1_000)
  const standbys = count === 2 ? ['n1'] : ['n1', 'n3']
  for (const id of standbys) world.node(id).lagging = true
  for (let writes = 0; writes < 5; writes += 1) world.write('n2')
  world.kill('n2')
  world.until(() => world.role('n1') === 'active', 8_000)
  world.run(1_000)
  for (const id of standbys) world.node(id).lagging = false
  return world
}

/** Somebody serves with everything that there was, and nobody was missed. */
function goesOn(world: World): void {
  world.until(() => world.actives().length === 1, 15_000)
  world.run(5_000)
  const [active = ''] = world.actives()
  expect(world.node(active).disk.seq).toBe(10)
  const told = world.said.map(({ event }) => event?.name)
  expect(told).not.toContain('possibleLoss')
  expect(told).not.toContain('holding')
}

describe.each(both)('GEN-2: terms that were left without a change, onMissingPeer %s', (missing) => {
  it.each([2, 3])(
    'the lost active of %i nodes has more: no member is named for its additional changes',
    (count) => {
      const world = lostWithARest(count, { onMissingPeer: missing })
      world.start('n2')
      world.until(() => world.role('n2') === 'active', 15_000)
      goesOn(world)
    },
  )

  it.each([2, 3])('nor after a restart of all %i', (count) => {
    const world = lostWithARest(count, { onMissingPeer: missing })
    for (const id of count === 2 ? ['n1'] : ['n1', 'n3']) world.kill(id)
    for (const { id } of world.members) world.start(id)
    goesOn(world)
  })

  it('a disk that was put back to a state before that term shows nothing, though it opened a later one', () => {
    const world = settled(2, { onMissingPeer: missing })
    const older = structuredClone(world.node('n1').disk)
    world.command('n1', { name: 'switchover', to: 'n2' })
    world.until(() => world.role('n1') === 'standby', 8_000)
    for (let writes = 0; writes < 5; writes += 1) world.write('n2')
    world.run(1_000)
    for (const id of ['n2', 'n1']) world.kill(id)
    // What n1 had acknowledged in that term nobody can tell.
    replaceDisk(world, 'n1', older)
    world.start('n1')
    world.run(1_000)
    world.command('n1', { name: 'takeOver', withoutPeers: ['n2'] })
    world.until(() => world.role('n1') === 'active', 15_000)
    world.run(1_000)
    world.said = []
    world.start('n2')
    world.run(20_000)
    const name = missing === 'hold' ? 'holding' : 'possibleLoss'
    expect(world.events('n2', name)).toMatchObject([{ missing: ['n1'] }])
  })
})

describe('GEN-2: what a node keeps of terms that it left', () => {
  /**
   * A standby of n1 whose copy goes through these terms, each beginning after the sequence number
   * `seq` of the one before.
   */
  function through(
    epochs: readonly number[],
    { isCaughtUp = true, ...facts }: Partial<CopyFacts> & { readonly isCaughtUp?: boolean } = {},
  ): readonly number[] {
    const { core } = settled(2).node('n2')
    const { seq } = core.copy
    const time = { nowMs: core.nowMs, wallMs: core.wallMs }
    let history = core.copy.history
    for (const epoch of epochs) {
      const term: HistoryTerm = { epoch, nodeId: 'n1', bootId: 'n1.1', firstSeq: seq + 1 }
      history = [...history.filter(({ firstSeq }) => firstSeq <= seq), term]
      step(core, { ...time, type: 'tick', copy: { ...core.copy, history, ...facts } })
      if (isCaughtUp) core.completedTerm = term
    }
    return (core.durable.leftEmpty ?? []).map(({ epoch }) => epoch)
  }

  it('is the terms that it had caught up with', () => {
    expect(through([2, 3, 4])).toEqual([2, 3])
    expect(through([2, 3, 4], { isCaughtUp: false })).toEqual([])
  })

  it('is nothing while it may have lost changes', () => {
    expect(through([2, 3, 4], { forgot: true })).toEqual([])
  })

  it('is the last few of them', () => {
    const epochs = Array.from({ length: 20 }, (_, at) => at + 2)
    expect(through(epochs)).toEqual(epochs.slice(-leftEmptyMax - 1, -1))
  })
})
