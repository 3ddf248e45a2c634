import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import { hashesBelow } from '../support/disks.js'
import { machineMs } from '../support/node-jobs.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil, staysTrue } from '../support/wait.js'

const deadMs = 2_000
const rounds = 10

let cluster: TestCluster

afterEach(() => cluster.end())

/**
 * Kills the active under load, and says how long it took until another node acknowledged a write.
 */
async function killRound(victim: TestNode): Promise<number> {
  const from = cluster.acks.length
  const killedMs = machineMs()
  await cluster.kill(victim)
  const first = await retryUntil('a write acknowledged by another node', () => {
    return cluster.acks.slice(from).find(({ writer, atMs }) => {
      return atMs > killedMs && !writer.startsWith(`${victim.id}-`)
    })
  })
  return first.atMs - killedMs
}

describe('the process of the active dies', () => {
  it('ROL-6, ROL-9 (a), ROL-11, GEN-2: ten kills under load, nobody waits for deadMs, no acknowledged write is lost', async () => {
    cluster = await TestCluster.running({ nodes: 3, heartbeatMs: 200, deadMs })
    const took: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      await cluster.beginLoad({ callers: 4, restMs: 5 })
      await cluster.written(60)
      const victim = await cluster.active()
      took.push(await killRound(victim))
      const successor = await cluster.active()
      await cluster.start(victim)
      // It came back as a standby, and the role stayed.
      expect((await victim.status()).role).toBe('standby')
      expect(await cluster.settled()).toBe(successor)
    }
    await cluster.endLoad()
    await cluster.caughtUp()
    for (const node of cluster.nodes) {
      expect(await cluster.missing(node), node.id).toEqual([])
    }
    const sorted = took.toSorted((a, b) => a - b)
    expect(sorted[rounds / 2], `takeovers took ${sorted.map(Math.round)} ms`).toBeLessThan(
      deadMs / 3,
    )
    expect(sorted.at(-1), `takeovers took ${sorted.map(Math.round)} ms`).toBeLessThan(deadMs)
    expect(cluster.nodes.flatMap((node) => node.logged('possibleLoss'))).toEqual([])
    for (const node of cluster.nodes) await node.stop()
    const [first, ...others] = cluster.nodes.map(({ plan }) => hashesBelow(plan.folder))
    for (const other of others) expect(other).toEqual(first)
  })

  it('ROL-6: connections that are reset while the listener stays are no death', async () => {
    cluster = await TestCluster.running({ nodes: 2, proxied: true })
    const active = await cluster.active()
    const since = cluster.nodes.map((node) => node.events.length)
    await cluster.beginLoad()
    for (let times = 0; times < 5; times += 1) {
      await cluster.written(20)
      cluster.resetAll()
    }
    await cluster.settled()
    await staysTrue('the role stays', () => active.roles(since[0]).length === 0, 300)
    await cluster.endLoad()
    expect(active.refused).toEqual([])
    expect(await cluster.missing(active)).toEqual([])
    for (const [at, node] of cluster.nodes.entries()) {
      expect(node.roles(since[at])).not.toContain('active')
      expect(node.logged('peerDown', since[at])).toEqual([])
    }
  })
})
