import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  EntryMaker,
  needsRepair,
  owner,
  patch,
  put,
  remove,
  startNode,
  text,
  treeOf,
  truncate,
} from './support.js'

describe('recovery of files that another program changed', () => {
  const nothing = { unknown: [], differing: [], missing: [] }

  /** A checkpoint with `base`, then more changes, and a kill. */
  async function killed(base: readonly Change[], more: readonly Change[]): Promise<MemoryStorage> {
    const storage = memory()
    const { copy } = await startNode(storage)
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(...base))
    await copy.checkpoint()
    copy.append(maker.batch(...more))
    await copy.settle()
    storage.crash(new SeededRandom(1), { powerCut: false })
    return storage
  }

  test('OPS-2: changes in place are not repeated over a file that replaced theirs', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one'), put('docs/quiet', 'as it was')],
      [patch('docs/a', 3, ' two'), patch('docs/b', 3, ' two'), truncate('docs/b', 5)],
    )
    storage.outside.write('docs/a', text('ONE'))
    const { copy } = await startNode(storage)
    expect(treeOf(storage)['docs/a']).toBe('ONE')
    expect(treeOf(storage)['docs/b']).toBe('one t')
    expect(copy.outside.report).toMatchObject({
      unknown: [],
      differing: [{ path: 'docs/a' }],
      missing: [],
    })
    expect(copy.index.get('docs/a')).toMatchObject({ size: 7, version: 4 })
    expect(copy.complete).toBe(true)
    // A stop in order, or another kill, changes nothing about that.
    await copy.checkpoint()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const again = await startNode(storage)
    expect(again.copy.outside.report).toMatchObject({ differing: [{ path: 'docs/a' }] })
    expect(treeOf(storage)['docs/a']).toBe('ONE')
    await again.copy.close()
  })

  test("OPS-2: a mixture of changes in place and another program's file is not taken for the history, also after a restart", async () => {
    const storage = memory()
    const maker = new EntryMaker()
    const first = await startNode(storage)
    first.copy.append(maker.open())
    first.copy.append(maker.batch(put('docs/a', 'history'), put('docs/b', 'history')))
    await first.copy.settle()
    await first.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    // One of the same size, and one that is shorter.
    storage.outside.write('docs/a', text('EDITED!'))
    storage.outside.write('docs/b', text('ED'))
    const second = await startNode(storage)
    second.copy.append(maker.batch(patch('docs/a', 7, ' one'), patch('docs/b', 7, ' one')))
    await second.copy.settle()
    second.copy.append(maker.batch(patch('docs/b', 11, ' two')))
    await second.copy.settle()
    // The next offset of whoever appends is that of the history.
    expect(second.copy.index.get('docs/b')).toMatchObject({ size: 15, version: 5 })
    for (const path of ['docs/a', 'docs/b']) {
      await expect(second.copy.files.read(path)).rejects.toMatchObject({ code: 'CHANGED_OUTSIDE' })
    }
    await second.copy.checkpoint()
    await second.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const third = await startNode(storage)
    const differing = third.copy.outside.report.differing.map(({ path }) => path)
    expect(differing.sort()).toEqual(['docs/a', 'docs/b'])
    // Whole contents make it the history's again.
    third.copy.append(maker.batch(put('docs/a', 'anew')))
    await third.copy.settle()
    await third.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const fourth = await startNode(storage)
    expect(fourth.copy.outside.report.differing.map(({ path }) => path)).toEqual(['docs/b'])
    await fourth.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
  })

  test('OPS-2: changes in place are not repeated over a file with a size that none of them leaves', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [patch('docs/a', 3, ' two'), patch('docs/b', 3, ' two')],
    )
    const { outside } = storage
    const inode = outside.stat('docs/a')?.inode
    const open = await storage.open(owner())
    await open.tree.apply([{ kind: 'truncate', path: 'docs/a', size: 2 }])
    await open.tree.apply([{ kind: 'truncate', path: 'docs/b', size: 5 }])
    await open.close()
    expect(outside.stat('docs/a')?.inode).toBe(inode)
    const { copy } = await startNode(storage)
    // That of the other one may be torn.
    expect(treeOf(storage)).toEqual({ 'docs/a': 'on', 'docs/b': 'one two' })
    expect(copy.outside.report.differing.map(({ path }) => path)).toEqual(['docs/a'])
    await copy.close()
  })

  test('OPS-2: a removed file is reported as missing, and not rebuilt from its last changes', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [patch('docs/a', 3, ' two'), remove('docs/b'), patch('docs/b', 0, 'new')],
    )
    storage.outside.remove('docs/a')
    storage.outside.remove('docs/b')
    const { copy } = await startNode(storage)
    // The other one may have been removed by the node.
    expect(treeOf(storage)).toEqual({ 'docs/b': 'new' })
    expect(copy.outside.report).toEqual({ ...nothing, missing: ['docs/a'] })
    await copy.close()
  })

  test('OPS-2: a file that began with a change in place is rebuilt from nothing', async () => {
    const storage = await killed(
      [put('docs/a', 'one')],
      [patch('docs/new', 0, 'one'), patch('docs/new', 3, ' two'), truncate('docs/new', 5)],
    )
    storage.outside.write('docs/new', text('edited!'))
    const { copy } = await startNode(storage)
    // It could be one of the node's own, torn. So it is taken for that, and is the history's all
    // the same.
    expect(treeOf(storage)).toEqual({ 'docs/a': 'one', 'docs/new': 'one t' })
    expect(copy.outside.report).toEqual(nothing)
    await copy.close()
  })

  test('OPS-2: a file that is replaced or removed is kept if it cannot be a version of the history', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [put('docs/a', 'two'), put('docs/new', 'new'), remove('docs/b')],
    )
    storage.outside.write('docs/a', text('edited'))
    storage.outside.write('docs/b', text('back'))
    storage.outside.write('docs/new', text('edited'))
    const { copy } = await startNode(storage)
    expect(treeOf(storage)).toEqual({ 'docs/a': 'edited', 'docs/b': 'back', 'docs/new': 'edited' })
    const { differing, unknown, missing } = copy.outside.report
    expect(differing.map(({ path }) => path)).toEqual(['docs/a', 'docs/new'])
    expect(unknown.map(({ path }) => path)).toEqual(['docs/b'])
    expect(missing).toEqual([])
    expect(copy.index.get('docs/b')).toBeUndefined()
    await copy.close()
  })
  test('outside changes in the tree are reported, by size, time and inode alone', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), put('docs/b', 'b'), put('docs/c', 'c')))
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    storage.outside.write('docs/a', text('other'))
    storage.outside.remove('docs/b')
    storage.outside.write('docs/new', text('new'))
    storage.outside.write('local/mine', text('mine'))
    storage.outside.write('unclaimed', text('mine'))
    const again = await startNode(storage)
    const outside = again.copy.outside.report
    expect(outside.differing.map(({ path }) => path)).toEqual(['docs/a'])
    expect(outside.missing).toEqual(['docs/b'])
    expect(outside.unknown.map(({ path }) => path)).toEqual(['docs/new'])
    expect(needsRepair(again.copy)).toBe(true)
    expect(again.events).toEqual([])
    await again.copy.close()
  })
})
