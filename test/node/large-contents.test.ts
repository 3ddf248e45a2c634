/**
 * Promise 4 for contents that an ordinary disk needs longer for than a standby may be silent.
 * Virtual time.
 */
import { describe, expect, it } from 'vitest'
import type { Receipt } from '../../src/index.js'
import { VirtualCluster } from '../support/virtual-cluster.js'

const contentBytes = 32 * 1024 * 1024
const degradeAfterMs = 2000

/** Alpha serves, and beta is in sync, on a disk that takes so much in a second. */
async function pair(bytesPerSecond: number): Promise<VirtualCluster> {
  const cluster = new VirtualCluster(['alpha', 'beta'])
  await cluster.settle(cluster.make('alpha').start())
  await cluster.settle(cluster.make('beta').start())
  await cluster.settle(cluster.node('alpha').inSync())
  cluster.speed('beta').bytesPerSecond = bytesPerSecond
  return cluster
}

function writeLarge(cluster: VirtualCluster): Promise<Receipt> {
  return cluster.node('alpha').files.write('files/large', new Uint8Array(contentBytes))
}

describe('a large content on an ordinary disk (promise 4)', () => {
  it('gets its level although the disk of the standby takes longer than a permitted silence', async () => {
    const cluster = await pair(5 * 1024 * 1024)
    const beganMs = cluster.clock.nowMs()
    const receipt = await cluster.settle(writeLarge(cluster))
    expect(cluster.clock.nowMs() - beganMs).toBeGreaterThan(2 * degradeAfterMs)
    expect(receipt).toMatchObject({ ack: 'standby', durable: true, degraded: false })
    expect(cluster.events('alpha', 'standbyLost')).toEqual([])
  })

  it('small writes do not wait for it', async () => {
    const cluster = await pair(5 * 1024 * 1024)
    const large = writeLarge(cluster)
    await cluster.run(1000)
    const beganMs = cluster.clock.nowMs()
    const small = await cluster.settle(cluster.node('alpha').files.write('files/small', 'x'))
    expect(small).toMatchObject({ ack: 'standby', degraded: false })
    expect(cluster.clock.nowMs() - beganMs).toBeLessThan(degradeAfterMs)
    await cluster.settle(large)
    expect(cluster.events('alpha', 'standbyLost')).toEqual([])
  })

  it('a standby whose disk hangs in the middle of it leaves the set after `degradeAfterMs`', async () => {
    const cluster = await pair(5 * 1024 * 1024)
    const large = writeLarge(cluster)
    await cluster.run(3000)
    cluster.speed('beta').bytesPerSecond = 1
    const hangsMs = cluster.clock.nowMs()
    expect(await cluster.settle(large)).toMatchObject({ ack: 'local', degraded: true })
    expect(cluster.clock.nowMs() - hangsMs).toBeLessThan(2 * degradeAfterMs)
  })
})
