/**
 * Members that are alive and cannot be dialled, or that refuse: closed ports, wrong addresses,
 * another secret. In each case the healthy active keeps its role and its data, no other node serves
 * beside it, and both sides report what is wrong.
 */
import { describe, expect, it } from 'vitest'
import type { World } from '../../src/testing/simulator/world.js'
import {
  eventsOf,
  inStep,
  noViolation,
  quit,
  roles,
  settled,
  until,
  watched,
  write,
} from './support.js'

const deadMs = 2_000
const startupWaitMs = 10_000

function closePort(world: World, id: string): void {
  world.network.closePort(world.machine(id).address)
}

function peer(world: World, id: string, of: string) {
  const status = world.process(id).node.status()
  return status.peers.find((one) => one.id === of)
}

/** Expects that a node that cannot be dialled and its peer report that. */
function bothSay(world: World, closed: string, other: string): void {
  expect(peer(world, other, closed)?.unreachable).toMatch(/PEER_UNREACHABLE|PEER_REFUSED|ABORTED/)
  expect(peer(world, closed, other)?.cannotDialUs).toBe(true)
  expect(eventsOf(world, other, 'refused')).toContainEqual(
    expect.objectContaining({ peer: closed }),
  )
}

async function fill(world: World, files = 20): Promise<void> {
  for (let at = 0; at < files; at += 1) {
    const record = await write(world, 'n1', `data/f${at}`, { ack: 'local' })
    expect(record.outcome.kind).toBe('acknowledged')
  }
}

/** Expects every file of the active on all nodes. */
async function allHave(world: World, files = 20): Promise<void> {
  for (const { node } of world.processes) {
    for (let at = 0; at < files; at += 1) {
      expect(await world.settle(node.files.read(`data/f${at}`))).toBeDefined()
    }
  }
}

describe('a node that cannot be dialled', () => {
  it('ROL-8, ROL-15: follows the active with the data when it is new and empty', async () => {
    const world = watched({ nodes: 2 })
    world.start('n1')
    await until(world, () => world.actives().length === 1)
    await fill(world)
    closePort(world, 'n2')
    world.start('n2')
    await inStep(world)
    await world.run(3 * startupWaitMs)
    expect(roles(world, 'n1')).toEqual(['discovering', 'active'])
    expect(roles(world, 'n2')).toEqual(['discovering', 'restoring', 'standby'])
    await allHave(world)
    bothSay(world, 'n2', 'n1')
    noViolation(world)
    quit(world)
  })

  it('ROL-11, ROL-15: comes back as standby after each of three starts', async () => {
    const world = await settled({ nodes: 2 })
    await fill(world)
    for (let round = 0; round < 3; round += 1) {
      world.kill('n2')
      closePort(world, 'n2')
      await write(world, 'n1', `data/f${round}`)
      world.start('n2')
      await inStep(world)
      await world.run(2 * startupWaitMs)
      expect(world.actives()).toEqual(['n1'])
    }
    expect(roles(world, 'n1')).toEqual(['discovering', 'active'])
    await allHave(world)
    bothSay(world, 'n2', 'n1')
    noViolation(world)
    quit(world)
  })

  it('ROL-6: takes over when the active dies, and keeps its data when that one comes back', async () => {
    const world = await settled({ nodes: 2 })
    closePort(world, 'n2')
    await fill(world)
    await inStep(world)
    world.kill('n1')
    const tookMs = await until(world, () => world.actives()[0] === 'n2')
    expect(tookMs).toBeLessThan(500)
    const record = await write(world, 'n2', 'data/f0', { ack: 'local' })
    expect(record.outcome.kind).toBe('acknowledged')
    world.start('n1')
    await world.run(3 * startupWaitMs)
    expect(world.actives()).toEqual(['n2'])
    // It cannot follow, reports why, and continues by itself when the port is open.
    expect(world.process('n1').node.status().stuck).toMatch(/n2/)
    world.network.openPort(world.machine('n2').address)
    await inStep(world)
    expect(world.actives()).toEqual(['n2'])
    await allHave(world)
    noViolation(world)
    quit(world)
  })

  it('ROL-4, ROL-17: is the last choice for the role among three', async () => {
    const world = watched({ nodes: 3 })
    closePort(world, 'n2')
    world.startAll()
    await inStep(world)
    await world.run(2 * deadMs)
    await fill(world)
    // Equal copies are needed, because a fresher copy would decide first.
    await world.run(2 * deadMs)
    world.kill('n1')
    await until(world, () => world.actives().length === 1)
    expect(world.actives()).toEqual(['n3'])
    await until(world, () => world.process('n3').node.status().inSync.includes('n2'))
    world.start('n1')
    await inStep(world)
    await world.settle(world.process('n3').node.switchover())
    await until(world, () => world.actives()[0] === 'n1')
    await inStep(world)
    await allHave(world)
    noViolation(world)
    quit(world)
  })

  it('ROL-6: is not treated as gone by a peer while its own connections are open', async () => {
    const world = watched({ nodes: 2, wrongAddresses: { n2: 'elsewhere:1' } })
    world.startAll()
    await inStep(world)
    await fill(world)
    await world.run(3 * deadMs)
    world.network.breakConnections('n1:1', 'n2:1')
    await world.run(3 * deadMs)
    // Dials of n2's wrong address are always refused, which proves nothing.
    expect(eventsOf(world, 'n1', 'peerDown')).toEqual([])
    expect(roles(world, 'n1')).toEqual(['discovering', 'active'])
    expect(roles(world, 'n2')).toEqual(['discovering', 'restoring', 'standby'])
    bothSay(world, 'n2', 'n1')
    noViolation(world)
    quit(world)
  })
})

