/**
 * Flow control during a restore that takes long: what the restore brings is progress, and it ends.
 * Virtual time.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { paceHoldFactor } from '../../src/replication/in-sync/flow-control.js'
import { Callers, VirtualCluster } from '../support/virtual-cluster.js'

const degradeAfterMs = 500
const bytesPerSecond = 500_000
const mib = 1024 * 1024

let ended: () => void = () => undefined
afterEach(() => ended())

/** Alpha served alone for so long; then the link to beta is narrow. */
async function narrow(aloneMs: number, journalBytesMax: number, files = 100_000) {
  const cluster = new VirtualCluster(['alpha', 'beta'])
  // Pieces that a heartbeat can wait for on a link like this.
  const limits = { degradeAfterMs, frameBytesMax: 256 * 1024, journalBytesMax }
  for (const id of ['alpha', 'beta']) cluster.speed(id).syncMs = 1
  const alpha = cluster.make('alpha', limits)
  await cluster.settle(alpha.start())
  const load = { callers: 16, restMs: 10, bytes: 4000, ack: 'local', files } as const
  const callers = new Callers(cluster, 'alpha', load)
  await cluster.run(aloneMs)
  cluster.network.setLink('alpha:1', 'beta:1', { bytesPerSecond })
  ended = () => {
    callers.stop()
    cluster.network.crash('alpha:1')
  }
  callers.slowestMs = 0
  const stored = Math.min(callers.written, files * 16) * 4000
  void cluster.make('beta', limits).start()
  return { cluster, alpha, callers, stored }
}

describe('flow control while a standby restores behind a narrow link', () => {
  // A journal of 4 MiB is full before anybody can be late.
  it.each([16 * mib, 4 * mib])(
    'SYN-1: data of the restore counts as coming closer, and is sent once: a journal of %s bytes',
    async (journalBytesMax) => {
      const { cluster, alpha, callers, stored } = await narrow(3000, journalBytesMax)
      const needsMs = (stored * 1000) / bytesPerSecond
      expect(needsMs).toBeGreaterThan(10 * degradeAfterMs * paceHoldFactor)
      const isInSync = (): boolean => alpha.status().inSync.includes('beta')
      await cluster.until('beta is in sync', isInSync, 2 * needsMs + 10 * degradeAfterMs)
      expect(cluster.events('beta', 'restoreStarted')).toHaveLength(1)
      expect(callers.slowestMs).toBeLessThanOrEqual((paceHoldFactor + 1) * degradeAfterMs)
    },
    120_000,
  )

  it('SYN-1: a restore makes progress although its connections are reset repeatedly', async () => {
    const { cluster, alpha } = await narrow(3000, 16 * mib, 500)
    const brought = (): number => cluster.nodes.get('beta')?.status().restore?.files ?? 0
    let most = 0
    for (let reset = 0; reset < 6; reset += 1) {
      await cluster.run(6_000)
      most = Math.max(most, brought())
      cluster.network.breakConnections('alpha:1', 'beta:1')
      // Writers that were let go meanwhile would fill the link before the restore gets anything of
      // it.
      expect(alpha.status().pace?.peer).toBe('beta')
    }
    expect(most).toBeGreaterThan(1_000)
  })

  it('SYN-1: a standby whose process is gone is not waited for', async () => {
    const { cluster, alpha } = await narrow(3000, 16 * mib)
    await cluster.until('writers are paced', () => alpha.status().pace !== undefined, 5_000)
    cluster.network.crash('beta:1')
    // Less than the time for which one is waited for that may come back.
    await cluster.run(3 * degradeAfterMs)
    expect(alpha.status().pace).toBeUndefined()
  })
})
