import { describe, expect, it, vi } from 'vitest'
import { appState, type ClusterNode, SyncPolicy, synced } from '../../src/index.js'
import { nodesOn } from './nodes.js'

// Snapshots that are large, or go wrong, between whole nodes.

const nodeOf = nodesOn()

interface Machine {
  readonly node: ClusterNode
  state: unknown
  snapshot: () => unknown
}

function machineOf(id: string): Machine {
  const node = nodeOf(id, {
    // Nothing else runs while a large snapshot is encoded.
    deadMs: 1000,
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
  })
  const made: Machine = { node, state: undefined, snapshot: () => made.state }
  return made
}

describe('the snapshot of application state', () => {
  it.each([
    ['is a promise', () => Promise.reject(new Error('not now')), 'returned a promise'],
    ['is no plain data', () => new Set([1]), 'an instance of Set'],
  ])('that %s: a joining node says so and waits, with one restore', async (_what, bad, why) => {
    const alpha = machineOf('alpha')
    await alpha.node.start()
    await alpha.node.update('state' as never, 'kept' as never)
    await alpha.node.files.write('files/a', 'a')
    const told: string[] = []
    alpha.node.on('snapshotFailed', ({ className, error }) => {
      told.push(`${className} ${error.message}`)
    })
    alpha.snapshot = bad
    const beta = machineOf('beta')
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

  it('reaches a joining node, even with more than 64 MiB', async () => {
    const large = Buffer.alloc(70 * 1024 * 1024, 7)
    const alpha = machineOf('alpha')
    alpha.snapshot = () => [large, alpha.state]
    await alpha.node.start()
    await alpha.node.update('state' as never, 'small' as never)
    const beta = machineOf('beta')
    await beta.node.start()
    const [bytes, rest] = beta.state as [Buffer, string]
    expect(large.equals(bytes)).toBe(true)
    expect(rest).toBe('small')
  })
})
