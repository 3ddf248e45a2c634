import { describe, expect, test } from 'vitest'
import type { Connection, Transport } from '../../src/interfaces/transport.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { kitLimits, received } from '../../src/testing/transport-kit-support.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { TestClock } from '../support/clock.js'

interface Outcome {
  connection?: Connection
  code?: string
}

function dialing(transport: Transport, address: string): Outcome {
  const outcome: Outcome = {}
  transport.dial(address, kitLimits).then(
    (connection) => {
      outcome.connection = connection
    },
    (error) => {
      outcome.code = error.code
    },
  )
  return outcome
}

async function world(quality: { latencyMs?: number; jitterMs?: number } = {}, seed = 1) {
  const clock = new TestClock()
  const network = memoryNetwork({ clock, random: new SeededRandom(seed), latencyMs: 1, ...quality })
  const accepted: Connection[] = []
  const a = network.transport('a')
  const b = network.transport('b')
  const listener = await a.listen((connection) => accepted.push(connection), kitLimits)
  const open = async () => {
    const count = accepted.length
    const outcome = dialing(b, 'a')
    await clock.pass(100)
    const near = outcome.connection!
    const far = accepted[count]!
    const atNear = received(near)
    const atFar = received(far)
    const causes = { near: '', far: '' }
    near.onClose((cause) => {
      causes.near = cause
    })
    far.onClose((cause) => {
      causes.far = cause
    })
    return { near, far, atNear, atFar, causes }
  }
  return { clock, network, a, b, listener, accepted, open }
}

const one = [Uint8Array.of(1)]

describe('GEN-7: one-way cuts', () => {
  test('frames of the cut direction are held and arrive late, the other direction works', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.cut('b', 'a')
    link.near.send(one)
    link.near.send(one)
    link.far.send(one)
    await clock.pass(10_000)
    expect([link.atFar.length, link.atNear.length]).toEqual([0, 1])
    network.heal('b', 'a')
    await clock.pass(2)
    expect(link.atFar.length).toBe(2)
    expect(link.causes).toEqual({ near: '', far: '' })
  })

  test('the end of a connection is held like a frame', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.cut('b', 'a')
    link.near.destroy()
    await clock.pass(10_000)
    expect(link.causes).toEqual({ near: 'closed', far: '' })
    network.heal('b', 'a')
    await clock.pass(5)
    expect(link.causes.far).toBe('reset')
  })

  test('heal with break resets connections with held frames, and no others', async () => {
    const { clock, network, open } = await world()
    const busy = await open()
    const idle = await open()
    network.cut('b', 'a')
    busy.near.send(one)
    network.heal('b', 'a', { break: true })
    await clock.pass(5)
    expect(busy.causes).toEqual({ near: 'reset', far: 'reset' })
    expect(idle.causes).toEqual({ near: '', far: '' })
    expect(busy.atFar.length).toBe(0)
  })

  test.each([
    ['b', 'a'],
    ['a', 'b'],
  ])('a dial across the cut %s to %s hangs, and times out or goes on', async (from, to) => {
    const { clock, network, b, accepted } = await world()
    network.cut(from, to)
    const late = dialing(b, 'a')
    await clock.pass(2_999)
    expect(late).toEqual({})
    await clock.pass(1)
    expect(late.code).toBe('PEER_UNREACHABLE')
    const early = dialing(b, 'a')
    await clock.pass(1_000)
    network.heal(from, to)
    await clock.pass(10)
    expect(early.connection).toBeDefined()
    expect(accepted.length).toBe(1)
  })
})

describe('machines', () => {
  test('ROL-6: a crash resets open connections after delivering what was sent, and later dials are refused', async () => {
    const { clock, network, b, open } = await world()
    const link = await open()
    link.far.send(one)
    network.crash('a')
    await clock.pass(5)
    expect(link.atNear.length).toBe(1)
    expect(link.causes).toEqual({ near: 'reset', far: '' })
    const again = dialing(b, 'a')
    await clock.pass(5)
    expect(again.code).toBe('PEER_REFUSED')
  })

  test('the transport of a crashed process has no effect, a new one works', async () => {
    const { clock, network, a, b } = await world()
    network.crash('a')
    const dead = dialing(a, 'b')
    await clock.pass(10_000)
    expect(dead).toEqual({})
    await network.transport('a').listen(() => {}, kitLimits)
    const again = dialing(b, 'a')
    await clock.pass(5)
    expect(again.connection).toBeDefined()
  })

  test('an isolated machine is silent until it rejoins', async () => {
    const { clock, network, b, open } = await world()
    const link = await open()
    network.isolate('a')
    link.near.send(one)
    link.far.send(one)
    const dial = dialing(b, 'a')
    await clock.pass(5_000)
    expect(dial.code).toBe('PEER_UNREACHABLE')
    expect([link.atFar.length, link.atNear.length]).toEqual([0, 0])
    network.rejoin('a')
    await clock.pass(5)
    expect([link.atFar.length, link.atNear.length]).toEqual([1, 1])
  })

  test('a machine without power is silent, and with power again it resets old connections', async () => {
    const { clock, network, b, open } = await world()
    const link = await open()
    link.far.send(one)
    network.powerOff('a')
    const dial = dialing(b, 'a')
    await clock.pass(5_000)
    expect(link.causes.near).toBe('')
    expect(link.atNear.length).toBe(0)
    expect(dial.code).toBe('PEER_UNREACHABLE')
    network.powerOn('a')
    await clock.pass(5)
    expect(link.causes.near).toBe('reset')
    const again = dialing(b, 'a')
    await clock.pass(5)
    expect(again.code).toBe('PEER_REFUSED')
  })

  test('a frozen process reads nothing, but its machine still answers dials', async () => {
    const { clock, network, b, accepted, open } = await world()
    const link = await open()
    network.freeze('a')
    link.near.send(one)
    const dial = dialing(b, 'a')
    await clock.pass(5_000)
    expect(dial.connection).toBeDefined()
    expect(accepted.length).toBe(1)
    expect(link.atFar.length).toBe(0)
    network.thaw('a')
    await clock.pass(5)
    expect(accepted.length).toBe(2)
    expect(link.atFar.length).toBe(1)
  })
})

