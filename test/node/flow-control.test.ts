/**
 * Promise 4 under load: redundancy comes, and stays, however slow a standby is beside its active.
 * Virtual time.
 */
import { describe, expect, it } from 'vitest'
import { paceHoldFactor } from '../../src/replication/in-sync/flow-control.js'
import { Callers, type Load, VirtualCluster } from '../support/virtual-cluster.js'

const degradeAfterMs = 2000
const small: Load = { callers: 4, restMs: 20, bytes: 4096 }
/** What the tree may lack before it holds up the journal is counted in bytes. */
const large: Load = { ...small, callers: 2, bytes: 64 * 1024 }

interface Scene {
  readonly cluster: VirtualCluster
  readonly callers: Callers
  /** Writes in a second while nobody follows. */
  readonly freeRate: number
}

/** Alpha serves under load, alone. */
async function loaded(load: Load, ids: readonly string[] = ['alpha', 'beta']): Promise<Scene> {
  const cluster = new VirtualCluster(ids)
  for (const id of ids) cluster.speed(id).syncMs = 1
  await cluster.settle(cluster.make('alpha').start())
  const callers = new Callers(cluster, 'alpha', load)
  await cluster.run(3000)
  return { cluster, callers, freeRate: callers.written / 3 }
}

type Slow = (cluster: VirtualCluster, writesPerSecond: number, bytes: number) => void

const byDisk: Slow = (cluster, writesPerSecond, bytes) => {
  cluster.speed('beta').bytesPerSecond = writesPerSecond * (bytes + 150)
}
const byProcessor: Slow = (cluster, writesPerSecond) => {
  cluster.speed('beta').operationMs = 1000 / writesPerSecond
}
const byLink: Slow = (cluster, writesPerSecond, bytes) => {
  const bytesPerSecond = writesPerSecond * (bytes + 250) + 2000
  cluster.network.setLink('alpha:1', 'beta:1', { bytesPerSecond })
}

function isInSync({ cluster }: Scene): boolean {
  return cluster.node('alpha').status().inSync.includes('beta')
}

/** Writes acknowledged in a second of this time. */
async function rateFor({ cluster, callers }: Scene, ms: number): Promise<number> {
  const before = callers.written
  await cluster.run(ms)
  return ((callers.written - before) * 1000) / ms
}

function end({ cluster, callers }: Scene): void {
  callers.stop()
  cluster.network.crash('alpha:1')
}

describe('a standby that is slower than the active, under constant load (promise 4)', () => {
  it.each([
    ['disk', 1.5, byDisk, small],
    ['disk', 3, byDisk, small],
    ['disk', 10, byDisk, small],
    ['processor', 1.5, byProcessor, large],
    ['processor', 3, byProcessor, large],
    ['processor', 10, byProcessor, large],
    ['link', 1.5, byLink, large],
    ['link', 3, byLink, large],
    ['link', 10, byLink, large],
  ] as const)(
    'SYN-1: by its %s, %s times: it is in sync in bounded time, and stays in sync',
    async (_, factor, slow, load) => {
      const scene = await loaded({ ...load, ack: 'local' })
      const { cluster, freeRate } = scene
      slow(cluster, freeRate / factor, load.bytes)
      void cluster.make('beta').start()
      // While it restores, the backlog grows; then it needs at most twice as long as without new
      // writes.
      await cluster.run(20_000 + factor * 13_000)
      expect(isInSync(scene)).toBe(true)
      const lost = cluster.events('alpha', 'standbyLost').length
      const rate = await rateFor(scene, 15_000)
      expect(cluster.events('alpha', 'standbyLost')).toHaveLength(lost)
      expect(isInSync(scene)).toBe(true)
      // Writers are not held further than the standby needs.
      expect(rate).toBeGreaterThan((0.6 * freeRate) / factor)
      end(scene)
    },
    60_000,
  )

  it('an event and the status show for which standby writers are paced, and when that ends', async () => {
    const scene = await loaded({ ...small, ack: 'local' })
    const { cluster, freeRate } = scene
    byDisk(cluster, freeRate / 3, small.bytes)
    void cluster.make('beta').start()
    const paced = (): boolean => cluster.events('alpha', 'writersPaced').length > 0
    await cluster.until('writers are paced', paced, 20_000)
    const [{ event } = { event: undefined }] = cluster.events('alpha', 'writersPaced')
    expect(event).toMatchObject({ peer: 'beta', lag: { changes: expect.any(Number) } })
    const { pace, peers } = cluster.node('alpha').status()
    expect(pace).toMatchObject({ peer: 'beta', lag: peers[0]?.lag })
    expect(pace?.changesPerSecond).toBeLessThan(freeRate)
    scene.callers.stop()
    const released = (): boolean => cluster.events('alpha', 'writersReleased').length > 0
    await cluster.until('writers are released', released, 60_000)
    expect(cluster.node('alpha').status().pace).toBeUndefined()
    end(scene)
  })

  it('ROL-12: a switchover to a standby that lags under load holds writes, and hands over', async () => {
    const scene = await loaded({ ...small, ack: 'local' })
    const { cluster, callers, freeRate } = scene
    byDisk(cluster, freeRate / 3, small.bytes)
    void cluster.make('beta').start()
    await cluster.run(59_000)
    expect(isInSync(scene)).toBe(true)
    const [beta] = cluster.node('alpha').status().peers
    // So far behind that it is first given time to catch up, while writes go on.
    expect(beta?.lag?.bytes).toBeGreaterThan(64 * 1024)
    callers.slowestMs = 0
    await cluster.settle(cluster.node('alpha').switchover({ to: 'beta' }))
    expect(cluster.node('beta').status().role).toBe('active')
    callers.stop()
  })

  it('with `speed` no writer is paced, and no standby gets in sync', async () => {
    const cluster = new VirtualCluster(['alpha', 'beta'])
    const alpha = cluster.make('alpha', { flowControl: 'speed' })
    await cluster.settle(alpha.start())
    const callers = new Callers(cluster, 'alpha', { ...small, ack: 'local' })
    const freeRate = 4000 / 22
    byDisk(cluster, freeRate / 3, small.bytes)
    void cluster.make('beta').start()
    await cluster.run(20_000)
    const before = callers.written
    await cluster.run(20_000)
    expect((callers.written - before) / 20).toBeGreaterThan(0.9 * freeRate)
    expect(cluster.events('alpha', 'writersPaced')).toEqual([])
    expect(alpha.status().inSync).toEqual([])
    callers.stop()
  })
})

