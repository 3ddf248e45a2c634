import { describe, expect, it, vi } from 'vitest'
import type { ClusterNode, OpenStorage, Storage } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { addressOf, nodesOn, pairOf } from './nodes.js'

// Large content reaches the standbys before its write has a place; what never gets one does not
// stay with them.

const network = memoryNetwork({})
const nodeOf = nodesOn(network)

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
  const node = nodeOf(id, { storage })
  return { node, blobs: async () => (await opened?.objects.list('blobs'))?.length ?? 0 }
}

function both(change: (from: string, to: string) => void): void {
  const [alpha, beta] = [addressOf('alpha'), addressOf('beta')]
  change(alpha, beta)
  change(beta, alpha)
}

const large = Buffer.alloc(300_000, 'x')

describe('large content that never gets a position', () => {
  it('is removed from the standby too: a refused write, a transaction that is rolled back', async () => {
    const { alpha, beta } = await pairOf(machineOf)
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

  it('is removed at the end of the stream if the active reports nothing', async () => {
    const { alpha, beta } = await pairOf(machineOf)
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

  it('may stay on a failing disk, without an unhandled rejection', async () => {
    const rejections: unknown[] = []
    const note = (error: unknown): void => void rejections.push(error)
    process.on('unhandledRejection', note)
    try {
      const disk = memory()
      const members = [{ id: 'alpha', address: addressOf('alpha') }]
      const alpha = nodeOf('alpha', { storage: disk, members })
      await alpha.start()
      const failed = alpha.transaction(async ({ files }) => {
        await files.write('files/large', large)
        disk.faults.readOnly = true
        await alpha.files.write('files/other', 'x').catch(() => undefined)
        await vi.waitFor(() => expect(alpha.role).not.toBe('active'))
        throw new Error('rolled back')
      })
      await expect(failed).rejects.toThrow()
      await new Promise((resolve) => setTimeout(resolve, 50))
      disk.faults.readOnly = false
      expect(rejections).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})
