import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import { hashesBelow } from '../support/disks.js'
import { retryUntil, staysTrue } from '../support/wait.js'

let cluster: TestCluster

afterEach(() => cluster.end())

describe('a node that does not know the secret', () => {
  it('SES-25: is refused on both sides with an event, and gets no data', async () => {
    cluster = await TestCluster.create({ nodes: 2, startupWaitMs: 500 })
    const [active, stranger] = cluster.nodes
    if (active === undefined || stranger === undefined) throw new Error('there are two nodes')
    await cluster.start(active)
    await active.ask('write', { path: 'data/private.txt', content: 'for members only' })
    stranger.boot()
    const started = cluster.start(stranger, {
      secret: 'not the secret of the test nodes',
      startupWaitMs: 60_000,
    })
    started.catch(() => undefined)
    for (const node of cluster.nodes) {
      await retryUntil(`${node.id} to say that it refuses`, () => node.logged('refused').length > 0)
      expect(node.logged('refused')[0]).toMatchObject({ code: 'HANDSHAKE_FAILED' })
    }
    await staysTrue(
      'it is no standby',
      async () => (await stranger.status()).role === 'discovering',
      500,
    )
    expect(hashesBelow(stranger.plan.folder)).toEqual({})
    const [peer] = (await active.status()).peers
    expect(peer).toMatchObject({ heard: false, inSync: false, role: undefined })
    await active.ask('write', { path: 'data/more.txt', content: 'still served' })
  })

  it('SES-25: half handshakes without an end keep no member out', async () => {
    cluster = await TestCluster.running({ nodes: 2, handshakeMs: 5_000 })
    const [active, standby] = cluster.nodes
    if (active === undefined || standby === undefined) throw new Error('there are two nodes')
    await cluster.kill(standby)
    const port = Number(active.plan.listen.split(':').at(-1))
    let attack = true
    const hold = (): void => {
      if (!attack) return
      const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from([0])))
      socket.on('error', () => undefined)
      socket.on('close', () => setTimeout(hold, 2))
    }
    for (let count = 0; count < 500; count += 1) hold()
    try {
      await sleep(500)
      standby.boot()
      const beganMs = performance.now()
      await cluster.start(standby)
      expect(performance.now() - beganMs).toBeLessThan(5_000)
      expect((await standby.status()).role).toBe('standby')
    } finally {
      attack = false
    }
  })
})
