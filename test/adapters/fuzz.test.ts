import { connect } from 'node:net'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { Listener } from '../../src/interfaces/transport.js'
import { acceptChannel, type Channel, dialChannel } from '../../src/protocol/channel.js'
import { decode, encode } from '../../src/protocol/codec.js'
import {
  asEnvelope,
  decodeEnvelope,
  encodeEnvelope,
  envelope,
} from '../../src/protocol/envelope.js'
import { HandshakeGuard } from '../../src/protocol/handshake-guard.js'
import { asIdentity } from '../../src/protocol/identity.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { kitLimits, until } from '../../src/testing/transport-kit-support.js'
import { FrameReader } from '../../src/transport/tcp/frame-reader.js'
import { tcp } from '../../src/transport/tcp.js'
import { key } from './meet.js'
import { identityOf, realClock, realRandom } from './support.js'

const common = { key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits }

/** A node that listens on TCP and accepts peers that prove the secret. */
async function honestListener(): Promise<{
  listener: Listener
  port: number
  channels: Channel[]
  errors: HotspareError[]
}> {
  const channels: Channel[] = []
  const errors: HotspareError[] = []
  const guard = new HandshakeGuard(16)
  const listener = await tcp({ listen: '127.0.0.1:0' }).listen((connection) => {
    acceptChannel(connection, { ...common, guard, identity: identityOf('alpha') }).then(
      (channel) => channels.push(channel),
      (error) => errors.push(error),
    )
  }, kitLimits)
  return { listener, port: Number(listener.address.split(':')[1]), channels, errors }
}

/** Sends the bytes and resolves when the listener has ended the connection, or stays silent. */
function attack(port: number, chunks: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const answers: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => {
      for (const chunk of chunks) socket.write(chunk)
      socket.end()
    })
    socket.on('data', (chunk) => answers.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(answers)))
  })
}

const length = (bytes: number): Buffer => {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(bytes)
  return header
}

