import { describe, expect, it, vi } from 'vitest'
import { type ClusterNode, SyncPolicy, synced } from '../../src/index.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// Names that differ only in case are two files on one system and one on another: no node may ever
// mix them up, whatever way they come.

const nodeOf = nodesOn()
const classes = { files: synced('files/**') }
const allow = new SyncPolicy(classes, { namesDifferingByCase: 'allow' })

const refusal = (path: string, otherPath: string) => ({
  code: 'PATH_CONFLICT',
  details: { path, otherPath },
})
const textOf = (storage: MemoryStorage, path: string): string =>
  Buffer.from(storage.outside.read(path) ?? []).toString()
const filesOn = (storage: MemoryStorage): Record<string, string> =>
  Object.fromEntries(storage.outside.list().map((path) => [path, textOf(storage, path)]))

async function lists(node: ClusterNode): Promise<string[]> {
  return (await node.files.list()).map(({ path }) => path)
}

async function becomesStuck(node: ClusterNode): Promise<void> {
  await vi.waitFor(() => expect(node.status().stuck).toMatch(/^PATH_CONFLICT: /), 5000)
}

describe('a new file whose name differs from another only in case', () => {
  it('is refused by the active, for every storage and every kind of write', async () => {
    for (const foldsCase of [false, true]) {
      const storage = memory({ foldsCase })
      const alpha = nodeOf('alpha', { storage })
      await alpha.start()
      const { files } = alpha
      await files.write('files/data/a', 'one')
      const twin = 'files/data/A'
      const writes = [
        files.write(twin, 'x'),
        files.append(twin, 'x'),
        files.patch(twin, 0, 'x'),
        files.truncate(twin, 1),
        files.write(twin, Buffer.alloc(500_000)),
        alpha.transaction((tx) => tx.files.write(twin, 'x')),
      ]
      for (const outcome of await Promise.allSettled(writes)) {
        expect(outcome).toMatchObject({ reason: refusal(twin, 'files/data/a') })
      }
      await expect(files.write('files/DATA/b', 'x')).rejects.toMatchObject(
        refusal('files/DATA/b', 'files/data'),
      )
      // Removing what is not there takes nothing from the other one.
      await files.remove(twin)
      await files.append('files/data/a', ' two')
      await vi.waitFor(() => expect(filesOn(storage)).toEqual({ 'files/data/a': 'one two' }))
      expect(alpha.role).toBe('active')
      await alpha.stop()
    }
  })

  it('is refused beside one of the same batch or transaction, and accepted once the other is removed', async () => {
    const storage = memory({ foldsCase: true })
    const alpha = nodeOf('alpha', { storage })
    await alpha.start()
    const { files } = alpha
    const outcomes = await Promise.allSettled([
      files.write('files/a', 'a'),
      files.write('files/A', 'A'),
      files.remove('files/a'),
      files.write('files/A', 'B'),
      files.write('files/X/1', '1'),
      files.write('files/x/2', '2'),
    ])
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      false,
      true,
      true,
      true,
      false,
    ])
    const together = alpha.transaction(async (tx) => {
      await tx.files.write('files/new', 'x')
      await tx.files.write('files/New', 'x')
    })
    await expect(together).rejects.toMatchObject(refusal('files/New', 'files/new'))
    await files.write('files/NEW', 'free')
    await alpha.transaction(async (tx) => {
      await tx.files.remove('files/NEW')
      await tx.files.write('files/new', 'renamed')
    })
    await vi.waitFor(() =>
      expect(filesOn(storage)).toEqual({
        'files/A': 'B',
        'files/X/1': '1',
        'files/new': 'renamed',
      }),
    )
    await alpha.stop()
    const again = nodeOf('alpha', { storage })
    await again.start()
    expect(await lists(again)).toEqual(['files/A', 'files/X/1', 'files/new'])
    expect(again.status().skippedPaths.count).toBe(0)
  })

  it('is a separate file if the policy allows it, unless the storage treats both as one', async () => {
    const [storage, other] = [memory(), memory()]
    const alpha = nodeOf('alpha', { storage, policy: allow })
    const beta = nodeOf('beta', { storage: other, policy: allow })
    await alpha.start()
    await alpha.files.write('files/a', '1')
    await alpha.files.write('files/A', '2')
    await beta.start()
    await alpha.files.write('files/Folder/a', '3')
    await alpha.files.write('files/folder/a', '4')
    await vi.waitFor(() =>
      expect(Object.values(filesOn(other)).sort()).toEqual(['1', '2', '3', '4']),
    )
    expect(filesOn(other)).toEqual(filesOn(storage))
    const folding = nodeOf('beta', { storage: memory({ foldsCase: true }), policy: allow })
    await beta.stop()
    await expect(folding.start()).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option: 'namesDifferingByCase' },
    })
  })
})

