import { describe, expect, it } from 'vitest'
import type { CoreMessage, PeerView } from '../../src/core/state/messages.js'
import { explain, viewOf } from '../../src/core/step.js'
import type { Term } from '../../src/history/position.js'
import { settled } from './clusters.js'
import type { World } from './world.js'

function say(world: World, from: string, to: string, message: CoreMessage): void {
  world.input(world.node(to), { type: 'message', from, message })
}

function view(world: World, id: string, change: Partial<PeerView> = {}): PeerView {
  return { ...viewOf(world.node(id).core), ...change }
}

/** n1 is dead, and n2 of three stands before a gate that does not open. */
function atTheGate(): World {
  const world = settled(3)
  world.node('n2').gateOpen = false
  world.node('n3').gateOpen = false
  world.kill('n1')
  world.until(() => world.node('n2').core.round?.phase === 'gate', 1_000)
  return world
}

describe('promises', () => {
  const base: Term = { epoch: 5, nodeId: 'n2', bootId: 'n2.1' }
  const cases: { name: string; term: Term; outcome: string }[] = [
    { name: 'a higher epoch', term: { ...base, epoch: 6 }, outcome: 'given' },
    { name: 'the same term again', term: base, outcome: 'given' },
    { name: 'a lower epoch', term: { ...base, epoch: 4 }, outcome: 'promisedHigher' },
    { name: 'another process', term: { ...base, bootId: 'n2.2' }, outcome: 'promisedHigher' },
    { name: 'another node', term: { ...base, nodeId: 'n1' }, outcome: 'promisedHigher' },
  ]
  for (const { name, term, outcome } of cases) {
    it(`ROL-19: after epoch 5 of n2, asked for ${name}: ${outcome}`, () => {
      const world = settled(3)
      const { core } = world.node('n3')
      const from = view(world, 'n2', { role: 'discovering', follows: undefined })
      world.kill('n1')
      world.until(() => world.role('n3') === 'discovering', 100)
      core.durable = { ...core.durable, promised: base }
      say(world, 'n2', 'n3', { type: 'promiseRequest', term, view: from })
      const decided = explain(core).filter((one) => one.rule === 'promise')
      expect(decided.at(-1)?.outcome).toBe(outcome)
    })
  }

  it('an active refuses', () => {
    const world = settled(2)
    const term = { epoch: 9, nodeId: 'n2', bootId: 'n2.1' }
    say(world, 'n2', 'n1', { type: 'promiseRequest', term, view: view(world, 'n2') })
    expect(explain(world.node('n1').core).at(-1)).toMatchObject({ outcome: 'isActive' })
  })

  it('of two rounds with one epoch the candidate first in takeover order continues', () => {
    const world = atTheGate()
    const { core } = world.node('n2')
    const epoch = core.round?.term.epoch ?? 0
    const other = { epoch, nodeId: 'n3', bootId: 'n3.1' }
    const from = view(world, 'n3', { promised: undefined, round: undefined })
    say(world, 'n3', 'n2', { type: 'promiseRequest', term: other, view: from })
    expect(explain(core).at(-1)).toMatchObject({ rule: 'promise', outcome: 'betterCandidate' })
    expect(core.round?.term.nodeId).toBe('n2')
  })

  it('a round yields to one with a higher epoch', () => {
    const world = atTheGate()
    const { core } = world.node('n2')
    const term = { epoch: 9, nodeId: 'n3', bootId: 'n3.1' }
    const from = view(world, 'n3', { round: term })
    say(world, 'n3', 'n2', { type: 'promiseRequest', term, view: from })
    expect(core.round).toBeUndefined()
    expect(core.pledge?.term).toEqual(term)
  })
})

