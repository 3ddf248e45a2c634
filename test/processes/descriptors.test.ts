import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil } from '../support/wait.js'

/** Room for a node and its connections, and little more. */
const descriptors = 160

let cluster: TestCluster | undefined

afterEach(() => cluster?.end())

/** Two nodes whose processes may open few files. */
async function started(): Promise<{ cluster: TestCluster; active: TestNode; standby: TestNode }> {
  const made = await TestCluster.create({ nodes: 2 })
  cluster = made
  for (const node of made.nodes) node.boot(descriptors)
  await Promise.all(made.nodes.map((node) => made.start(node)))
  const active = await made.settled()
  const standby = made.nodes.find((node) => node !== active) ?? active
  return { cluster: made, active, standby }
}

// Windows has no such limit.
describe.skipIf(process.platform === 'win32')('a process without file descriptors', () => {
  it('GEN-8: goes on living; a standby says why it stands still, and goes on when there are some again', async () => {
    const { cluster, active, standby } = await started()
    expect(await standby.ask('exhaust')).toBeGreaterThan(10)
    await active.ask('fill', { prefix: 'data/large', files: 4, bytes: 300_000 })
    const stuck = await retryUntil('it to say so', async () => (await standby.status()).stuck)
    expect(stuck).toMatch(/^RESOURCES_EXHAUSTED: .*EMFILE.*ulimit/)
    await active.ask('fill', { prefix: 'data/many', files: 200, bytes: 100 })
    await standby.ask('release')
    expect(await cluster.settled()).toBe(active)
    expect((await standby.status()).stuck).toBeUndefined()
    await cluster.caughtUp()
    expect(standby.running).toBe(true)
  })

  it('GEN-8: an active that writes lives too, and nothing that was acknowledged is lost', async () => {
    const { cluster, active } = await started()
    await cluster.beginLoad()
    await cluster.written(50)
    await active.ask('exhaust')
    await active
      .ask('fill', { prefix: 'data/many', files: 100, bytes: 100_000 })
      .catch(() => undefined)
    await active.ask('release')
    await cluster.settled()
    await cluster.written(50)
    await cluster.endLoad()
    await cluster.caughtUp()
    for (const node of cluster.nodes) {
      expect(node.running).toBe(true)
      expect(await cluster.missing(node), node.id).toEqual([])
    }
  })

  it('that starts a node says what is missing, and can start one later', async () => {
    const made = await TestCluster.create({ nodes: 1 })
    cluster = made
    const [node] = made.nodes as [TestNode]
    node.boot(descriptors)
    await node.ask('exhaust')
    const failed = made.start(node)
    await expect(failed).rejects.toMatchObject({ code: 'RESOURCES_EXHAUSTED' })
    await node.ask('release')
    await made.start(node)
    expect((await node.status()).role).toBe('active')
  })
})
