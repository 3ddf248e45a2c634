import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil, staysTrue } from '../support/wait.js'

const heartbeatMs = 100
const deadMs = 1_000
/** What a busy machine may add to any timing. */
const slackMs = 400

let cluster: TestCluster

afterEach(() => cluster.end())

/** How long after a moment a node left the role `standby`. */
async function leftStandby(node: TestNode, since: number, fromWallMs: number): Promise<number> {
  const left = await retryUntil(`${node.id} to leave standby`, () => {
    return node.events.slice(since).find(({ name, event }) => {
      return name === 'role' && (event as { from: string }).from === 'standby'
    })
  })
  return left.atWallMs - fromWallMs
}

describe('the active falls silent', () => {
  it('ROL-5, ROL-9 (b), ROL-19: a frozen active is replaced after deadMs; when it wakes up its writes are refused, it demotes and rejoins', async () => {
    cluster = await TestCluster.running({ nodes: 2, heartbeatMs, deadMs })
    const frozen = await cluster.active()
    const [other] = cluster.nodes.filter((node) => node !== frozen)
    if (other === undefined) throw new Error('there is no standby')
    await cluster.beginLoad()
    await cluster.written(30)
    const since = other.events.length
    const frozenSince = frozen.events.length
    const frozenAtMs = Date.now()
    frozen.signal('SIGSTOP')
    const silentMs = await leftStandby(other, since, frozenAtMs)
    expect(silentMs).toBeGreaterThanOrEqual(deadMs - heartbeatMs)
    expect(silentMs).toBeLessThanOrEqual(deadMs + 2 * heartbeatMs + slackMs)
    await other.becomes('active')
    await cluster.written(30, other)
    // This waits in front of the frozen process: it is the first thing that it does when it wakes
    // up.
    const next = frozen.ask('write', { path: 'data/stale.txt', content: 'stale' })
    const refused = expect(next).rejects.toMatchObject({ code: 'NOT_ACTIVE' })
    frozen.signal('SIGCONT')
    await refused
    await frozen.becomes('standby')
    expect(frozen.roles(frozenSince)).toEqual(['discovering', 'restoring', 'standby'])
    expect(frozen.logged('steppedDown', frozenSince)).toHaveLength(1)
    expect(await cluster.settled()).toBe(other)
    await cluster.endLoad()
    await cluster.caughtUp()
    for (const node of cluster.nodes) expect(await cluster.missing(node), node.id).toEqual([])
  })

  it('ROL-5, ROL-9 (c): an active that loses all its links is replaced after deadMs, a blip of half of it changes nothing', async () => {
    cluster = await TestCluster.running({ nodes: 3, proxied: true, heartbeatMs, deadMs })
    const lost = await cluster.active()
    const others = cluster.nodes.filter((node) => node !== lost)
    const before = cluster.nodes.map((node) => node.events.length)
    cluster.isolate(lost)
    await staysTrue('nobody takes over', () => true, deadMs / 2)
    cluster.mend()
    await staysTrue(
      'the roles stay',
      () => cluster.nodes.every((node, at) => node.roles(before[at]).length === 0),
      deadMs,
    )
    const since = others.map((node) => node.events.length)
    const cutAtMs = Date.now()
    cluster.isolate(lost)
    const successor = await retryUntil('one of the others to be active', async () => {
      for (const node of others) if ((await node.status()).role === 'active') return node
      return undefined
    })
    for (const [at, node] of others.entries()) {
      const silentMs = await leftStandby(node, since[at] ?? 0, cutAtMs)
      expect(silentMs).toBeGreaterThanOrEqual(deadMs - heartbeatMs)
      expect(silentMs).toBeLessThanOrEqual(deadMs + 2 * heartbeatMs + slackMs)
    }
    const content = 'written after the cut'
    await successor.ask('write', { path: 'data/after.txt', content })
    expect(Buffer.from(await successor.ask('read', { path: 'data/after.txt' })).toString()).toBe(
      content,
    )
  })
})