describe('the end of a round', () => {
  it('ROL-19: no term is opened whose epoch another node has promised to a third one', () => {
    for (const more of [0, 1]) {
      const world = atTheGate()
      world.node('n2').gateOpen = true
      const { core } = world.node('n2')
      const promised = { epoch: (core.round?.term.epoch ?? 0) + more, nodeId: 'n1', bootId: 'x' }
      say(world, 'n3', 'n2', { type: 'heartbeat', view: view(world, 'n3', { promised }) })
      const id = core.round?.waitId ?? 0
      world.input(world.node('n2'), { type: 'gate', id, ok: true })
      expect(core.round).toBeUndefined()
      expect(core.durable.promised?.epoch).toBe(2)
    }
  })

  it('ROL-7: the active is heard again', () => {
    const world = atTheGate()
    const { core } = world.node('n2')
    const activeTerm = core.followed?.term
    const back = view(world, 'n3', { role: 'active', activeTerm, follows: undefined })
    say(world, 'n3', 'n2', { type: 'heartbeat', view: back })
    expect(core.round).toBeUndefined()
  })
})

describe('a new term above promises that were never used', () => {
  it('ROL-19: it is opened above one that becomes known while the first is being written', () => {
    const world = settled(3)
    const { core } = world.node('n1')
    const promised = { epoch: 4, nodeId: 'n2', bootId: 'x' }
    say(world, 'n2', 'n1', { type: 'heartbeat', view: view(world, 'n2', { promised }) })
    expect(core.tenure?.reopening?.term.epoch).toBe(5)
    const same = { epoch: 5, nodeId: 'n3', bootId: 'x' }
    say(world, 'n3', 'n1', { type: 'heartbeat', view: view(world, 'n3', { promised: same }) })
    world.run(1_000)
    expect(core.tenure?.term.epoch).toBe(6)
    expect(world.ledger.opens.map((open) => open.term.epoch)).toEqual([1, 6])
    expect(world.roles('n1')).toEqual([])
  })
})

describe('another process with the same id', () => {
  it('ROL-6: its connection proves that the followed active has ended', () => {
    const world = settled(2)
    world.inputLater(0, 'n2', { type: 'linkDown', peer: 'n1', cause: 'timeout' })
    world.inputLater(0, 'n2', { type: 'linkUp', peer: 'n1', bootId: 'n1.2' })
    world.nodes.get('n1')!.frozen = true
    world.run(1)
    expect(world.role('n2')).toBe('discovering')
    expect(world.events('n2', 'peerDown')).toEqual([
      { name: 'peerDown', peer: 'n1', cause: 'gone' },
    ])
  })
})

describe('the target of a handover', () => {
  const offered: Term = { epoch: 2, nodeId: 'n2', bootId: 'n2.1' }
  const wrong: { name: string; offered: Term; from: Partial<Term> }[] = [
    { name: 'for another node', offered: { ...offered, nodeId: 'n3' }, from: {} },
    { name: 'for an earlier process', offered: { ...offered, bootId: 'n2.0' }, from: {} },
    { name: 'of a term that it does not follow', offered, from: { bootId: 'other' } },
    { name: 'not above its promise', offered: { ...offered, epoch: 1 }, from: {} },
  ]
  for (const one of wrong) {
    it(`ROL-12: it refuses one ${one.name}`, () => {
      const world = settled(2)
      const { core } = world.node('n2')
      const from = { ...(core.followed?.term as Term), ...one.from }
      say(world, 'n1', 'n2', { type: 'handover', from, offered: one.offered, seq: 5 })
      expect(core.round).toBeUndefined()
      expect(explain(core).some((each) => each.rule === 'handover')).toBe(true)
    })
  }

  it('ROL-12: it takes the role only at the exact position', () => {
    const world = settled(2)
    const { core } = world.node('n2')
    const from = core.followed?.term as Term
    say(world, 'n1', 'n2', { type: 'handover', from, offered, seq: 6 })
    world.run(500)
    expect(world.roles('n2')).not.toContain('active')
  })
})

describe('explain', () => {
  it('keeps the last 64 decisions, each with its rule and inputs', () => {
    const world = settled(2)
    for (let round = 0; round < 40; round += 1) {
      world.command(world.actives()[0] ?? '', { name: 'switchover', to: undefined })
      world.run(500)
    }
    const decisions = explain(world.node('n1').core)
    expect(decisions).toHaveLength(64)
    expect(decisions.every((one) => one.rule !== '' && one.atMs > 0)).toBe(true)
  })
})
