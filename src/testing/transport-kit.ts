/** The conformance kit for transport adapters: every sentence of the contract, as a test. */

import { strict as assert } from 'node:assert'
import { HotspareError } from '../errors.js'
import type { CloseCause, Connection, Listener, Transport } from '../interfaces/transport.js'
import {
  type KitPair,
  kitLimits,
  linked,
  received,
  tidied,
  until,
} from './transport-kit-support.js'

/** What {@link transportKit} tests, and with which runner. */
export interface TransportKitOptions {
  /** The name of the transport, with which the titles begin. */
  readonly name: string
  /** Makes a fresh pair; called once for each test. */
  readonly create: () => Promise<KitPair>
  /** Registers a test: `test` of vitest, `node:test`, mocha and the like. */
  readonly test: (title: string, run: () => Promise<void>) => void
}

export type { KitPair }

type Check = (pair: KitPair) => Promise<void>

/**
 * Tests that a transport keeps the contract of the `Transport` interface, under any test runner.
 *
 * @example
 * ```ts
 * import { test } from 'node:test'
 * import { transportKit } from 'hotspare/testing'
 * import { memoryNetwork } from 'hotspare/transport/memory'
 *
 * transportKit({
 *   name: 'memory',
 *   test: (title, run) => void test(title, run),
 *   create: async () => {
 *     const network = memoryNetwork()
 *     return { a: network.transport('a:1'), b: network.transport('b:1'), cleanup: async () => {} }
 *   },
 * })
 * ```
 */
export function transportKit(options: TransportKitOptions): void {
  for (const [title, check] of Object.entries(checks)) {
    options.test(`${options.name}: ${title}`, async () => {
      const created = await options.create()
      const { pair, end } = tidied(created)
      try {
        await check(pair)
      } finally {
        // Some runners wait until everything is closed.
        await end()
        await created.cleanup()
      }
    })
  }
}

function bytes(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 7) & 0xff)
}

async function refusedWith(code: HotspareError['code'], call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => HotspareError.is(error, code) || assert.fail(String(error)))
}

