import { describe, expect, it, vi } from 'vitest'
import type { CoreMessage, PeerView } from '../../src/core/state/messages.js'
import { type History, historyTermsMax } from '../../src/history/position.js'
import { ControlLane, historyOnce, sendBytesHigh } from '../../src/node/peers/control-lane.js'
import type { Channel } from '../../src/protocol/channel.js'
import { decode, encode } from '../../src/protocol/codec.js'
import { asEnvelope } from '../../src/protocol/envelope.js'
import { MemoryConnection } from '../../src/transport/memory/connection.js'
import { settled as coreWorld } from '../core/clusters.js'
import { quit, settled } from '../sim/support.js'

const parts = { cluster: 'test', id: 'a-1', origin: 'a', destination: 'b', type: 'core' }

/** A channel whose other end reads nothing, or, for what was sent, everything later. */
function silentChannel(features: readonly string[]) {
  const sent: Uint8Array[] = []
  const channel = {
    identity: { bootId: 'b', features },
    get queuedBytes() {
      return sent.reduce((sum, one) => sum + one.length, 0)
    },
    sendMessage: (message: unknown) => sent.push(encode(message)),
  }
  return { lane: new ControlLane(channel as unknown as Channel), channel, sent }
}

function history(terms: number): History {
  return Array.from({ length: terms }, (_, at) => ({
    ...{ epoch: at + 1, nodeId: 'n'.repeat(64), bootId: '0123456789abcdef', firstSeq: at + 1 },
  }))
}

function heartbeat(terms: History): CoreMessage {
  const { core } = coreWorld(2).node('n1')
  const view = core.peers.get('n2')?.view as PeerView
  return {
    type: 'heartbeat',
    view: { ...view, copy: { ...view.copy, history: terms, seq: 5_000 } },
  }
}

describe('what is queued for a peer that does not read', () => {
  it('is bounded, for any length of the history and for peers that remember none', () => {
    for (const features of [[], [historyOnce]]) {
      const { lane, channel, sent } = silentChannel(features)
      const message = heartbeat(history(historyTermsMax))
      let dropped = 0
      for (let at = 0; at < 10_000; at += 1) if (!lane.sendCore(parts, message)) dropped += 1
      expect(dropped).toBeGreaterThan(0)
      const longest = Math.max(...sent.map((one) => one.length))
      expect(channel.queuedBytes).toBeLessThan(sendBytesHigh + longest)
    }
  })

  it('contains a history once, and again when it has changed; it arrives unchanged', () => {
    const { lane, sent } = silentChannel([historyOnce])
    const { lane: there } = silentChannel([historyOnce])
    const [one, two] = [history(300), history(301)]
    for (const each of [one, one, two, two, one]) lane.sendCore(parts, heartbeat(each))
    const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = sent.map(
      (each) => each.length,
    )
    expect([second, fourth].every((bytes) => bytes < 1_000)).toBe(true)
    expect([first, third, fifth].every((bytes) => bytes > 10_000)).toBe(true)
    const heard = sent.map((bytes) => there.readCore(asEnvelope(decode(bytes))))
    expect(heard.map((each) => each && 'view' in each && each.view.copy.history.length)).toEqual([
      300, 300, 301, 301, 300,
    ])
  })

  it('remembers the history of a message that it does not understand', () => {
    const { lane: there } = silentChannel([historyOnce])
    const said = heartbeat(history(3)) as { view: PeerView }
    const invented = { type: 'inventedLater', view: said.view }
    expect(there.readCore({ ...asEnvelope({ v: 1, hops: 0, ...parts, body: invented }) })).toBe(
      undefined,
    )
    const copy = { ...said.view.copy, history: undefined }
    const next = { type: 'heartbeat', view: { ...said.view, copy } }
    const read = there.readCore(asEnvelope({ v: 1, hops: 0, ...parts, body: next }))
    expect(read).toMatchObject({ view: { copy: { history: history(3) } } })
  })

  it('stays small while the peer is paused for an hour', { timeout: 60_000 }, async () => {
    let most = 0
    const send = MemoryConnection.prototype.send
    const spy = vi.spyOn(MemoryConnection.prototype, 'send').mockImplementation(function (
      this: MemoryConnection,
      ...given
    ) {
      const room = send.apply(this, given)
      most = Math.max(most, this.queuedBytes)
      return room
    })
    const world = await settled({ nodes: 2 })
    most = 0
    world.pauses.freeze('n2', 3_600_000)
    await world.run(3_600_000)
    spy.mockRestore()
    expect(most).toBeGreaterThan(10_000)
    expect(most).toBeLessThan(sendBytesHigh + 4_096)
    quit(world)
  })
})
