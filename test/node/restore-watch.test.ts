/** A restore whose source lives and answers nothing. Virtual time. */
import { describe, expect, it } from 'vitest'
import { VirtualCluster } from '../support/virtual-cluster.js'

const deadMs = 2000

async function withFiles(): Promise<VirtualCluster> {
  const cluster = new VirtualCluster(['alpha', 'beta'])
  const alpha = cluster.make('alpha')
  await cluster.settle(alpha.start())
  for (let at = 0; at < 5; at += 1) {
    await cluster.settle(alpha.files.write(`files/${at}`, new Uint8Array(10_000).fill(at)))
  }
  return cluster
}

describe('a source whose disk hangs', () => {
  it('ends the attempt to restore after a while, and the next one succeeds when the disk answers', async () => {
    const cluster = await withFiles()
    const beta = cluster.make('beta')
    cluster.speed('alpha').readsHang = true
    void beta.start()
    const begun = (): number => cluster.events('beta', 'restoreStarted').length
    await cluster.until('the restore begins', () => begun() === 1, 10_000)
    // The hung read never ends: only another attempt can succeed.
    await cluster.run(1000)
    cluster.speed('alpha').readsHang = false
    const tookMs = await cluster.until('another attempt', () => begun() === 2, 40 * deadMs)
    expect(tookMs).toBeGreaterThan(10 * deadMs)
    await cluster.until('beta is in sync', () => beta.status().redundant, 10 * deadMs)
    expect(Buffer.from(await cluster.settle(beta.files.read('files/4')))).toEqual(
      Buffer.alloc(10_000, 4),
    )
  })

  it('a restore that is held below a rate is not ended', async () => {
    const cluster = await withFiles()
    const beta = cluster.make('beta', { restoreBytesPerSecondMax: 200 })
    void beta.start()
    await cluster.until('beta is in sync', () => beta.status().redundant, 600_000)
    expect(cluster.events('beta', 'restoreStarted')).toHaveLength(1)
  })
})
