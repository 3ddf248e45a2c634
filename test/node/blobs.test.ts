import { afterEach, describe, expect, it, vi } from 'vitest'
import type { OpenStorage, Storage } from '../../src/index.js'
import { ClusterNode, SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'

// Large content reaches the standbys before its write has a place; what never gets one does not stay with them.

const network = memoryNetwork({})
const members = ['alpha', 'beta'].map((id) => ({ id, address: id }))
const running: ClusterNode[] = []

interface Machine {
  readonly node: ClusterNode
  /** Large contents that lie on its disk. */
  blobs(): Promise<number>
}

function machineOf(id: string): Machine {
  const disk = memory()
  let opened: OpenStorage | undefined
  const storage: Storage = {
    name: 'memory',
    open: async (owner) => {
      opened = await disk.open(owner)
      return opened
    },
  }
  const node = new ClusterNode({
    cluster: 'blobs',
    id,
    members,
    storage,
    transport: network.transport(id),
    heartbeatMs: 20,
    deadMs: 400,
    discoveryMs: 100,
    startupWaitMs: 200,
    policy: new SyncPolicy({ files: synced('files/**') }),
  }) as unknown as ClusterNode
  running.push(node)
  return { node, blobs: async () => (await opened?.objects.list('blobs'))?.length ?? 0 }
}

async function pair(): Promise<{ alpha: Machine; beta: Machine }> {
  const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
  await alpha.node.start()
  await beta.node.start()
  await alpha.node.inSync()
  return { alpha, beta }
}

function both(change: (from: string, to: string) => void): void {
  change('alpha', 'beta')
  change('beta', 'alpha')
}

const large = Buffer.alloc(300_000, 'x')

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

describe('large content that never gets its place', () => {
  it('goes from the standby too: a refused write, a transaction that is rolled back', async () => {
    const { alpha, beta } = await pair()
    const { node } = alpha
    await node.files.write('files/a', 'x')
    for (let round = 0; round < 5; round += 1) {
      const refused = node.files.write('files/a/b', large)
      await expect(refused).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
      const rolledBack = node.transaction(async (tx) => {
        await tx.files.write('files/c', large)
        throw new Error('no')
      })
      await expect(rolledBack).rejects.toThrow('no')
    }
    await node.files.write('files/kept', large)
    await vi.waitFor(async () => expect(await beta.blobs()).toBe(1))
    await vi.waitFor(async () => expect(await alpha.blobs()).toBe(1))
    expect(await beta.node.files.read('files/kept')).toEqual(new Uint8Array(large))
  })

  it('goes with the end of the stream, when nobody says that it is for nothing', async () => {
    const { alpha, beta } = await pair()
    const { node } = alpha
    await node.files.write('files/kept', large)
    let commit = (): void => {}
    const open = node.transaction(async (tx) => {
      await tx.files.write('files/c', large)
      await new Promise<void>((resolve) => {
        commit = resolve
      })
    })
    open.catch(() => undefined)
    await vi.waitFor(async () => expect(await beta.blobs()).toBe(2))
    both((from, to) => network.cut(from, to))
    await vi.waitFor(() => expect(beta.node.role).toBe('active'), 5000)
    await vi.waitFor(async () => expect(await beta.blobs()).toBe(1))
    commit()
    both((from, to) => network.heal(from, to))
  })
})