describe('existing files that differ only in case', () => {
  it('are not adopted, and the error names both; where the policy allows them, they are', async () => {
    const storage = memory()
    storage.outside.write('files/Readme', Buffer.from('1'))
    storage.outside.write('files/README', Buffer.from('2'))
    const alpha = nodeOf('alpha', { storage })
    await expect(alpha.start({ adopt: true })).rejects.toMatchObject(
      refusal('files/README', 'files/Readme'),
    )
    await alpha.stop()
    const allowing = nodeOf('alpha', { storage, policy: allow })
    await allowing.start({ adopt: true })
    expect(await lists(allowing)).toEqual(['files/README', 'files/Readme'])
    await allowing.stop()
    // Old files that differ stay what they are, and are written to as before; a third one is not
    // taken.
    const refusing = nodeOf('alpha', { storage })
    await refusing.start()
    await refusing.files.append('files/README', '!')
    await refusing.files.append('files/Readme', '!')
    expect(Buffer.from(await refusing.files.read('files/README')).toString()).toBe('2!')
    await expect(refusing.files.write('files/readme', 'x')).rejects.toMatchObject({
      code: 'PATH_CONFLICT',
    })
  })

  it('one that another program put beside a synced file is reported at each start, and left alone', async () => {
    const storage = memory()
    const alpha = nodeOf('alpha', { storage })
    await alpha.start()
    await alpha.files.write('files/a', 'mine')
    await alpha.stop()
    storage.outside.write('files/A', Buffer.from('theirs'))
    storage.outside.write('files/new/B', Buffer.from('1'))
    storage.outside.write('files/new/b', Buffer.from('2'))
    const again = nodeOf('alpha', { storage })
    const told: string[] = []
    again.on('skippedPath', ({ path, why }) => told.push(`${path} ${why}`))
    await again.start()
    expect(told).toEqual([
      'files/A its path differs from "files/a" only in case',
      'files/new/b its path differs from "files/new/B" only in case',
    ])
    await vi.waitFor(async () => expect(await lists(again)).toEqual(['files/a', 'files/new/B']))
    expect(textOf(storage, 'files/A')).toBe('theirs')
  })
})

describe('a standby whose storage treats names that differ only in case as one', () => {
  it('restores neither of two such files, reports it, and continues when one of the two is gone', async () => {
    const alpha = nodeOf('alpha', { policy: allow })
    await alpha.start()
    await alpha.files.write('files/a', '1')
    await alpha.files.write('files/A', '2 and longer')
    const storage = memory({ foldsCase: true })
    const beta = nodeOf('beta', { storage })
    const started = beta.start()
    started.catch(() => undefined)
    await becomesStuck(beta)
    expect(beta.status().stuck).toMatch(/files\/a' .*files\/A'|files\/A' .*files\/a'/)
    expect(filesOn(storage)).toEqual({})
    await alpha.files.remove('files/A')
    await started
    await vi.waitFor(() => expect(filesOn(storage)).toEqual({ 'files/a': '1' }))
    expect(beta.status().stuck).toBeUndefined()
  })

  it('follows no change of such files, reports it, and continues when one of the two is gone', async () => {
    const alpha = nodeOf('alpha', { policy: allow })
    await alpha.start()
    await alpha.files.write('files/a', '1')
    const storage = memory({ foldsCase: true })
    const beta = nodeOf('beta', { storage })
    await beta.start()
    await alpha.files.write('files/A', '2 and longer')
    await becomesStuck(beta)
    expect(beta.role).not.toBe('active')
    expect(filesOn(storage)).toEqual({ 'files/a': '1' })
    await alpha.files.remove('files/a')
    await vi.waitFor(() => expect(filesOn(storage)).toEqual({ 'files/A': '2 and longer' }), 5000)
    await alpha.inSync()
    await vi.waitFor(() => expect(beta.status().stuck).toBeUndefined())
    await alpha.files.write('files/b', 'x', { ack: 'all' })
    expect(await lists(beta)).toEqual(['files/A', 'files/b'])
  })

  it('keeps a file when another spelling of it is removed on the active while it is away', async () => {
    const alpha = nodeOf('alpha', { policy: allow })
    await alpha.start()
    await alpha.files.write('files/A', 'stays')
    const storage = memory({ foldsCase: true })
    const beta = nodeOf('beta', { storage })
    await beta.start()
    await beta.stop()
    // By the journal it could not follow; what it is restored by names a removal of what it never
    // had.
    await alpha.files.write('files/a', 'comes')
    await alpha.files.remove('files/a')
    const again = nodeOf('beta', { storage })
    await again.start()
    await vi.waitFor(() => expect(filesOn(storage)).toEqual({ 'files/A': 'stays' }), 5000)
    await alpha.inSync()
    expect(filesOn(storage)).toEqual({ 'files/A': 'stays' })
    expect(await again.vault.list()).toEqual([])
  })

  it.each(['while it follows', 'while it is away'])(
    'has a file under its new name that was renamed in case, %s',
    async (when) => {
      const alpha = nodeOf('alpha')
      await alpha.start()
      await alpha.files.write('files/a', '1')
      await alpha.files.write('files/Old/x', '2')
      const storage = memory({ foldsCase: true })
      let beta = nodeOf('beta', { storage })
      await beta.start()
      if (when === 'while it is away') await beta.stop()
      await alpha.transaction(async (tx) => {
        await tx.files.remove('files/a')
        await tx.files.write('files/A', 'renamed')
      })
      await alpha.files.remove('files/Old/x')
      await alpha.files.write('files/old/x', 'renamed')
      if (when === 'while it is away') {
        beta = nodeOf('beta', { storage })
        await beta.start()
      }
      const expected = { 'files/A': 'renamed', 'files/old/x': 'renamed' }
      await vi.waitFor(() => expect(filesOn(storage)).toEqual(expected), 5000)
      await beta.stop()
      const again = nodeOf('beta', { storage })
      await again.start()
      expect(await lists(again)).toEqual(Object.keys(expected))
      expect(filesOn(storage)).toEqual(expected)
    },
  )
})
