/**
 * What a node of the next version may say to this one, in each lane: types, fields and words that
 * are not known here. They are ignored, the connection stays, and a request that somebody waits for
 * is answered with an error.
 */

import { describe, expect, it, vi } from 'vitest'
import { SyncPolicy, synced } from '../../src/index.js'
import type { Connection, Transport } from '../../src/interfaces/transport.js'
import { coreMessageOf } from '../../src/node/peers/core-messages.js'
import { type Channel, dialChannel } from '../../src/protocol/channel.js'
import { encode } from '../../src/protocol/codec.js'
import type { Lane } from '../../src/protocol/identity.js'
import { answerParts, readAnswer } from '../../src/replication/bulk/messages.js'
import { frameTypes } from '../../src/replication/frame-types.js'
import { acknowledgeParts } from '../../src/replication/stream/messages.js'
import { kitLimits } from '../../src/testing/transport-kit-support.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { key } from '../adapters/meet.js'
import { identityOf, realClock, realRandom } from '../adapters/support.js'
import { settled } from '../core/clusters.js'
import { addressOf, nodesOn } from './nodes.js'

const network = memoryNetwork({ secure: true })
const nodeOf = nodesOn(network)
const later = { inventedLater: true, more: [1, { deep: 'x' }] }

/** What a lane says, for a program that dialled it. */
interface Lines {
  readonly channel: Channel
  readonly messages: Record<string, unknown>[]
  readonly frames: { readonly type: number; readonly payload: Uint8Array }[]
}

/** A lane of a beta that a later version made. */
async function laneOf(lane: Lane, fingerprints: Record<string, string> = {}): Promise<Lines> {
  const channel = await dialChannel(network.transport(addressOf('beta')), addressOf('alpha'), {
    ...{ key: key(undefined), clock: realClock, random: realRandom, limits: kitLimits, lane },
    identity: { ...identityOf('beta'), features: ['inventedLater'], fingerprints },
  })
  const lines: Lines = { channel, messages: [], frames: [] }
  channel.onFrame((type, payload) => void lines.frames.push({ type, payload }))
  channel.onMessage((message) => void lines.messages.push(message as Record<string, unknown>))
  return lines
}

function said(type: string, body: unknown, more = {}) {
  const from = { origin: 'beta', destination: 'alpha' }
  return { v: 1, cluster: 'test', id: 'x-y', ...from, hops: 0, type, body, ...more }
}

function viewOfBeta() {
  const { core } = settled(2).node('n1')
  return { ...core.peers.get('n2')?.view, bootId: 'boot-beta', activeTerm: undefined }
}

