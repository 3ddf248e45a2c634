import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil, staysTrue } from '../support/wait.js'

const deadMs = 1_000

let cluster: TestCluster

afterEach(() => cluster.end())

async function pair(): Promise<{ active: TestNode; standby: TestNode }> {
  cluster = await TestCluster.running({ nodes: 2, proxied: true, deadMs })
  const active = await cluster.active()
  const [standby] = cluster.nodes.filter((node) => node !== active)
  if (standby === undefined) throw new Error('there is no standby')
  return { active, standby }
}

describe('links that are cut', () => {
  it('SES-2, GEN-7: when the standby no longer hears the active it takes over, and the active, which hears that, gives up', async () => {
    const { active, standby } = await pair()
    cluster.cutOneWay(active, standby)
    await standby.becomes('active')
    await retryUntil(
      'the old active to give up',
      async () => (await active.status()).role !== 'active',
    )
    await staysTrue('it stays so', async () => (await cluster.actives()).length === 1, deadMs / 2)
    cluster.mend()
    expect(await cluster.settled()).toBe(standby)
  })

  it('GEN-7: when the active no longer hears the standby nothing changes but the acknowledgements', async () => {
    const { active, standby } = await pair()
    const since = standby.events.length
    cluster.cutOneWay(standby, active)
    await retryUntil('the active to be degraded', async () => (await active.status()).degraded)
    const receipt = await active.ask('write', { path: 'data/a.txt', content: 'a' })
    expect(receipt).toMatchObject({ ack: 'local', degraded: true })
    expect(standby.roles(since)).not.toContain('active')
    cluster.mend()
    expect(await cluster.settled()).toBe(active)
    expect(standby.roles(since)).not.toContain('active')
  })

  it('ROL-18, GEN-7: with three nodes, one cut link to the active promotes nobody, in one direction or both', async () => {
    cluster = await TestCluster.running({ nodes: 3, proxied: true, deadMs })
    const active = await cluster.active()
    const [deaf] = cluster.nodes.filter((node) => node !== active)
    if (deaf === undefined) throw new Error('there is no standby')
    const cuts = [
      () => cluster.cutOneWay(active, deaf),
      () => cluster.cutOneWay(deaf, active),
      () => cluster.cut(active, deaf),
    ]
    for (const [at, cut] of cuts.entries()) {
      const since = cluster.nodes.map((node) => node.events.length)
      const from = deaf.events.length
      cut()
      // In the second case it still hears the active, and has nothing to report.
      if (at !== 1) {
        await retryUntil('the report', () => deaf.logged('activeUnreachable', from).length > 0)
      }
      await staysTrue(
        'nobody is promoted',
        () => {
          return cluster.nodes.every((node, index) => !node.roles(since[index]).includes('active'))
        },
        deadMs,
      )
      expect((await active.status()).role).toBe('active')
      await active.ask('write', { path: `data/${at}.txt`, content: 'served' })
      cluster.mend()
      expect(await cluster.settled()).toBe(active)
    }
  })

  it('ROL-10, ROL-15: standbys that stop, an outage and their return disturb no write of the active', async () => {
    cluster = await TestCluster.running({ nodes: 3, proxied: true, deadMs })
    const active = await cluster.active()
    const standbys = cluster.nodes.filter((node) => node !== active)
    const since = active.events.length
    await cluster.beginLoad()
    for (const standby of standbys) await cluster.stop(standby)
    await cluster.written(20)
    for (const standby of standbys) {
      const lost = active.logged('standbyLost', since).filter(({ peer }) => peer === standby.id)
      expect(lost).toHaveLength(1)
    }
    expect(active.logged('degraded', since)).toEqual([{ blocked: false }])
    cluster.isolate(active)
    await cluster.written(20)
    cluster.mend()
    await Promise.all(standbys.map((standby) => cluster.start(standby)))
    expect(await cluster.settled()).toBe(active)
    await cluster.written(20)
    // And when they are killed instead of stopped.
    for (const standby of standbys) await cluster.kill(standby)
    await cluster.written(20)
    await cluster.endLoad()
    expect(active.refused).toEqual([])
    expect(active.roles(since)).toEqual([])
    expect(standbys.flatMap((node) => node.roles())).not.toContain('active')
    expect(await cluster.missing(active)).toEqual([])
  })
})

describe('a closed port', () => {
  it('ROL-8, ROL-15: an empty newcomer that nobody can dial follows the active that has the data, and both say so', async () => {
    cluster = await TestCluster.create({ nodes: 2, proxied: true, deadMs })
    const [alpha, beta] = cluster.nodes
    if (alpha === undefined || beta === undefined) throw new Error('there are two nodes')
    await cluster.start(alpha)
    await alpha.becomes('active')
    for (let at = 0; at < 20; at += 1) {
      await alpha.ask('write', { path: `data/${at}.txt`, content: `${at}` })
    }
    // What dials beta gets no answer; what beta dials goes through.
    cluster.proxy(alpha, beta).cut('forth')
    cluster.proxy(alpha, beta).cut('back')
    const since = alpha.events.length
    await cluster.start(beta)
    expect(await cluster.settled()).toBe(alpha)
    await retryUntil('both sides to say what is wrong', async () => {
      const [near] = (await alpha.status()).peers
      const [far] = (await beta.status()).peers
      return near?.unreachable !== undefined && far?.cannotDialUs === true
    })
    await staysTrue(
      'nobody serves beside it',
      async () => (await cluster.actives()).length === 1,
      4 * deadMs,
    )
    expect(alpha.roles(since)).toEqual([])
    expect(beta.roles(0)).not.toContain('active')
    const last = await beta.ask('read', { path: 'data/19.txt' })
    expect(Buffer.from(last).toString()).toBe('19')
  })
})
