import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { HotspareError } from '../../src/errors.js'
import { fromPeer } from '../../src/protocol/fields.js'
import { FrameCheck } from '../../src/protocol/frame-check.js'
import type { HandshakeKey } from '../../src/protocol/keys.js'
import { until } from '../../src/testing/transport-kit-support.js'
import { key, meet, type Tamper } from './meet.js'

describe('frames after the handshake', () => {
  const cases = [
    ['mac', key('secret'), 'control'],
    ['crc without a secret', key(undefined), 'control'],
    ['crc for bulk', key('secret'), 'bulk'],
  ] as const

  test.each(cases)(
    '%s: any flipped bit is detected',
    async (_, side, lane) => {
      for (const size of [0, 40, 3000]) {
        for (let byte = 0; byte < size + 1 + 4; byte += 1 + Math.floor(size / 50)) {
          const error = await firstError(
            side,
            lane,
            (frame) => {
              const changed = Uint8Array.from(frame)
              changed[byte]! ^= 1 << (byte % 8)
              return [changed]
            },
            size,
          )
          expect(error?.code, `size ${size}, byte ${byte}`).toMatch(/FRAME_CORRUPT/)
        }
      }
    },
    60_000,
  )

  test.each(cases)('%s: a repeated, dropped or cut frame is detected', async (_, side, lane) => {
    const tampers: Tamper[] = [
      (frame) => [frame, frame],
      () => [],
      (frame) => [frame.subarray(0, frame.length - 1)],
      (frame) => [Buffer.concat([frame, Uint8Array.of(0)])],
      () => [new Uint8Array(0)],
    ]
    for (const tamper of tampers) {
      expect((await firstError(side, lane, tamper, 30))?.code).toBe('FRAME_CORRUPT')
    }
  })

  /**
   * Tampers with the first frame of the dialer after the handshake, sends another frame, and
   * answers the error.
   */
  async function firstError(
    side: HandshakeKey,
    lane: 'control' | 'bulk',
    tamper: Tamper,
    size: number,
  ): Promise<HotspareError | undefined> {
    const own = { key: side, lane, bulkIntegrity: 'crc' as const }
    const { dialer, listener } = await meet(own, own, (frame, from, index) =>
      from === 'dialer' && index === 3 ? tamper(frame, from, index) : [frame],
    )
    let error: HotspareError | undefined
    let ended = false
    listener?.onFrame(() => {})
    listener?.onMessage(() => {})
    listener?.onClose((_cause, reason) => {
      error = reason
      ended = true
    })
    dialer?.send(9, [new Uint8Array(size)])
    dialer?.send(9, [new Uint8Array(size)])
    await until(() => ended)
    return error
  }

  test('a message that is malformed or unexpected ends the channel with the reason', async () => {
    const { dialer, listener } = await meet({}, {})
    let error: HotspareError | undefined
    listener?.onMessage(() => {})
    listener?.onClose((cause, reason) => {
      expect(cause).toBe('protocol')
      error = reason
    })
    dialer?.send(5, [Uint8Array.of(1)])
    await until(() => error !== undefined)
    expect(error?.code).toBe('PROTOCOL_VIOLATION')
    expect(listener?.closed).toBe(true)
  })
})

test('a receiver that throws a HotspareError ends the channel with it', async () => {
  const { dialer, listener } = await meet({}, {})
  let error: HotspareError | undefined
  listener?.onMessage(() => {
    throw fromPeer('a message').bad('seq', 'a whole number')
  })
  listener?.onClose((_cause, reason) => {
    error = reason
  })
  dialer?.sendMessage({ seq: 'x' })
  await until(() => error !== undefined)
  expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION', details: { field: 'seq' } })
})

test('pause() stops delivery, also when called before there is a receiver', async () => {
  const { dialer, listener } = await meet({}, {})
  const got: unknown[] = []
  listener?.pause()
  listener?.onMessage((message) => got.push(message))
  dialer?.sendMessage(1)
  const back: unknown[] = []
  dialer?.onMessage((message) => back.push(message))
  listener?.sendMessage('there')
  await until(() => back.length === 1)
  expect(got).toEqual([])
  listener?.resume()
  await until(() => got.length === 1)
})

test('a frame type is 1 to 255', async () => {
  const { dialer } = await meet({}, {})
  for (const type of [0, -1, 256, 1.5]) expect(() => dialer?.send(type, [])).toThrow(TypeError)
})

test('the checks are HMAC-SHA-256 and AES-256-GMAC over counter, type and payload', () => {
  const keys = { handshake: randomBytes(32), short: randomBytes(32), long: randomBytes(32) }
  const check = new FrameCheck(keys)
  for (const [counter, size] of [0, 1, 55, 2048, 2049, 10_000].entries()) {
    const payload = randomBytes(size)
    const parts = [payload.subarray(0, size / 3), payload.subarray(size / 3)]
    const head = Buffer.alloc(13)
    head.writeBigUInt64BE(BigInt(counter), 4)
    head[12] = 7
    const hmac = createHmac('sha256', keys.short).update(head).update(payload).digest()
    const gmac = createCipheriv('aes-256-gcm', keys.long, head.subarray(0, 12))
    gmac.setAAD(Buffer.concat([head, payload])).final()
    const expected = size > 2048 ? gmac.getAuthTag() : hmac.subarray(0, 16)
    expect(Buffer.from(check.make('mac', 7, parts, size))).toEqual(expected)
  }
})