describe('messages of the next version', () => {
  it('are ignored by the core: types, enumeration values and fields', () => {
    const view = viewOfBeta()
    expect(coreMessageOf({ type: 'announce', healId: 'x' })).toBeUndefined()
    expect(coreMessageOf({ type: 'heartbeat', view: { ...view, role: 'learner' } })).toBeUndefined()
    expect(
      coreMessageOf({
        type: 'promise',
        term: { epoch: 1, nodeId: 'n', bootId: 'b' },
        refused: 'x',
        view,
      }),
    ).toBeUndefined()
    const copy = { ...view.copy, ...later }
    const message = coreMessageOf({
      type: 'heartbeat',
      view: { ...view, copy, ...later },
      ...later,
    })
    expect(message).toMatchObject({ type: 'heartbeat' })
    expect(message).not.toHaveProperty('inventedLater')
  })

  it('leave the control lane open', async () => {
    const alpha = nodeOf('alpha')
    await alpha.start()
    const { channel, messages } = await laneOf('control')
    channel.sendMessage(said('core', { type: 'announce', ...later }))
    channel.sendMessage(said('inventedLater', later, later))
    channel.sendMessage({ v: 2, ...later })
    channel.send(200, [new Uint8Array(10)])
    channel.sendMessage(said('forward', { id: 'w-1', intent: { kind: 'invented' }, ...later }))
    messages.length = 0
    channel.sendMessage(said('core', { type: 'query', queryId: 7, view: viewOfBeta(), ...later }))
    await vi.waitFor(() => {
      const bodies = messages.map(({ body }) => body)
      expect(bodies).toContainEqual(expect.objectContaining({ type: 'answer', queryId: 7 }))
      // A write of a kind that is not known is answered: somebody waits for it.
      expect(bodies).toContainEqual(
        expect.objectContaining({ id: 'w-1', error: expect.anything() }),
      )
    })
    expect(channel.closed).toBe(false)
    channel.destroy()
  })

  it('leave the stream lane open on the side of the source', async () => {
    const alpha = nodeOf('alpha')
    await alpha.start()
    await alpha.files.write('files/a', new Uint8Array(10))
    const { term } = alpha.status()
    const lane = await laneOf('stream', fingerprintsOf(alpha))
    const { channel, messages, frames } = lane
    const extent = { history: [], seq: 0, ...later }
    channel.sendMessage({ type: 'inventedLater', ...later })
    channel.send(200, [new Uint8Array(10)])
    channel.sendMessage({
      ...{ type: 'follow', term, extent, complete: true, repair: false },
      ...later,
    })
    await vi.waitFor(() =>
      expect(messages).toContainEqual(expect.objectContaining({ type: 'plan' })),
    )
    channel.sendMessage({ type: 'ready', ...later })
    await vi.waitFor(() => expect(frames.length).toBeGreaterThan(0))
    channel.sendMessage({ type: 'progress', progress: { ...progress, phase: 'inventedLater' } })
    channel.send(frameTypes.acknowledge, [...acknowledgeParts(1, 1), new Uint8Array(8)])
    await vi.waitFor(() => expect(alpha.status().peers[0]?.lag?.changes).toBe(0))
    expect(channel.closed).toBe(false)
    channel.destroy()
  })

  it('leave the bulk lane open, and get an error when an answer is owed', async () => {
    const alpha = nodeOf('alpha')
    await alpha.start()
    await alpha.files.write('files/a', new Uint8Array(10))
    const { channel, frames } = await laneOf('bulk', fingerprintsOf(alpha))
    channel.send(200, [new Uint8Array(10)])
    channel.sendMessage({ id: 1, op: 'inventedLater', ...later })
    channel.sendMessage({ id: 2, op: 'read', requests: [['files/a', 0, 10, 'later']], ...later })
    await vi.waitFor(() => expect(frames).toHaveLength(2))
    const [unknown, read] = frames.map(({ payload }) => readAnswer(payload))
    expect(unknown?.head).toMatchObject({ id: 1, error: { code: 'PROTOCOL_VIOLATION' } })
    expect(unknown?.head.error?.message).toContain('inventedLater')
    expect(read?.bytes).toHaveLength(10)
    expect(channel.closed).toBe(false)
    channel.destroy()
  })

  it('leave all lanes of a joining node open, which is restored and gets in sync', async () => {
    const alpha = nodeOf('alpha')
    await alpha.start()
    for (let at = 0; at < 20; at += 1) await alpha.files.write(`files/${at}`, new Uint8Array(100))
    const lanes = { count: 0 }
    const beta = nodeOf('beta', {
      transport: hearingMore(network.transport(addressOf('beta')), lanes),
    })
    const told: unknown[] = []
    beta.on('error', (error) => void told.push(error))
    beta.on('refused', (refused) => void told.push(refused))
    await beta.start()
    await beta.inSync()
    await alpha.files.write('files/last', new Uint8Array(7))
    await vi.waitFor(async () => expect(await beta.files.read('files/last')).toHaveLength(7))
    // Control, stream, and bulk.
    expect(lanes.count).toBe(3)
    expect(told).toEqual([])
  })
})

const progress = { phase: 'files', files: 0, filesTotal: 0, bytes: 0, bytesTotal: 0 }

function fingerprintsOf(node: { readonly id: string }): Record<string, string> {
  expect(node.id).toBe('alpha')
  return new SyncPolicy({ files: synced('files/**') }).fingerprints()
}

/**
 * On each connection that is dialled, each frame of the other end comes with two of a later version
 * before it.
 */
function hearingMore(transport: Transport, lanes: { count: number }): Transport {
  return {
    ...transport,
    dial: async (address, limits, signal) =>
      withMore(await transport.dial(address, limits, signal), lanes),
  }
}

/** What an answer says of each stretch that was read has one word more. */
function withLongerRows(frame: Uint8Array): Uint8Array {
  if (frame[0] !== frameTypes.answer) return frame
  const { head, bytes } = readAnswer(frame.subarray(1))
  const { results, ...body } = (head.body ?? {}) as { results?: (unknown[] | null)[] }
  if (results === undefined) return frame
  const longer = results.map((row) => row && [...row, ...(row.length < 6 ? [null] : []), 'later'])
  const parts = answerParts({ ...head, body: { ...body, results: longer } }, [bytes])
  return Buffer.concat([Uint8Array.of(frameTypes.answer), ...parts])
}

function withMore(connection: Connection, lanes: { count: number }): Connection {
  const unknown = said('inventedLater', later, { origin: 'alpha', destination: 'beta', ...later })
  const message = Buffer.concat([Uint8Array.of(0), encode(unknown)])
  let receivers = 0
  const onFrame: Connection['onFrame'] = (receive, lend) => {
    receivers += 1
    // The first one is that of the handshake.
    if (receivers === 2) lanes.count += 1
    const hears = (frame: Uint8Array): void => {
      receive(Uint8Array.of(200, 1, 2, 3))
      receive(message)
      receive(withLongerRows(frame))
    }
    connection.onFrame(receivers > 1 ? hears : receive, lend)
  }
  return new Proxy(connection, {
    get: (target, name) => {
      if (name === 'onFrame') return onFrame
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