const checks: Record<string, Check> = {
  'frames arrive whole, in order, in both directions': async (pair) => {
    const { near, far } = await linked(pair)
    const atFar = received(far)
    const atNear = received(near)
    const sizes = [0, 1, 3, 4, 5, 100, 2047, 2048, 2049, 65_535, 65_536, 65_537, 300_000]
    for (const size of sizes) {
      near.send([bytes(size, size)])
      far.send([bytes(size, size + 1)])
    }
    await until(() => atFar.length === sizes.length && atNear.length === sizes.length)
    for (const [index, size] of sizes.entries()) {
      assert.deepEqual(Uint8Array.from(atFar[index]!), bytes(size, size))
      assert.deepEqual(Uint8Array.from(atNear[index]!), bytes(size, size + 1))
    }
  },

  'a frame of many parts arrives as one': async (pair) => {
    const { near, far } = await linked(pair)
    const frames = received(far)
    const parts = [0, 1, 5000, 0, 3, 70_000, 2, 9].map((size, index) => bytes(size, index))
    near.send(parts)
    near.send([])
    await until(() => frames.length === 2)
    assert.deepEqual(Buffer.from(frames[0]!), Buffer.concat(parts))
    assert.equal(frames[1]?.length, 0)
  },

  'ten thousand small frames stay in order and may be kept': async (pair) => {
    const { near, far } = await linked(pair)
    const frames = received(far)
    const count = 10_000
    for (let index = 0; index < count; index++) {
      if (!near.send([Uint8Array.of(index & 0xff, index >> 8), bytes(index % 50, index)])) {
        await near.drained()
      }
    }
    await until(() => frames.length === count)
    for (const [index, frame] of frames.entries()) {
      assert.equal(frame[0]! + frame[1]! * 256, index)
      assert.deepEqual(Uint8Array.from(frame.subarray(2)), bytes(index % 50, index))
    }
  },

  'frames that arrive before onFrame() is called are delivered after it': async (pair) => {
    const { near, far } = await linked(pair)
    for (let index = 0; index < 10; index++) near.send([bytes(1000, index)])
    const echo = received(near)
    far.send([bytes(1, 1)])
    await until(() => echo.length === 1)
    const frames = received(far)
    assert.equal(frames.length, 0, 'delivered within onFrame()')
    await until(() => frames.length === 10)
  },

  'lent frames are intact during the call, and sent parts may be changed once taken() was called':
    async (pair) => {
      const { near, far } = await linked(pair)
      const count = 200
      let good = 0
      let taken = 0
      far.onFrame((frame) => {
        const [first] = frame
        if (frame.length === 20_000 && frame.every((byte) => byte === first)) good += 1
      }, true)
      for (let index = 0; index < count; index++) {
        const part = new Uint8Array(20_000).fill(index)
        const room = near.send([part], () => {
          part.fill(index + 1)
          taken += 1
        })
        if (!room) await near.drained()
      }
      await until(() => good === count)
      assert.ok(taken <= count)
    },

  'a frame of the maximum length passes, and send() refuses a longer one': async (pair) => {
    const { near, far } = await linked(pair)
    const frames = received(far)
    near.send([bytes(kitLimits.frameBytesMax, 1)])
    await until(() => frames.length === 1)
    assert.equal(frames[0]?.length, kitLimits.frameBytesMax)
    assert.throws(
      () => near.send([bytes(kitLimits.frameBytesMax, 1), bytes(1, 1)]),
      (error) => HotspareError.is(error, 'FRAME_TOO_LARGE'),
    )
  },

  'a frame beyond the limit of the receiver ends the connection': async (pair) => {
    const { near, far } = await linked(pair)
    const frames = received(far)
    const causes: CloseCause[] = []
    let nearEnded = false
    far.onClose((cause) => causes.push(cause))
    near.onClose(() => {
      nearEnded = true
    })
    far.limitFrames(10)
    near.send([bytes(10, 1)])
    near.send([bytes(11, 1)])
    await until(() => causes.length > 0 && nearEnded)
    assert.deepEqual(causes, ['protocol'])
    assert.equal(frames.length, 1)
  },

  'pause() stops delivery, and the backpressure reaches the sender': async (pair) => {
    const { near, far } = await linked(pair)
    const frames = received(far)
    far.pause()
    let sent = 0
    const chunk = bytes(100_000, 1)
    while (near.send([chunk])) {
      sent += 1
      assert.ok(sent < 1000, 'send() never says that the queue is full')
      await new Promise((resolve) => setImmediate(resolve))
    }
    sent += 1
    assert.ok(near.queuedBytes > kitLimits.sendBytesHigh)
    let drained = false
    const waiting = near.drained().then(() => {
      drained = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(drained, false)
    assert.equal(frames.length, 0)
    far.resume()
    assert.equal(frames.length, 0, 'delivered within resume()')
    await waiting
    assert.ok(near.queuedBytes <= kitLimits.sendBytesHigh)
    await until(() => frames.length === sent)
  },

  'a receiver that pauses in each call gets one frame at a time': async (pair) => {
    const { near, far } = await linked(pair)
    const frames: number[] = []
    far.onFrame((frame) => {
      frames.push(frame[0]!)
      far.pause()
    })
    for (let index = 0; index < 5; index++) near.send([Uint8Array.of(index)])
    for (let count = 1; count <= 5; count++) {
      await until(() => frames.length === count)
      far.resume()
    }
    assert.deepEqual(frames, [0, 1, 2, 3, 4])
  },

  'close() delivers what is queued, and both ends see an orderly end exactly once': async (
    pair,
  ) => {
    const { near, far } = await linked(pair)
    const log: string[] = []
    const frames = received(far, () => log.push('frame'))
    far.onClose((cause) => log.push(cause))
    let nearCause: CloseCause | undefined
    near.onClose((cause) => {
      nearCause = cause
    })
    for (let index = 0; index < 20; index++) near.send([bytes(10_000, index)])
    near.close()
    assert.equal(nearCause, undefined, 'called within close()')
    near.close()
    await until(() => log.length === 21 && nearCause !== undefined)
    assert.equal(frames.length, 20)
    assert.equal(log[20], 'closed')
    assert.equal(nearCause, 'closed')
  },

  'close() loses nothing when neither end was reading': async (pair) => {
    const { near, far } = await linked(pair)
    far.pause()
    near.pause()
    while (near.send([bytes(100_000, 1)])) await new Promise((resolve) => setImmediate(resolve))
    far.send([bytes(50, 7)])
    const log: string[] = []
    let farEnded = false
    far.onClose(() => {
      farEnded = true
    })
    far.close()
    await until(() => farEnded)
    const frames = received(near, () => log.push('frame'))
    near.onClose((cause) => log.push(cause))
    near.resume()
    await until(() => log.length === 2)
    assert.deepEqual(log, ['frame', 'closed'])
    assert.deepEqual(Uint8Array.from(frames[0]!), bytes(50, 7))
  },

  'destroy() ends the connection at once, and the peer sees a reset': async (pair) => {
    const { near, far } = await linked(pair)
    received(far)
    const causes: CloseCause[] = []
    far.onClose((cause) => causes.push(cause))
    let nearCause: CloseCause | undefined
    near.onClose((cause) => {
      nearCause = cause
    })
    near.destroy()
    assert.equal(nearCause, undefined, 'called within destroy()')
    await until(() => causes.length === 1 && nearCause !== undefined)
    assert.deepEqual(causes, ['reset'])
    assert.equal(nearCause, 'closed')
  },

  'an ended connection drops frames, resolves drained(), and calls onClose() listeners added later':
    async (pair) => {
      const { near, far } = await linked(pair)
      far.pause()
      while (near.send([bytes(100_000, 1)])) await new Promise((resolve) => setImmediate(resolve))
      const waiting = near.drained()
      near.destroy()
      await waiting
      near.send([bytes(1, 1)])
      await near.drained()
      let late: CloseCause | undefined
      near.onClose((cause) => {
        late = cause
      })
      assert.equal(late, undefined, 'called within onClose()')
      await until(() => late !== undefined)
    },

  'a closed listener refuses dials, and open connections stay': async (pair) => {
    const { near, far, listener } = await linked(pair)
    await listener.close()
    await refusedWith('PEER_REFUSED', pair.b.dial(listener.address, kitLimits))
    const frames = received(far)
    near.send([bytes(5, 5)])
    await until(() => frames.length === 1)
  },

  'an address can be listened on once, and again after close()': async (pair) => {
    const first = await pair.a.listen(() => {}, kitLimits)
    const again = pair.listenAgain?.(first.address) ?? pair.a
    await refusedWith(
      'ADDRESS_IN_USE',
      again.listen(() => {}, kitLimits),
    )
    await first.close()
    const second = await again.listen(() => {}, kitLimits)
    await second.close()
  },

  'connections beyond connectionsMax are ended at once': async (pair) => {
    const accepted: Connection[] = []
    const limits = { ...kitLimits, connectionsMax: 2 }
    const listener = await pair.a.listen((connection) => accepted.push(connection), limits)
    const dialed: Connection[] = []
    for (let index = 0; index < 2; index++) {
      dialed.push(await pair.b.dial(listener.address, kitLimits))
    }
    await until(() => accepted.length === 2)
    await assertShut(pair.b, listener)
    assert.equal(accepted.length, 2)
    for (const connection of dialed) connection.destroy()
    await listener.close()
  },

  'an aborted dial rejects with ABORTED': async (pair) => {
    const listener = await pair.a.listen(() => {}, kitLimits)
    const signal = AbortSignal.abort(new Error('not needed any more'))
    await refusedWith('ABORTED', pair.b.dial(listener.address, kitLimits, signal))
    const controller = new AbortController()
    const dialing = pair.b.dial(listener.address, kitLimits, controller.signal)
    controller.abort()
    await refusedWith('ABORTED', dialing)
    await listener.close()
  },
}

/** Asserts that a dial fails, or that its connection ends without being used. */
async function assertShut(transport: Transport, listener: Listener): Promise<void> {
  const extra = await transport.dial(listener.address, kitLimits).catch((error: unknown) => {
    assert.ok(HotspareError.is(error, 'PEER_UNREACHABLE'), String(error))
    return undefined
  })
  if (extra === undefined) return
  let ended = false
  extra.onFrame(() => {})
  extra.onClose(() => {
    ended = true
  })
  await until(() => ended)
}
