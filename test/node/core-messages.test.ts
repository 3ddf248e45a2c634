import { describe, expect, it } from 'vitest'
import { leftEmptyMax } from '../../src/core/standing/left-empty.js'
import type { CoreMessage } from '../../src/core/state/messages.js'
import type { CoreInput } from '../../src/core/state/types.js'
import { createCore, step } from '../../src/core/step.js'
import { epochMax, historyTermsMax } from '../../src/history/position.js'
import { coreMessageOf } from '../../src/node/peers/core-messages.js'
import { FactsLog } from '../../src/node/roles/hard-state-log.js'
import { encode } from '../../src/protocol/codec.js'
import { envelope } from '../../src/protocol/envelope.js'
import { frameBytesMin } from '../../src/protocol/identity.js'
import { memory } from '../../src/storage/memory.js'
import { settled } from '../core/clusters.js'

const bootId = '0123456789abcdef'
const idOf = (at: number): string => `${at}`.padEnd(64, '-')

/** The first heartbeat of a node with the longest history and the longest ids that there can be. */
function longestHeartbeat(): CoreMessage {
  const ids = Array.from({ length: 64 }, (_, at) => idOf(at))
  const history = Array.from({ length: historyTermsMax }, (_, at) => {
    const epoch = epochMax - historyTermsMax + at
    return { epoch, nodeId: idOf(at % 64), bootId, firstSeq: 2 ** 50 + at }
  })
  const core = createCore({
    ...{ nodeId: idOf(0), bootId, cluster: 'c' },
    members: ids.map((id) => ({ id, promotable: true })),
    ...{ heartbeatMs: 200, deadMs: 2000, discoveryMs: 1000, startupWaitMs: 10_000 },
    ...{ degradeAfterMs: 2000, switchoverMs: 5000 },
    ...{ onMissingPeer: 'hold', order: 'freshest', allowStale: false },
  })
  const seq = 2 ** 51
  const facts = { complete: true, inSync: ids, inSyncKnown: false, ineligible: undefined }
  const copy = { history, seq, durableSeq: seq, firstSeq: 1, ...facts }
  const durable = { promised: undefined, known: undefined, lastStop: 'never' } as const
  const time = { nowMs: 1, wallMs: 1 }
  step(core, { ...time, type: 'start', copy, durable } as CoreInput)
  core.holdsFor = ids
  core.durable = { ...core.durable, leftEmpty: history.slice(-leftEmptyMax) }
  for (const peer of ids.slice(2))
    step(core, { ...time, type: 'linkUp', peer, bootId } as CoreInput)
  const effects = step(core, { ...time, type: 'linkUp', peer: idOf(1), bootId } as CoreInput)
  const sent = effects.find((effect) => effect.type === 'send')
  if (sent?.type !== 'send') throw new Error('nothing was sent')
  return sent.message
}

describe('messages to the core', () => {
  it('the longest of them fit into the smallest frame', () => {
    const body = longestHeartbeat()
    const names = { cluster: 'c', origin: idOf(0), destination: idOf(1) }
    const message = envelope({ ...names, id: `${bootId}-1`, type: 'core', body })
    expect(encode(message).length).toBeLessThan(0.9 * frameBytesMin)
    expect(coreMessageOf(body)).toMatchObject({ view: { copy: { seq: 2 ** 51 } } })
  })

  it('of a version that reports less leave out what it does not know', () => {
    const view = settled(2).node('n1').core.peers.get('n2')?.view
    const { fetching: _, holdsFor: __, ...before } = { ...view, fetching: 7, holdsFor: ['n1'] }
    const { forgot: ___, ...copy } = { ...view?.copy, forgot: true }
    const read = coreMessageOf({ type: 'heartbeat', view: { ...before, copy } })
    if (read?.type !== 'heartbeat') throw new Error('another message')
    expect(read.view.fetching).toBeUndefined()
    expect(read.view.holdsFor).toBeUndefined()
    expect(read.view.leftEmpty).toBeUndefined()
    expect(read.view.copy.forgot).toBe(false)
  })

  it('contain the members that a node holds for, the progress of its fetch, and what it may have forgotten or left', () => {
    const view = settled(2).node('n1').core.peers.get('n2')?.view
    const copy = { ...view?.copy, forgot: true }
    const leftEmpty = [{ epoch: 3, nodeId: 'n1', bootId }]
    const more = { ...view, fetching: 7, holdsFor: ['n1'], leftEmpty, copy }
    expect(coreMessageOf({ type: 'heartbeat', view: more })).toMatchObject({
      view: { fetching: 7, holdsFor: ['n1'], leftEmpty, copy: { forgot: true } },
    })
    const many = Array.from({ length: leftEmptyMax + 1 }, () => leftEmpty[0])
    expect(() => coreMessageOf({ type: 'heartbeat', view: { ...view, leftEmpty: many } })).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    )
  })

  it('with an epoch that is no safe integer are refused', () => {
    const view = settled(2).node('n1').core.peers.get('n2')?.view
    for (const epoch of [epochMax + 1, Number.MAX_SAFE_INTEGER, 1.5, -1]) {
      const promised = { epoch, nodeId: 'n2', bootId }
      const message = { type: 'heartbeat', view: { ...view, promised } }
      expect(() => coreMessageOf(message)).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
      )
    }
  })

  it('with the highest possible epoch leave a node that can start again', async () => {
    const world = settled(2)
    const { core } = world.node('n1')
    const promised = { epoch: epochMax, nodeId: 'n2', bootId }
    const view = { ...core.peers.get('n2')?.view, promised }
    const message = coreMessageOf({ type: 'heartbeat', view }) as CoreMessage
    world.input(world.node('n1'), { type: 'message', from: 'n2', message })
    world.run(100)
    expect(core.durable.promised?.epoch).toBeGreaterThan(epochMax)
    const storage = await memory().open({ nodeId: 'n1', bootId })
    const owner = { cluster: 'test', nodeId: 'n1' }
    const log = await FactsLog.open(storage.logs, owner)
    await log.write(core.durable, false)
    await log.close()
    expect((await FactsLog.open(storage.logs, owner)).facts).toEqual(core.durable)
  })
})