describe('a member that refuses connections', () => {
  const secretOf = (id: string) => ({
    secret: id === 'n2' ? 'a secret of n2 alone' : 'the secret of all others',
  })

  it('ROL-8: never serves beside the active when it has another secret', async () => {
    const world = watched({ nodes: 2, choicesOf: secretOf })
    world.start('n1')
    await until(world, () => world.actives().length === 1)
    await fill(world)
    world.start('n2')
    await world.run(5 * startupWaitMs)
    expect(roles(world, 'n1')).toEqual(['discovering', 'active'])
    expect(roles(world, 'n2')).toEqual(['discovering'])
    expect(world.process('n2').node.status().stuck).toMatch(/holding: .*check the secret.*n1/)
    expect(eventsOf(world, 'n2', 'holding')).toHaveLength(1)
    expect(eventsOf(world, 'n1', 'refused')).not.toEqual([])
    // It serves once the other node is silent, or by an order.
    world.powerOff('n1')
    await until(world, () => world.actives()[0] === 'n2', 2 * startupWaitMs)
    noViolation(world)
    quit(world)
  })

  it('ROL-8: does not serve while it refuses the dials of an active that it cannot dial itself', async () => {
    const world = watched({ nodes: 2, choicesOf: secretOf })
    world.start('n1')
    await until(world, () => world.actives().length === 1)
    closePort(world, 'n1')
    world.start('n2')
    await world.run(5 * startupWaitMs)
    expect(roles(world, 'n2')).toEqual(['discovering'])
    expect(world.process('n2').node.status().stuck).toMatch(/holding: .*check the secret.*n1/)
    noViolation(world)
    quit(world)
  })

  it('ROL-1: is left out by an operator’s order', async () => {
    const world = watched({ nodes: 2, choicesOf: secretOf })
    world.startAll()
    await world.run(2 * startupWaitMs)
    expect(world.actives()).toEqual([])
    await world.settle(world.process('n1').node.takeOver({ withoutPeers: ['n2'] }))
    await until(world, () => world.actives()[0] === 'n1')
    quit(world)
  })

  it('ROL-6: does not prevent the two other nodes of three from serving', async () => {
    const world = watched({ nodes: 3, choicesOf: secretOf })
    for (const id of ['n1', 'n3']) world.start(id)
    await until(world, () => world.process('n1').node.status().inSync.includes('n3'), 30_000)
    world.start('n2')
    await world.run(2 * startupWaitMs)
    expect(roles(world, 'n2')).toEqual(['discovering'])
    world.kill('n1')
    // A refusal proves nothing about its sender, so it does not delay nodes that have followed.
    const tookMs = await until(world, () => world.actives()[0] === 'n3')
    expect(tookMs).toBeLessThanOrEqual(2 * deadMs)
    noViolation(world)
    quit(world)
  })

  it('ROL-6: another program on the port of a dead active delays a takeover by at most deadMs', async () => {
    const world = await settled({ nodes: 2, intruderKnows: 'not the secret of all' })
    await fill(world)
    world.kill('n1')
    const listener = world.network.transport('n1:1')
    await world.settle(
      listener.listen((connection) => connection.send([new Uint8Array([1, 2, 3])]), {
        frameBytesMax: 1_000_000,
        sendBytesHigh: 1_000_000,
        connectionsMax: 100,
      }),
    )
    const tookMs = await until(world, () => world.actives()[0] === 'n2')
    expect(tookMs).toBeLessThanOrEqual(deadMs + 500)
    noViolation(world)
    quit(world)
  })
})

describe('a replaced machine', () => {
  it('ROL-1: does not serve with join before it was restored, however long it waits', async () => {
    const world = watched({ nodes: 2 })
    world.start('n2', world.machine('n2'), { join: true })
    await world.run(5 * startupWaitMs)
    expect(roles(world, 'n2')).toEqual(['discovering'])
    expect(world.process('n2').node.status().stuck).toMatch(/join.*takeOver/)
    world.start('n1')
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    // From now on it is a standby like any other.
    await fill(world)
    await inStep(world)
    world.kill('n1')
    await until(world, () => world.actives()[0] === 'n2')
    noViolation(world)
    quit(world)
  })

  it('ROL-1: stops waiting with join by an operator’s order', async () => {
    const world = watched({ nodes: 2 })
    world.start('n2', world.machine('n2'), { join: true })
    await world.run(2 * startupWaitMs)
    await world.settle(world.process('n2').node.takeOver({ withoutPeers: ['n1'] }))
    await until(world, () => world.actives()[0] === 'n2')
    quit(world)
  })

  it("GEN-2: waits with 'hold' although it is empty", async () => {
    const world = watched({ nodes: 2, choices: { onMissingPeer: 'hold' } })
    world.start('n1')
    await world.run(3 * startupWaitMs)
    expect(roles(world, 'n1')).toEqual(['discovering'])
    expect(world.process('n1').node.status().stuck).toMatch(/holding: .*n2/)
    world.start('n2')
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    noViolation(world)
    quit(world)
  })
})
