import { describe, expect, it, vi } from 'vitest'
import { type ClusterNode, HotspareError } from '../../src/index.js'
import type { OpenStorage, Storage } from '../../src/interfaces/storage.js'
import type { TreeStore } from '../../src/interfaces/tree-store.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn, pairOf } from './nodes.js'

// Files of synced classes that somebody else changes while the node runs. They are noticed when a
// change in place meets them, because they have not the size that the changes before it make of
// them.

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

describe('a file that another program changes while the node runs', () => {
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

  it.each([
    {
      what: 'is longer',
      change: (disk: MemoryStorage) => disk.outside.write('files/log', Buffer.from('longer')),
    },
    { what: 'is gone', change: (disk: MemoryStorage) => disk.outside.remove('files/log') },
  ])(
    'OPS-18: no read returns a part of one that $what: an active reports it, a standby restores it',
    async ({ what, change }) => {
      const { alpha, beta } = await pairOf(machineOf)
      const { files } = alpha.node
      await files.write('files/log', 'one')
      for (const machine of [alpha, beta]) {
        await vi.waitFor(() => expect(textOf(machine, 'files/log')).toBe('one'))
        change(machine.storage)
        const read = machine.node.files.read('files/log')
        await expect(read, what).rejects.toMatchObject({ code: 'CHANGED_OUTSIDE' })
      }
      expect(alpha.found).toEqual([{ paths: ['files/log'], outcome: 'kept' }])
      // The active cannot give it to the standby before it is written anew.
      await files.write('files/log', 'anew')
      await vi.waitFor(() => expect(textOf(beta, 'files/log')).toBe('anew'), 5000)
      expect(Buffer.from(await files.read('files/log')).toString()).toBe('anew')
    },
  )

  it('an active reports it once, and continues', async () => {
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

/** The same disk, on which nobody can read one path. */
function unreadable(storage: MemoryStorage, path: string): Storage {
  const open = async (owner: Parameters<Storage['open']>[0]): Promise<OpenStorage> => {
    const opened = await storage.open(owner)
    const { documents, logs, objects, tree } = opened
    const read: TreeStore['read'] = (requests, lend) =>
      requests.some((request) => request.path === path)
        ? Promise.reject(new HotspareError('STORAGE_FAILED', `${path} cannot be read`))
        : tree.read(requests, lend)
    const changed = new Proxy(tree, {
      get: (target, name) => {
        const value: unknown = name === 'read' ? read : Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return { documents, logs, objects, tree: changed, close: () => opened.close() }
  }
  return { name: 'unreadable', open }
}

describe('a file that another program changed while the node was stopped', () => {
  const members = [{ id: 'alpha', address: 'alpha.test' }]

  it('OPS-2: one that cannot be read prevents nothing, and is reported with the reason', async () => {
    const storage = memory()
    const before = nodeOf('alpha', { storage, members })
    await before.start()
    for (const name of ['a', 'b', 'c']) await before.files.write(`files/${name}`, `first ${name}`)
    await before.stop()
    for (const name of ['a', 'b', 'c']) {
      storage.outside.write(`files/${name}`, Buffer.from(`edited ${name}`))
    }
    const node = nodeOf('alpha', { storage: unreadable(storage, 'files/b'), members })
    const found: string[] = []
    node.on('outsideChange', ({ paths, outcome }) => found.push(`${outcome} ${paths.join()}`))
    node.on('error', (error) => found.push((error as HotspareError).code))
    await node.start()
    expect(node.role).toBe('active')
    expect(found).toEqual(['adopted files/a,files/c', 'kept files/b', 'STORAGE_FAILED'])
    expect(Buffer.from(await node.files.read('files/a')).toString()).toBe('edited a')
    await expect(node.files.read('files/b')).rejects.toMatchObject({ code: 'CHANGED_OUTSIDE' })
    await node.files.write('files/b', 'anew')
    expect(Buffer.from(storage.outside.read('files/a') ?? []).toString()).toBe('edited a')
  })
})