describe('quality of links', () => {
  test('latency delays all frames, and a bandwidth limit delays by size', async () => {
    const { clock, network, open } = await world({ latencyMs: 10 })
    const link = await open()
    await clock.pass(50)
    link.near.send(one)
    await clock.pass(9)
    expect(link.atFar.length).toBe(0)
    await clock.pass(1)
    expect(link.atFar.length).toBe(1)
    network.setLink('b', 'a', { bytesPerSecond: 1_000_000 })
    link.near.send([new Uint8Array(100_000)])
    await clock.pass(100)
    expect(link.atFar.length).toBe(1)
    await clock.pass(15)
    expect(link.atFar.length).toBe(2)
  })

  test('a lost frame breaks its connection, and no later frame arrives', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.setLink('b', 'a', { lossRate: 1 })
    link.near.send(one)
    network.setLink('b', 'a', { lossRate: 0 })
    link.near.send(one)
    await clock.pass(10)
    expect(link.atFar.length).toBe(0)
    expect(link.causes).toEqual({ near: 'reset', far: 'reset' })
  })

  test('GEN-5: the same seed gives the same run, another seed another', async () => {
    const run = async (seed: number): Promise<string> => {
      const { clock, open } = await world({ jitterMs: 20 }, seed)
      const links = [await open(), await open()]
      const log: string[] = []
      for (const [index, link] of links.entries()) {
        link.far.onFrame((frame) => log.push(`${index}:${frame[0]}@${clock.nowMs()}`))
        for (let count = 0; count < 10; count++) link.near.send([Uint8Array.of(count)])
      }
      await clock.pass(500)
      return log.join(' ')
    }
    const first = await run(1)
    expect(await run(1)).toBe(first)
    expect(await run(2)).not.toBe(first)
    const numbers = (index: number) =>
      [...first.matchAll(new RegExp(`${index}:(\\d+)`, 'g'))].map((match) => Number(match[1]))
    expect(numbers(0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(numbers(1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test.each([{ latencyMs: -1 }, { lossRate: 2 }, { bytesPerSecond: 0 }, { jitterMs: Number.NaN }])(
    '%j is OPTION_INVALID',
    (quality) => {
      expect(() => memoryNetwork(quality)).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    },
  )
})

describe('faults of links and sockets', () => {
  test('frames in the socket of a frozen receiver are delivered although the link is cut', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.freeze('a')
    link.near.send(one)
    await clock.pass(10)
    link.near.send(one)
    network.cut('b', 'a')
    link.near.send(one)
    await clock.pass(10)
    expect(link.atFar.length).toBe(0)
    network.thaw('a')
    await clock.pass(10)
    expect(link.atFar.length).toBe(1)
    network.heal('b', 'a')
    await clock.pass(10)
    expect(link.atFar.length).toBe(3)
  })

  test('a cut with inFlight delivers frames in flight, and nothing after them', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    link.near.send(one)
    network.cut('b', 'a', { inFlight: true })
    link.near.send(one)
    await clock.pass(1_000)
    expect(link.atFar.length).toBe(1)
  })

  test('a power loss drops exactly the frames that have not arrived', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.freeze('a')
    link.near.send(one)
    await clock.pass(10)
    link.near.send(one)
    network.powerOff('b')
    network.thaw('a')
    await clock.pass(1_000)
    expect(link.atFar.length).toBe(1)
  })

  test('frames that are lost and sent again arrive late and in order', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.setLink('b', 'a', { resendRate: 0.3 })
    for (let at = 0; at < 20; at += 1) link.near.send([Uint8Array.of(at)])
    await clock.pass(100)
    expect(link.atFar.length).toBeLessThan(20)
    await clock.pass(20_000)
    expect(link.atFar.map((frame) => frame[0])).toEqual(Array.from({ length: 20 }, (_, at) => at))
    expect(link.causes).toEqual({ near: '', far: '' })
  })

  test('a half-open connection is reset on one side, and what the other side sends is lost', async () => {
    const { clock, network, open } = await world()
    const link = await open()
    network.forget('b', 'a')
    link.far.send(one)
    await clock.pass(60_000)
    expect(link.causes).toEqual({ near: 'reset', far: '' })
    expect(link.far.queuedBytes).toBeGreaterThan(0)
    const next = await open()
    next.far.send(one)
    await clock.pass(10)
    expect(next.atNear.length).toBe(1)
  })

  test('a closed port answers no dial, while open connections and the node’s own dials work', async () => {
    const { clock, network, a, b, open } = await world()
    const link = await open()
    await b.listen(() => undefined, kitLimits)
    network.closePort('a')
    const inbound = dialing(b, 'a')
    const outbound = dialing(a, 'b')
    link.near.send(one)
    await clock.pass(10_000)
    expect([inbound.code, outbound.code, link.atFar.length]).toEqual([
      'PEER_UNREACHABLE',
      undefined,
      1,
    ])
    expect(outbound.connection).toBeDefined()
    network.openPort('a')
    const again = dialing(b, 'a')
    await clock.pass(10)
    expect(again.connection).toBeDefined()
  })
})