describe('SES-25: a listening node that gets bytes of unauthenticated peers', () => {
  test('does not crash, keeps its memory bounded, and still accepts an honest peer', async () => {
    const seed = Number(process.env.FUZZ_SEED ?? 20_260_101)
    const random = new SeededRandom(seed)
    const { listener, port, channels, errors } = await honestListener()
    const hello = Buffer.from([0x48, 0x53, 0x50, 0x52, 1, 0, 1, 0, 1, 0, ...random.bytes(32)])
    const before = process.memoryUsage().arrayBuffers
    const rounds = 300
    for (let round = 0; round < rounds; round += 10) {
      const attacks = Array.from({ length: 10 }, () => {
        const noise = random.bytes(Math.floor(random.number() * 500))
        const kind = Math.floor(random.number() * 6)
        if (kind === 0) return attack(port, [noise])
        if (kind === 1) return attack(port, [length(noise.length), noise])
        if (kind === 2) return attack(port, [length(0xfffffffe), noise])
        if (kind === 3) return attack(port, [length(hello.length), hello, length(33), noise])
        if (kind === 4) {
          const proof = Buffer.concat([Uint8Array.of(4), random.bytes(32)])
          return attack(port, [length(hello.length), hello, length(33), proof, noise])
        }
        const bent = Buffer.from(hello)
        bent[Math.floor(random.number() * bent.length)]! ^= 1 << Math.floor(random.number() * 8)
        return attack(port, [length(bent.length), bent])
      })
      for (const answer of await Promise.all(attacks)) {
        // The answer has at most the challenge and a good-bye, and never the identity of the
        // listener.
        expect(answer.length, `seed ${seed}`).toBeLessThan(100)
        expect(answer.includes('alpha')).toBe(false)
      }
    }
    await until(() => errors.length === rounds)
    expect(errors.every((error) => error instanceof HotspareError)).toBe(true)
    expect(channels.length).toBe(0)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
    const channel = await dialChannel(tcp(), listener.address, {
      ...common,
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    await until(() => channels.length === 1)
    channel.destroy()
    channels[0]?.destroy()
    await listener.close()
  })

  test('accepts an honest peer while other peers hold more connections than handshakesMax', async () => {
    const { listener, port, channels } = await honestListener()
    const strangers = Array.from({ length: 60 }, () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      socket.write(Buffer.from([0, 0, 0, 42, 0x48, 0x53]))
      return socket
    })
    await until(() => strangers.filter((socket) => socket.destroyed).length === 44)
    const channel = await dialChannel(tcp(), listener.address, {
      ...common,
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    await until(() => channels.length === 1)
    channel.destroy()
    channels[0]?.destroy()
    for (const socket of strangers) socket.destroy()
    await listener.close()
  })

  test('ends a peer that knows the secret and sends invalid bytes, with a different error', async () => {
    const { listener, channels } = await honestListener()
    const random = new SeededRandom(7)
    for (let round = 0; round < 20; round++) {
      const channel = await dialChannel(tcp(), listener.address, {
        ...common,
        ...{ lane: 'control', identity: identityOf('beta', { bootId: `boot-${round}` }) },
      })
      await until(() => channels.length === round + 1)
      let error: HotspareError | undefined
      channels[round]?.onMessage((message) => void asEnvelope(message))
      channels[round]?.onClose((_cause, reason) => {
        error = reason
      })
      // A valid frame around bytes that are no envelope.
      channel.sendMessage(random.bytes(50))
      await until(() => error !== undefined)
      expect(error?.code).toBe('PROTOCOL_VIOLATION')
      channel.destroy()
    }
    await listener.close()
  })
})

describe('frames', () => {
  test('are the same however a stream is split into chunks, with both ways of reading', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 20 }),
        (sizes, cuts) => {
          const frames = sizes.map((size, index) => Buffer.alloc(size, index + 1))
          const stream = Buffer.concat(frames.flatMap((frame) => [length(frame.length), frame]))
          for (const pushes of [true, false]) {
            const reader = new FrameReader(1 << 20)
            const got: Buffer[] = []
            let at = 0
            for (let turn = 0; at < stream.length; turn++) {
              const chunk = stream.subarray(at, at + cuts[turn % cuts.length]!)
              if (pushes) {
                reader.push(Buffer.from(chunk))
                at += chunk.length
              } else {
                const count = chunk.copy(reader.reserve())
                reader.commit(count)
                at += count
              }
              for (let next = reader.next(); next !== 'partial'; next = reader.next()) {
                if (typeof next === 'string') throw new Error(next)
                got.push(next)
              }
            }
            expect(got.map((frame) => frame.length)).toEqual(sizes)
            expect(got.every((frame, index) => frame.equals(frames[index]!))).toBe(true)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('take no memory for a length that is only announced', () => {
    const announced = Buffer.concat([length(500 * 1024 * 1024), Buffer.alloc(10)])
    const pushed = new FrameReader(2 ** 31)
    const before = process.memoryUsage().arrayBuffers
    pushed.push(announced)
    pushed.push(Buffer.alloc(10))
    const reserved = new FrameReader(2 ** 31)
    reserved.commit(announced.copy(reserved.reserve()))
    reserved.commit(reserved.reserve().length)
    reserved.reserve()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })
})

describe('messages', () => {
  const isViolation = (run: () => unknown): boolean => {
    try {
      run()
      return false
    } catch (error) {
      if (HotspareError.is(error, 'PROTOCOL_VIOLATION')) return true
      throw error
    }
  }

  test('of plain data are decoded to equal data', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, false, undefined),
        fc.double({ noNaN: true }),
        fc.maxSafeInteger(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.string({ unit: 'grapheme' }),
        fc.uint8Array(),
        fc.array(tie('value')),
        fc.dictionary(
          fc.string().filter((name) => name !== '__proto__'),
          tie('value'),
          { noNullPrototype: true },
        ),
      ),
    }))
    const withoutBuffers = (value: unknown): unknown =>
      JSON.stringify(value, (_, each: unknown) => {
        if (typeof each === 'bigint') return `big ${each}`
        if (each === undefined) return 'nothing'
        return Object.is(each, -0) ? 0 : each
      })
    fc.assert(
      fc.property(plain.value, (value) => {
        const copy = structuredClone(value)
        expect(withoutBuffers(toPlain(decode(encode(value))))).toEqual(
          withoutBuffers(toPlain(copy)),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('of random or modified bytes are either decoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        isViolation(() => decode(bytes))
        isViolation(() => decodeEnvelope(bytes))
        isViolation(() => asIdentity(decode(bytes)))
      }),
      { numRuns: 5000 },
    )
    const good = encodeEnvelope(
      envelope({
        ...{ cluster: 'c', id: '1', origin: 'a', destination: 'b', type: 'heartbeat' },
        body: { hears: ['b', 'c'], at: new Date(5), data: new Uint8Array(20), big: 2n ** 40n },
      }),
    )
    const random = new SeededRandom(3)
    for (let round = 0; round < 20_000; round++) {
      const bent = Uint8Array.from(good)
      for (let count = 0; count <= round % 3; count++) {
        bent[Math.floor(random.number() * bent.length)] = Math.floor(random.number() * 256)
      }
      isViolation(() => decodeEnvelope(bent))
    }
  })

  test('with hostile extensions, records and lengths are refused before the decoder reads them', () => {
    const rich = new Packr({ moreTypes: true, structuredClone: true, useRecords: true })
    const loop: { self?: unknown } = {}
    loop.self = loop
    const hostile: Uint8Array[] = [
      rich.pack(new Error('x')),
      rich.pack(/(a+)+$/),
      rich.pack(new Set([1])),
      rich.pack(new Float64Array(3)),
      rich.pack(loop),
      new Packr({ useRecords: true }).pack({ a: 1, b: 2 }),
      Uint8Array.of(0xc1),
      Uint8Array.of(0xdd, 0x7f, 0xff, 0xff, 0xff),
      Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff, 1),
      Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff, 1),
      Uint8Array.of(0xdb, 0x10, 0, 0, 0),
      new Uint8Array(100_000).fill(0x91),
      Buffer.concat([Buffer.alloc(129, 0x91), Uint8Array.of(1)]),
      Uint8Array.of(),
      Uint8Array.of(1, 2),
      Buffer.concat([Uint8Array.of(0xd8, 0x65), new Uint8Array(16)]),
      Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1),
      Uint8Array.of(0xd4, 0x69, 0, 0, 0, 1, 0x80),
    ]
    for (const bytes of hostile) {
      expect(
        isViolation(() => decode(bytes)),
        Buffer.from(bytes).toString('hex', 0, 20),
      ).toBe(true)
    }
    expect(decode(Buffer.concat([Buffer.alloc(128, 0x91), Uint8Array.of(1)]))).toBeInstanceOf(Array)
    // The decoder keeps no state of it: small numbers still decode to numbers.
    expect(decode(encode([0x40, 0x41, 0x7f]))).toEqual([0x40, 0x41, 0x7f])
    const sneaky = decode(encode({ ['__proto__']: { polluted: true } })) as { polluted?: boolean }
    expect(sneaky.polluted).toBeUndefined()
  })

  test('contain their bytes as views or as copies, as requested', () => {
    const bytes = encode({ data: Uint8Array.of(1, 2, 3) })
    const shared = decode(bytes) as { data: Uint8Array }
    const own = decode(bytes, { copyBytes: true }) as { data: Uint8Array }
    bytes.fill(9)
    expect([...own.data]).toEqual([1, 2, 3])
    expect([...shared.data]).toEqual([9, 9, 9])
    expect(isViolation(() => decode(encode('long'), { bytesMax: 3 }))).toBe(true)
  })
})

/** Converts buffers to arrays, so that they compare with the original byte arrays. */
function toPlain(value: unknown): unknown {
  if (value instanceof Uint8Array) return ['bytes', ...value]
  if (Array.isArray(value)) return value.map(toPlain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, each]): [string, unknown] => [name, toPlain(each)])
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  )
}
