import { afterEach, describe, expect, it, vi } from 'vitest'
import { appState, ClusterNode, SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'

// Snapshots that are large, or go wrong, between whole nodes.

const network = memoryNetwork({})
const members = ['alpha', 'beta'].map((id) => ({ id, address: id }))
const running: ClusterNode[] = []

interface Machine {
  readonly node: ClusterNode
  state: unknown
  snapshot: () => unknown
}

function machine(id: string): Machine {
  const node = new ClusterNode({
    cluster: 'snapshots',
    id,
    members,
    storage: memory(),
    transport: network.transport(id),
    heartbeatMs: 20,
    deadMs: 1000,
    discoveryMs: 100,
    startupWaitMs: 200,
    policy: new SyncPolicy({
      files: synced('files/**'),
      state: appState<unknown, void>({
        snapshot: () => made.snapshot(),
        restore: (snapshot) => {
          made.state = snapshot
        },
        apply: (change) => {
          made.state = change
        },
      }),
    }),
  }) as unknown as ClusterNode
  running.push(node)
  const made: Machine = { node, state: undefined, snapshot: () => made.state }
  return made
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

describe('the snapshot of application state', () => {
  it.each([
    ['is a promise', () => Promise.reject(new Error('not now')), 'returned a promise'],
    ['is no plain data', () => new Set([1]), 'an instance of Set'],
  ])('that %s: a joining node says so and waits, with one restore', async (_what, bad, why) => {
    const alpha = machine('alpha')
    await alpha.node.start()
    await alpha.node.update('state' as never, 'kept' as never)
    await alpha.node.files.write('files/a', 'a')
    const told: string[] = []
    alpha.node.on('snapshotFailed', ({ className, error }) => {
      told.push(`${className} ${error.message}`)
    })
    alpha.snapshot = bad
    const beta = machine('beta')
    const events: string[] = []
    beta.node.on('restoreStarted', () => events.push('restoreStarted'))
    beta.node.on('error', (error) => events.push(String(error)))
    const started = beta.node.start()
    await vi.waitFor(() => expect(beta.node.status().stuck).toContain(why))
    expect(beta.node.status().stuck).toMatch(/^SNAPSHOT_FAILED: the snapshot of 'state' failed: /)
    expect(alpha.node.status().snapshotFailures).toMatchObject([{ className: 'state' }])
    // The second attempt comes after one second, and says the same.
    await new Promise((resolve) => setTimeout(resolve, 1300))
    expect(events).toEqual(['restoreStarted', expect.stringContaining(why)])
    expect(told).toEqual([expect.stringContaining(why)])
    alpha.snapshot = () => alpha.state
    await started
    expect(beta.state).toBe('kept')
    expect(beta.node.role).toBe('standby')
    expect(beta.node.status().stuck).toBeUndefined()
    expect(alpha.node.status().snapshotFailures).toEqual([])
    expect(alpha.node.role).toBe('active')
  })

  it('reaches a joining node also when it has more than 64 MiB', async () => {
    const large = Buffer.alloc(70 * 1024 * 1024, 7)
    const alpha = machine('alpha')
    alpha.snapshot = () => [large, alpha.state]
    await alpha.node.start()
    await alpha.node.update('state' as never, 'small' as never)
    const beta = machine('beta')
    await beta.node.start()
    const [bytes, rest] = beta.state as [Buffer, string]
    expect(large.equals(bytes)).toBe(true)
    expect(rest).toBe('small')
  })
})
