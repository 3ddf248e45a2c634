/** A stream whose connection stands and carries nothing, while heartbeats pass. Virtual time. */
import { describe, expect, it } from 'vitest'
import { streamSilentFactor } from '../../src/replication/stream/stream-watch.js'
import { type Hole, HoledTransport } from '../support/holed-transport.js'
import { Callers, VirtualCluster } from '../support/virtual-cluster.js'

const degradeAfterMs = 2000

async function holed(hole: Hole): Promise<{ cluster: VirtualCluster; callers: Callers }> {
  const cluster = new VirtualCluster(['alpha', 'beta'])
  const transport = new HoledTransport(cluster.network.transport('beta:1'))
  await cluster.settle(cluster.make('alpha').start())
  await cluster.settle(cluster.make('beta', { transport }).start())
  await cluster.settle(cluster.node('alpha').inSync())
  const callers = new Callers(cluster, 'alpha', { callers: 2, restMs: 20, bytes: 1000 })
  await cluster.run(2000)
  transport.makeHole(hole)
  return { cluster, callers }
}

describe('a stream that became a black hole under load', () => {
  it.each<Hole>(['in', 'out', 'both'])(
    'is closed within a few `degradeAfterMs`, and the standby is in sync again (%s)',
    async (hole) => {
      const { cluster, callers } = await holed(hole)
      const alpha = cluster.node('alpha')
      await cluster.until('beta left', () => alpha.status().inSync.length === 0, 2 * degradeAfterMs)
      // Each side notices it by itself, one after the other where the end does not get through
      // either.
      const boundMs = (2 * streamSilentFactor + 3) * degradeAfterMs
      await cluster.until('beta is back', () => alpha.status().inSync.includes('beta'), boundMs)
      await cluster.run(10_000)
      expect(alpha.status()).toMatchObject({ inSync: ['beta'], redundant: true })
      // Nobody was taken for dead meanwhile.
      expect(cluster.told.filter(({ name }) => name === 'peerDown')).toEqual([])
      callers.stop()
    },
  )

  it('the standby stops reporting that it is in sync as soon as the active does', async () => {
    const { cluster, callers } = await holed('in')
    const [alpha, beta] = [cluster.node('alpha'), cluster.node('beta')]
    expect(beta.status()).toMatchObject({ inSync: ['beta'], redundant: true })
    await cluster.until('beta left', () => alpha.status().inSync.length === 0, 2 * degradeAfterMs)
    await cluster.run(500)
    expect(beta.status()).toMatchObject({ role: 'standby', inSync: [], redundant: false })
    callers.stop()
  })

  it('GEN-2: a removed standby does not take over as if it had everything', async () => {
    const { cluster, callers } = await holed('in')
    const [alpha, beta] = [cluster.node('alpha'), cluster.node('beta')]
    await cluster.until('beta left', () => alpha.status().inSync.length === 0, 2 * degradeAfterMs)
    await cluster.run(1000)
    callers.stop()
    cluster.network.powerOff('alpha:1')
    const holds = (): boolean => cluster.events('beta', 'holding').length > 0
    await cluster.until('beta holds', holds, 10_000)
    expect(cluster.events('beta', 'outdated')).toHaveLength(1)
    expect(beta.role).toBe('discovering')
  })

  it('a quiet stream is no black hole', async () => {
    const { cluster, callers } = await holed('in')
    callers.stop()
    await cluster.run(60_000)
    const before = cluster.told.length
    await cluster.run(600_000)
    expect(cluster.told.slice(before)).toEqual([])
  })
})
