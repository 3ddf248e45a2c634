import { describe, expect, it, vi } from 'vitest'
import type { ClusterNode } from '../../src/index.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn, pairOf } from './nodes.js'

// Files of synced classes that somebody else changes while the node runs. They are noticed when a change in place meets
// them, because they have not the size that the changes before it make of them.

const nodeOf = nodesOn()

interface Machine {
  readonly node: ClusterNode
  readonly storage: MemoryStorage
  readonly found: { readonly paths: readonly string[]; readonly outcome: string }[]
}

function machineOf(id: string): Machine {
  const storage = memory()
  const found: Machine['found'] = []
  const node = nodeOf(id, { storage })
  node.on('outsideChange', ({ paths, outcome }) => found.push({ paths, outcome }))
  return { node, storage, found }
}

function textOf({ storage }: Machine, path: string): string {
  return Buffer.from(storage.outside.read(path) ?? []).toString()
}

describe('a file that somebody else changes while the node runs', () => {
  it.each([
    { what: 'removes', change: (disk: MemoryStorage) => disk.outside.remove('files/log') },
    {
      what: 'shortens',
      change: (disk: MemoryStorage) => disk.outside.write('files/log', Buffer.from('XX')),
    },
  ])('a standby on which somebody $what it gets it anew', async ({ change }) => {
    const { alpha, beta } = await pairOf(machineOf)
    const { files } = alpha.node
    await files.write('files/log', 'one')
    await vi.waitFor(() => expect(textOf(beta, 'files/log')).toBe('one'))
    change(beta.storage)
    await files.append('files/log', ' two')
    await files.append('files/log', ' three')
    await vi.waitFor(() => expect(textOf(beta, 'files/log')).toBe('one two three'), 5000)
    await vi.waitFor(() => {
      expect(beta.found).toEqual([{ paths: ['files/log'], outcome: 'repaired' }])
    })
    const [incident] = await beta.node.vault.list()
    expect(incident).toMatchObject({ reason: 'outside', files: [{ path: 'files/log' }] })
    await alpha.node.inSync()
    await files.append('files/log', ' four')
    await vi.waitFor(() => expect(textOf(beta, 'files/log')).toBe('one two three four'))
    expect(beta.found).toHaveLength(1)
    expect(alpha.found).toEqual([])
  })

  it('an active says so once, and goes on', async () => {
    const { alpha, beta } = await pairOf(machineOf)
    const { files } = alpha.node
    await files.write('files/log', 'one')
    await vi.waitFor(() => expect(textOf(alpha, 'files/log')).toBe('one'))
    alpha.storage.outside.remove('files/log')
    await files.append('files/log', ' two')
    await vi.waitFor(() => {
      expect(alpha.found).toEqual([{ paths: ['files/log'], outcome: 'kept' }])
    })
    await files.append('files/log', ' three')
    await vi.waitFor(() => expect(textOf(beta, 'files/log')).toBe('one two three'))
    expect(alpha.found).toHaveLength(1)
    expect(beta.found).toEqual([])
    // It gets the file anew when it is active no more.
    await alpha.node.switchover()
    await vi.waitFor(() => expect(textOf(alpha, 'files/log')).toBe('one two three'), 5000)
  })
})
