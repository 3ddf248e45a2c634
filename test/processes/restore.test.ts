import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import { hashesBelow } from '../support/disks.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil } from '../support/wait.js'

let cluster: TestCluster

afterEach(() => cluster.end())

function other(node: TestNode): TestNode {
  const found = cluster.nodes.find((one) => one !== node)
  if (found === undefined) throw new Error('there is no other node')
  return found
}

/** Stops both nodes and compares what lies in their directories. */
async function expectEqualDisks(active: TestNode): Promise<void> {
  await cluster.caughtUp()
  await other(active).stop()
  await active.stop()
  const [first, second] = cluster.nodes.map(({ plan }) => hashesBelow(plan.folder))
  expect(second).toEqual(first)
}

describe('copies that are brought up to date', () => {
  it('SYN-4, SYN-26, SYN-27, SYN-32: both sides log the restore; afterwards only what changed is moved', async () => {
    cluster = await TestCluster.create({ nodes: 2, proxied: true, startupWaitMs: 500 })
    const [active, joining] = cluster.nodes
    if (active === undefined || joining === undefined) throw new Error('there are two nodes')
    await cluster.start(active)
    await active.ask('fill', { prefix: 'data/base', files: 400, bytes: 32 * 1024 })
    await cluster.start(joining)
    await cluster.settled()
    const ids = { source: active.id, target: joining.id }
    for (const node of cluster.nodes) {
      expect(node.logged('restoreStarted')).toMatchObject([{ ...ids, method: 'full' }])
      expect(node.logged('restored')).toMatchObject([{ ...ids, method: 'full', files: 400 }])
    }
    const [told] = active.logged('restored')
    expect(joining.logged('restored')[0]?.restoreId).toBe(told?.restoreId)

    // One small change of a copy of 13 MB.
    await cluster.caughtUp()
    const before = cluster.bytes
    await active.ask('write', { path: 'data/base/1.dat', content: 'x'.repeat(100) })
    await cluster.caughtUp()
    expect(cluster.bytes - before).toBeLessThan(10_000)

    // A short absence, with five changes.
    await cluster.stop(joining)
    for (let at = 0; at < 5; at += 1) {
      await active.ask('write', { path: `data/base/${at}.dat`, content: `changed ${at}` })
    }
    const absent = cluster.bytes
    const since = cluster.nodes.map((node) => node.events.length)
    await cluster.start(joining)
    await cluster.settled()
    expect(cluster.bytes - absent).toBeLessThan(100_000)
    for (const [at, node] of cluster.nodes.entries()) {
      expect(node.logged('restored', since[at])).toMatchObject([{ ...ids, method: 'journal' }])
    }
    await expectEqualDisks(active)
  })

  it('SYN-33: a standby killed in the middle of a restore has its old copy, and completes the restore when it is started again', async () => {
    cluster = await TestCluster.create({ nodes: 2, startupWaitMs: 500 })
    const [active, joining] = cluster.nodes
    if (active === undefined || joining === undefined) throw new Error('there are two nodes')
    const own = join(joining.plan.folder, 'own/machine.txt')
    mkdirSync(join(joining.plan.folder, 'own'), { recursive: true })
    writeFileSync(own, 'the joining machine')
    await cluster.start(active)
    await active.ask('fill', { prefix: 'data/base', files: 300, bytes: 64 * 1024 })
    joining.boot()
    const starting = cluster.start(joining, { restoreBytesPerSecondMax: 6 * 1024 * 1024 })
    starting.catch(() => undefined)
    const half = await retryUntil('half of the restore', () => {
      const told = joining.logged('restoreProgress').at(-1)
      return told !== undefined && told.files > 170 && told.files < 280 ? told : undefined
    })
    await cluster.kill(joining)
    // Nothing of the half copy is where the application would find it.
    expect(Object.keys(hashesBelow(joining.plan.folder))).toEqual([])
    const since = joining.events.length
    await cluster.beginLoad()
    await cluster.start(joining)
    await cluster.settled()
    const [restored] = joining.logged('restored', since)
    expect(restored?.method).toBe('full')
    // What was staged is not moved again, but for what came since that was last noted.
    expect(restored?.bytesMoved).toBeLessThan((300 - half.files / 4) * 64 * 1024)
    await cluster.endLoad()
    expect(await cluster.missing(active)).toEqual([])
    await cluster.caughtUp()
    expect(await cluster.missing(joining)).toEqual([])
    await expectEqualDisks(active)
    expect(readFileSync(own, 'utf8')).toBe('the joining machine')
  })
})