describe('flow control has bounds', () => {
  it('a paused standby stops no writer', async () => {
    const scene = await loaded({ ...small, ack: 'local' })
    const { cluster, callers, freeRate } = scene
    await cluster.settle(cluster.make('beta').start())
    await cluster.until('beta is in sync', () => isInSync(scene), 10_000)
    cluster.speed('beta').bytesPerSecond = 1
    callers.slowestMs = 0
    const rate = await rateFor(scene, 30_000)
    // It is paced for at first, for twice `degradeAfterMs` at most.
    expect(rate).toBeGreaterThan(0.75 * freeRate)
    expect(callers.slowestMs).toBeLessThan(degradeAfterMs)
    end(scene)
  })

  it('a standby that can never follow is given up, and no write is held for longer than the limit', async () => {
    const scene = await loaded({ ...small, ack: 'local' })
    const { cluster, callers, freeRate } = scene
    byLink(cluster, freeRate / 300, small.bytes)
    void cluster.make('beta').start()
    callers.slowestMs = 0
    await cluster.run(120_000)
    expect(callers.slowestMs).toBeLessThanOrEqual((paceHoldFactor + 1) * degradeAfterMs)
    expect(await rateFor(scene, 60_000)).toBeGreaterThan(0.5 * freeRate)
    end(scene)
  })

  it('a distant standby that keeps up costs nothing', async () => {
    const scene = await loaded({ ...small, ack: 'local' })
    const { cluster, freeRate } = scene
    await cluster.settle(cluster.make('beta').start())
    await cluster.until('beta is in sync', () => isInSync(scene), 20_000)
    cluster.network.setLink('alpha:1', 'beta:1', { latencyMs: 250 })
    cluster.network.setLink('beta:1', 'alpha:1', { latencyMs: 250 })
    expect(await rateFor(scene, 30_000)).toBeGreaterThan(0.95 * freeRate)
    expect(cluster.events('alpha', 'writersPaced')).toEqual([])
    end(scene)
  })

  it('a further standby costs at most half beside one in sync', async () => {
    const scene = await loaded({ ...small, ack: 'local' }, ['alpha', 'beta', 'gamma'])
    const { cluster, freeRate } = scene
    await cluster.settle(cluster.make('gamma').start())
    byDisk(cluster, freeRate / 10, small.bytes)
    void cluster.make('beta').start()
    let slowest = freeRate
    for (let at = 0; at < 30; at += 1) {
      slowest = Math.min(slowest, await rateFor(scene, 2000))
      expect(cluster.node('alpha').status().inSync).toContain('gamma')
    }
    expect(slowest).toBeGreaterThan(0.45 * freeRate)
    expect(cluster.events('alpha', 'writersReleased').length).toBeGreaterThan(0)
    end(scene)
  })
})
