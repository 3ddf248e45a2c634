import { describe, expect, test } from 'vitest'
import type { HotspareError } from '../../src/errors.js'
import { acceptChannel, type Channel, dialChannel } from '../../src/protocol/channel.js'
import { encodeChallenge } from '../../src/protocol/handshake-frames.js'
import { HandshakeGuard } from '../../src/protocol/handshake-guard.js'
import { frameBytesMin } from '../../src/protocol/identity.js'
import { kitLimits, until } from '../../src/testing/transport-kit-support.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { TestClock } from '../support/clock.js'
import { honest, key, meet, type Result } from './meet.js'
import { identityOf, realClock, realRandom } from './support.js'

describe('two nodes of one cluster', () => {
  test('SES-25: learn the identity of each other, and send in both directions', async () => {
    const more = { appVersion: '1.2', features: ['x'], fingerprints: { messages: 'abc' } }
    const { dialer, listener } = await meet({ lane: 'stream', identity: more }, {})
    expect(dialer?.identity).toMatchObject({ nodeId: 'alpha', kind: 'member', lane: 'stream' })
    expect(listener?.identity).toMatchObject({ nodeId: 'beta', lane: 'stream', ...more })
    expect(listener?.lane).toBe('stream')
    const log: unknown[] = []
    listener?.onMessage((message) => log.push(message))
    listener?.onFrame((type, payload) => log.push([type, ...payload]))
    dialer?.sendMessage({ hello: 1 })
    dialer?.send(7, [Uint8Array.of(1, 2), Uint8Array.of(3)])
    dialer?.onMessage((message) => log.push(message))
    listener?.sendMessage('back')
    await until(() => log.length === 3)
    expect(log).toContainEqual({ hello: 1 })
    expect(log).toContainEqual([7, 1, 2, 3])
    expect(log).toContainEqual('back')
  })

  test('lose nothing that is sent together with the last frame of the handshake', async () => {
    const network = memoryNetwork()
    const common = { key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits }
    const guard = new HandshakeGuard()
    await network.transport('a').listen((connection) => {
      void acceptChannel(connection, { ...common, guard, identity: identityOf('alpha') }).then(
        (channel) => {
          for (let count = 0; count < 5; count++) channel.sendMessage(count)
        },
      )
    }, kitLimits)
    const channel = await dialChannel(network.transport('b'), 'a', {
      ...common,
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    const log: unknown[] = []
    channel.onMessage((message) => log.push(message))
    await until(() => log.length === 5)
    expect(log).toEqual([0, 1, 2, 3, 4])
  })

  test('lose nothing that is sent before the receiver listens', async () => {
    const { dialer, listener } = await meet({}, {})
    listener?.sendMessage(1)
    listener?.send(3, [Uint8Array.of(9)])
    dialer?.sendMessage(2)
    const log: unknown[] = []
    dialer?.onMessage((message) => log.push(message))
    dialer?.onFrame((type) => log.push(`frame ${type}`))
    listener?.onMessage((message) => log.push(message))
    await until(() => log.length === 3)
    expect(log.filter((each) => each !== 2)).toEqual([1, 'frame 3'])
  })

  test.each([
    ['with a secret', 'secret', false],
    ['without a secret', undefined, false],
    ['over a secure transport', 'secret', true],
  ])('exchange frames of all sizes and an orderly end, %s', async (_, secret, secure) => {
    const side = { key: key(secret), lane: 'bulk' as const, bulkIntegrity: 'crc' as const }
    const { dialer, listener } = await meet(side, side, honest, secure)
    const sizes = [0, 1, 2047, 2048, 2049, 5000, dialer!.payloadBytesMax]
    const got: number[] = []
    listener?.onFrame((_type, payload) => got.push(payload.length))
    for (const size of sizes) dialer?.send(200, [new Uint8Array(size)])
    await until(() => got.length === sizes.length)
    expect(got).toEqual(sizes)
    expect(() => dialer?.send(1, [new Uint8Array(dialer.payloadBytesMax + 1)])).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LARGE' }),
    )
    let cause = ''
    listener?.onClose((why) => {
      cause = why
    })
    dialer?.close()
    await until(() => cause !== '')
    expect(cause).toBe('closed')
  })

  test('use the smaller frame limit of the two', async () => {
    const limits = { ...kitLimits, frameBytesMax: 300_000 }
    const { dialer, listener } = await meet({}, { limits })
    expect(dialer?.payloadBytesMax).toBe(listener?.payloadBytesMax)
    expect(dialer?.payloadBytesMax).toBeLessThan(300_000)
  })
})

describe('SES-25: unauthenticated peers', () => {
  test.each([
    ['another secret', key('secret'), key('other')],
    ['no secret against one', key(undefined), key('secret')],
    ['one secret against none', key('secret'), key(undefined)],
    ['another cluster', key('secret', 'test'), key('secret', 'elsewhere')],
  ])(
    '%s: refused on both ends, and nothing of the listener is revealed',
    async (_, ours, theirs) => {
      const said: Uint8Array[] = []
      const result = await meet({ key: ours }, { key: theirs }, (frame, from) => {
        if (from === 'listener') said.push(frame)
        return [frame]
      })
      expect(result.dialerError).toMatchObject({ code: 'HANDSHAKE_FAILED' })
      expect(result.dialerError?.details).toMatchObject({ reason: 'proof' })
      expect(result.listenerError?.details).toMatchObject({ reason: 'proof', refusedBy: 'here' })
      expect(said.length).toBe(1)
      expect(Buffer.concat(said).includes('alpha')).toBe(false)
    },
  )

  test('a listener that repeats the proof that it received is refused, and learns nothing', async () => {
    const network = memoryNetwork()
    const heard: Uint8Array[] = []
    await network.transport('thief').listen((connection) => {
      connection.onFrame((frame) => {
        heard.push(frame)
        if (heard.length === 1) connection.send([encodeChallenge({ min: 1, max: 1 }, 1, nonce)])
        else connection.send([Uint8Array.of(5), frame.subarray(1), new Uint8Array(200)])
      })
    }, kitLimits)
    const nonce = realRandom.bytes(32)
    const dialing = dialChannel(network.transport('b'), 'thief', {
      ...{ key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits },
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    await expect(dialing).rejects.toMatchObject({
      code: 'HANDSHAKE_FAILED',
      details: { reason: 'proof', refusedBy: 'here' },
    })
    expect(heard.length).toBe(2)
    expect(Buffer.concat(heard).includes('beta')).toBe(false)
  })

  test('a mirror that returns the proof of a dialer to it is refused', async () => {
    const network = memoryNetwork()
    await network.transport('mirror').listen((connection) => {
      connection.onFrame((frame) => connection.send([frame]))
    }, kitLimits)
    const dialing = dialChannel(network.transport('b'), 'mirror', {
      ...{ key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits },
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    await expect(dialing).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' })
  })

  test('a recorded handshake cannot be replayed, in either direction', async () => {
    const recorded: Record<string, Uint8Array[]> = { dialer: [], listener: [] }
    const first = await meet({}, {}, (frame, from) => {
      recorded[from]?.push(frame)
      return [frame]
    })
    expect(first.dialer).toBeDefined()
    for (const side of ['dialer', 'listener'] as const) {
      const result = await meet({}, {}, (frame, from, index) =>
        from === side ? [recorded[side]?.[index] ?? frame] : [frame],
      )
      expect(result.dialer, `replayed ${side}`).toBeUndefined()
      expect(result.listener, `replayed ${side}`).toBeUndefined()
    }
  })

  test('any flipped bit of the handshake is detected: no downgrade of versions, lanes or limits', async () => {
    const lengths: Record<string, number[]> = { dialer: [], listener: [] }
    await meet({}, {}, (frame, from) => {
      lengths[from]?.push(frame.length)
      return [frame]
    })
    for (const side of ['dialer', 'listener'] as const) {
      for (const [at, length] of lengths[side]!.entries()) {
        for (let byte = 0; byte < length; byte += length > 100 ? 7 : 1) {
          const bit = 1 << (byte % 8)
          let last = false
          const result = await meet({}, {}, (frame, from, index) => {
            if (from !== side || index !== at) return [frame]
            const changed = Uint8Array.from(frame)
            changed[byte]! ^= bit
            last = from === 'listener' && index === lengths.listener!.length - 1
            return [changed]
          })
          const where = `${side} frame ${at}, byte ${byte}`
          expect(result.dialer, where).toBeUndefined()
          // Only the last frame comes after the listener has decided.
          if (!last) expect(result.listener, where).toBeUndefined()
        }
      }
    }
  }, 60_000)

  test('a peer that says nothing is given up after handshakeMs', async () => {
    const clock = new TestClock()
    const network = memoryNetwork({ clock })
    let error: HotspareError | undefined
    const guard = new HandshakeGuard()
    await network.transport('a').listen((connection) => {
      acceptChannel(connection, {
        ...{ key: key('secret'), clock, random: realRandom, limits: kitLimits, guard },
        identity: identityOf('alpha'),
      }).catch((reason) => {
        error = reason
      })
    }, kitLimits)
    void network.transport('b').dial('a', kitLimits)
    await clock.pass(4_999)
    expect([error, guard.count]).toEqual([undefined, 1])
    await clock.pass(1)
    expect(error).toMatchObject({ code: 'HANDSHAKE_FAILED', details: { reason: 'timeout' } })
    expect(guard.count).toBe(0)
  })

  test('handshakesMax: the oldest handshake is ended, and an honest peer is accepted', async () => {
    const network = memoryNetwork()
    const guard = new HandshakeGuard(3)
    const errors: HotspareError[] = []
    let channel: Channel | undefined
    const common = { key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits }
    await network.transport('a').listen((connection) => {
      acceptChannel(connection, { ...common, guard, identity: identityOf('alpha') }).then(
        (accepted) => {
          channel = accepted
        },
        (error) => errors.push(error),
      )
    }, kitLimits)
    const stranger = network.transport('x')
    for (let count = 0; count < 10; count++) await stranger.dial('a', kitLimits)
    await until(() => errors.length === 7)
    expect(guard.count).toBe(3)
    await dialChannel(network.transport('b'), 'a', {
      ...common,
      ...{ lane: 'control', identity: identityOf('beta') },
    })
    await until(() => channel !== undefined)
    expect(errors[7]?.details).toMatchObject({ reason: 'handshakesMax' })
  })

  test('SES-25: a handshake of the address with the most open handshakes is ended first', () => {
    const guard = new HandshakeGuard(4)
    const ended: string[] = []
    const enter = (remote: string): (() => void) => guard.enter(remote, () => ended.push(remote))
    enter('10.0.0.9:1')
    const leave = enter('10.0.0.7:1')
    for (let port = 2; port < 8; port++) enter(`10.0.0.9:${port}`)
    expect(ended).toEqual([1, 2, 3, 4].map((port) => `10.0.0.9:${port}`))
    expect(guard.count).toBe(4)
    leave()
    leave()
    expect(guard.count).toBe(3)
    enter('[fd00::1]:1')
    enter('[fd00::2]:1')
    expect(ended.at(-1)).toBe('10.0.0.9:5')
    // All addresses have the same number, so the oldest handshake of all is ended.
    const few = new HandshakeGuard(2)
    const last: string[] = []
    for (const remote of ['a:1', 'b:1', 'c:1']) few.enter(remote, () => last.push(remote))
    expect(last).toEqual(['a:1'])
  })

  test('an aborted dial ends the handshake', async () => {
    const controller = new AbortController()
    const result = await meet({ signal: controller.signal }, {}, (frame, from, index) => {
      if (from === 'dialer' && index === 1) controller.abort()
      return [frame]
    })
    expect(result.dialerError).toMatchObject({ code: 'ABORTED' })
    expect(result.listenerError).toBeDefined()
  })
})

describe('refusals between nodes that know the secret', () => {
  const reasonsOf = (result: Result) => [
    result.dialerError?.details.reason,
    result.listenerError?.details.reason,
  ]

  test('a node that dialled itself, and one with the id of another node, are refused', async () => {
    const self = await meet({ identity: { nodeId: 'alpha', bootId: 'alpha-boot' } }, {})
    expect(reasonsOf(self)).toEqual(['self', 'self'])
    const twin = await meet({ identity: { nodeId: 'alpha', bootId: 'other' } }, {})
    expect(reasonsOf(twin)).toEqual(['duplicateId', 'duplicateId'])
    expect(twin.dialerError?.code).toBe('HANDSHAKE_FAILED')
  })

  test('without a secret, another cluster id is the reason', async () => {
    const none = { key: key(undefined) }
    const result = await meet({ ...none, identity: { cluster: 'elsewhere' } }, none)
    expect(reasonsOf(result)).toEqual(['cluster', 'cluster'])
  })

  test('a peer that takes no frame of the least size', async () => {
    for (const frameBytesMax of [64 * 1024, frameBytesMin - 1]) {
      const result = await meet({ limits: { ...kitLimits, frameBytesMax } }, {})
      expect(reasonsOf(result)).toEqual(['frameBytesMax', 'frameBytesMax'])
    }
  })

  test('either end may refuse, and both get the reason', async () => {
    const refusal = { reason: 'unknownMember', message: 'beta is not listed' }
    const byListener = await meet({}, { admit: () => refusal })
    expect(reasonsOf(byListener)).toEqual(['unknownMember', 'unknownMember'])
    expect(byListener.dialerError?.message).toContain('beta is not listed')
    expect(byListener.dialerError?.details.refusedBy).toBe('peer')
    const byDialer = await meet({ admit: () => refusal }, {})
    expect(reasonsOf(byDialer)).toEqual(['unknownMember', 'unknownMember'])
    expect(byDialer.listenerError?.details.refusedBy).toBe('peer')
  })
})

describe('GEN-6: versions', () => {
  test('the highest common version is used, for a rolling upgrade in either order', async () => {
    const newer = { versions: { min: 1, max: 2 } }
    expect((await meet(newer, {})).dialer?.version).toBe(1)
    expect((await meet({}, newer)).listener?.version).toBe(1)
    expect((await meet(newer, newer)).dialer?.version).toBe(2)
  })

  test('a missing common version is reported on both ends', async () => {
    for (const [ours, theirs] of [
      [{ min: 2, max: 3 }, undefined],
      [undefined, { min: 2, max: 3 }],
    ]) {
      const result = await meet(
        ours === undefined ? {} : { versions: ours },
        theirs === undefined ? {} : { versions: theirs },
      )
      for (const error of [result.dialerError, result.listenerError]) {
        expect(error?.code).toBe('HANDSHAKE_VERSION')
        expect(error?.message).toMatch(/1 to 1/)
        expect(error?.message).toMatch(/2 to 3/)
      }
    }
  })
})
