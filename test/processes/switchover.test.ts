import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import { machineMs } from '../support/node-jobs.js'

const deadMs = 2_000

let cluster: TestCluster

afterEach(() => cluster.end())

describe('a planned switchover', () => {
  it('ROL-12: under load the role moves almost at once, callers see a pause and no error, nothing is lost', async () => {
    cluster = await TestCluster.running({ nodes: 3, heartbeatMs: 200, deadMs })
    await cluster.beginLoad()
    for (let times = 0; times < 4; times += 1) {
      await cluster.written(40)
      const from = await cluster.active()
      const [to] = cluster.nodes.filter((node) => node !== from)
      if (to === undefined) throw new Error('there is no standby')
      const since = from.events.length
      const beganMs = machineMs()
      await from.ask('switchover', { to: to.id })
      await cluster.written(5, to)
      expect(machineMs() - beganMs).toBeLessThan(deadMs)
      expect(await cluster.settled()).toBe(to)
      expect(from.roles(since)).toEqual(['discovering', 'restoring', 'standby'])
    }
    await cluster.endLoad()
    expect(cluster.nodes.flatMap((node) => node.refused)).toEqual([])
    await cluster.caughtUp()
    for (const node of cluster.nodes) expect(await cluster.missing(node), node.id).toEqual([])
  })

  it('ROL-12: a standby, and an active without a standby, refuse with a code of their own; the roles stay', async () => {
    cluster = await TestCluster.running({ nodes: 2 })
    const active = await cluster.active()
    const [standby] = cluster.nodes.filter((node) => node !== active)
    if (standby === undefined) throw new Error('there is no standby')
    await expect(standby.ask('switchover', {})).rejects.toMatchObject({ code: 'NOT_ACTIVE' })
    await expect(active.ask('switchover', { to: 'nobody' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    })
    await cluster.kill(standby)
    await expect(active.ask('switchover', {})).rejects.toMatchObject({
      code: 'NO_ELIGIBLE_STANDBY',
    })
    expect((await active.status()).role).toBe('active')
    await active.ask('write', { path: 'data/still.txt', content: 'serving' })
  })

  it('ROL-12: a target that dies while the active drains is not waited for, and the active goes on', async () => {
    cluster = await TestCluster.running({ nodes: 2, deadMs })
    const active = await cluster.active()
    const [standby] = cluster.nodes.filter((node) => node !== active)
    if (standby === undefined) throw new Error('there is no standby')
    await cluster.beginLoad()
    await cluster.written(20)
    standby.signal('SIGSTOP')
    const beganMs = machineMs()
    const handing = expect(active.ask('switchover', {})).rejects.toMatchObject({
      code: 'SWITCHOVER_FAILED',
    })
    await cluster.kill(standby)
    await handing
    await cluster.written(20)
    expect(machineMs() - beganMs).toBeLessThan(deadMs)
    expect(active.refused).toEqual([])
  })
})
