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
})
