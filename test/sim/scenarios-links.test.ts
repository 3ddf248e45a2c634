/**
 * Members that live and cannot be dialled, or refuse: closed ports, wrong addresses, another
 * secret. In each case the healthy active keeps its role and its data, nobody serves beside it, and
 * both sides say what is wrong.
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

/** The two sides of a node that nobody can dial. */
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

/** Every file of the active is there, on all of them. */
async function allHave(world: World, files = 20): Promise<void> {
  for (const { node } of world.processes) {
    for (let at = 0; at < files; at += 1) {
      expect(await world.settle(node.files.read(`data/f${at}`))).toBeDefined()
    }
  }
}

describe('a node that nobody can dial', () => {
  it('ROL-8, ROL-15: an empty newcomer follows the active that has the data', async () => {
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

  it('ROL-11, ROL-15: a standby that boots behind a closed port comes back, three times', async () => {
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

  it('ROL-6: it takes over when the active dies, and gives nothing up when that one comes back', async () => {
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
    // It cannot follow, says why, and goes on by itself when the port is open.
    expect(world.process('n1').node.status().stuck).toMatch(/n2/)
    world.network.openPort(world.machine('n2').address)
    await inStep(world)
    expect(world.actives()).toEqual(['n2'])
    await allHave(world)
    noViolation(world)
    quit(world)
  })

  it('ROL-4, ROL-17: of three it is the last choice for the role', async () => {
    const world = watched({ nodes: 3 })
    closePort(world, 'n2')
    world.startAll()
    await inStep(world)
    await world.run(2 * deadMs)
    await fill(world)
    // A copy that is fresher would come before that.
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

  it('ROL-6: it does not take a peer for gone whose own connections stand', async () => {
    const world = watched({ nodes: 2, wrongAddresses: { n2: 'elsewhere:1' } })
    world.startAll()
    await inStep(world)
    await fill(world)
    await world.run(3 * deadMs)
    world.network.breakConnections('n1:1', 'n2:1')
    await world.run(3 * deadMs)
    // The address that the others have for n2 is refused all the time, and proves nothing.
    expect(eventsOf(world, 'n1', 'peerDown')).toEqual([])
    expect(roles(world, 'n1')).toEqual(['discovering', 'active'])
    expect(roles(world, 'n2')).toEqual(['discovering', 'restoring', 'standby'])
    bothSay(world, 'n2', 'n1')
    noViolation(world)
    quit(world)
  })
})

describe('a member that refuses', () => {
  const secretOf = (id: string) => ({
    secret: id === 'n2' ? 'a secret of n2 alone' : 'the secret of all others',
  })

  it('ROL-8: a node with another secret never serves beside the active', async () => {
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
    // Silence of the other one, or an order, lets it go on.
    world.powerOff('n1')
    await until(world, () => world.actives()[0] === 'n2', 2 * startupWaitMs)
    noViolation(world)
    quit(world)
  })

  it('ROL-8: a refused dial of the active is an answer too, where the active cannot be dialled', async () => {
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

  it('ROL-1: an order serves without the member that refuses', async () => {
    const world = watched({ nodes: 2, choicesOf: secretOf })
    world.startAll()
    await world.run(2 * startupWaitMs)
    expect(world.actives()).toEqual([])
    await world.settle(world.process('n1').node.takeOver({ withoutPeers: ['n2'] }))
    await until(world, () => world.actives()[0] === 'n1')
    quit(world)
  })

  it('ROL-6: of three the two that agree go on, whatever the third says', async () => {
    const world = watched({ nodes: 3, choicesOf: secretOf })
    for (const id of ['n1', 'n3']) world.start(id)
    await until(world, () => world.process('n1').node.status().inSync.includes('n3'), 30_000)
    world.start('n2')
    await world.run(2 * startupWaitMs)
    expect(roles(world, 'n2')).toEqual(['discovering'])
    world.kill('n1')
    // A refusal proves nothing about its sender, so that it holds up nobody who has followed.
    const tookMs = await until(world, () => world.actives()[0] === 'n3')
    expect(tookMs).toBeLessThanOrEqual(2 * deadMs)
    noViolation(world)
    quit(world)
  })

  it('ROL-6: a stranger on the port of a dead active costs deadMs at most', async () => {
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
  it('ROL-1: with join it serves nothing before it was restored, however long it waits', async () => {
    const world = watched({ nodes: 2 })
    world.start('n2', world.machine('n2'), { join: true })
    await world.run(5 * startupWaitMs)
    expect(roles(world, 'n2')).toEqual(['discovering'])
    expect(world.process('n2').node.status().stuck).toMatch(/join.*takeOver/)
    world.start('n1')
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    // From here on it is a standby like any other.
    await fill(world)
    await inStep(world)
    world.kill('n1')
    await until(world, () => world.actives()[0] === 'n2')
    noViolation(world)
    quit(world)
  })

  it('ROL-1: an order ends the wait of a node that joins', async () => {
    const world = watched({ nodes: 2 })
    world.start('n2', world.machine('n2'), { join: true })
    await world.run(2 * startupWaitMs)
    await world.settle(world.process('n2').node.takeOver({ withoutPeers: ['n1'] }))
    await until(world, () => world.actives()[0] === 'n2')
    quit(world)
  })

  it("GEN-2: 'hold' also holds an empty node", async () => {
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
