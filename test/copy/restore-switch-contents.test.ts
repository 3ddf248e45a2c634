import { describe, expect, test } from 'vitest'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  base,
  beginDelta,
  delta,
  install,
  manifest,
  newContent,
  newTerm,
  oldContent,
  openTarget,
  reopened,
  restore,
  stage,
  stageIncoming,
  target,
  untouched,
} from './restore-switch-support.js'
import {
  contentOf,
  EntryMaker,
  needsRepair,
  openCopy,
  owner,
  put,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
  update,
  watched,
} from './support.js'

describe('the switch to a staged restore: what it replaces', () => {
  test('SYN-3 SYN-22 replaces everything that is synced, including unknown files, and nothing else', async () => {
    const storage = await target()
    storage.outside.write('docs/planted', text('alien'))
    const node = await openTarget(storage)
    expect(node.copy.outside.report.unknown.map(({ path }) => path)).toEqual(['docs/planted'])
    await restore(node.copy, node.used)
    expect(node.copy.complete).toBe(true)
    expect(needsRepair(node.copy)).toBe(false)
    await node.copy.settle()
    expect(await contentOf(node)).toEqual(newContent)
    expect(treeOf(storage)).toEqual(newContent.files)
    expect(untouched(storage)).toEqual(['mine', 'mine'])
    expect(node.copy.extent).toEqual({ history: base.history, seq: 54 })
    expect(node.copy.inSync).toEqual(['alpha'])
    expect(node.copy.ackedSeq).toBe(48)
    expect(node.copy.firstSeq).toBe(51)
    expect(node.copy.index.get('docs/keep')?.version).toBe(45)
    expect(node.copy.index.get('docs/a')).toMatchObject({ version: 40, mode: 0o640 })
    expect(node.copy.index.tombstoneFloor).toBe(50)
    expect(await node.used.objects.list('staging')).toEqual([])
    expect(await node.used.objects.list('incoming')).toEqual([])
    const maker = new EntryMaker(newTerm, 54)
    const { ordinal } = node.copy.append(maker.batch(put('docs/a', 'and on')))
    expect(ordinal).toBe(node.copy.lastOrdinal)
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    const again = await openTarget(storage)
    expect(again.copy.seq).toBe(55)
    expect(again.copy.outside.report).toEqual({ unknown: [], differing: [], missing: [] })
    expect(treeOf(storage)['docs/a']).toBe('and on')
    await again.copy.close()
  })

  test('a switch moves only what its manifest names', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    await beginDelta(node.copy, node.used)
    await stageIncoming(node.used, 'docs/stray', text('of an earlier attempt'))
    await node.copy.restoreSwitch.switchTo(delta)
    expect(treeOf(storage)).toEqual({ ...oldContent.files, 'docs/a': 'new a' })
    await node.copy.close()
  })

  test('a complete restore leaves a file that it does not name, and the next start finds it', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    storage.outside.write('docs/late', text('came after the decision'))
    await restore(node.copy, node.used)
    await node.copy.close()
    expect(treeOf(storage)['docs/late']).toBe('came after the decision')
    const again = await openTarget(await reopened(storage))
    expect(again.copy.outside.report.unknown.map(({ path }) => path)).toEqual(['docs/late'])
    await again.copy.close()
  })

  test.each([undefined, 'r2/b'])(
    'a file that somebody removes in an unfinished switch is found missing by the next start (object %s)',
    async (object) => {
      const storage = await target()
      let isArmed = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          // The files are in their places, and the process dies before the new journal is.
          const died = isArmed && what === 'logs.replace'
          if (died) storage.crash(new SeededRandom(1), { powerCut: false })
        }),
      )
      await node.copy.restoreSwitch.begin(base)
      if (object === undefined) await stageIncoming(node.used, 'docs/b', text('b'))
      else await stage(node.used, object, text('b'))
      isArmed = true
      const manifest = { ...delta, install: [install('docs/b', object, 40)] }
      await expect(node.copy.restoreSwitch.switchTo(manifest)).rejects.toThrow()
      expect(treeOf(storage)['docs/b']).toBe('b')
      storage.outside.remove('docs/b')
      const again = await openTarget(storage)
      expect(again.copy.seq).toBe(base.seq)
      expect(again.copy.outside.report.missing).toEqual(['docs/b'])
      expect(needsRepair(again.copy)).toBe(true)
      await again.copy.close()
    },
  )

  test('adopted files stay unchanged, whatever an unfinished restore left behind', async () => {
    const storage = memory()
    storage.outside.write('docs/a', text('the file of years'))
    const inner = await storage.open(owner())
    const copy = await openCopy(inner, testPolicy(new TestState()))
    await stageIncoming(inner, 'docs/a', text('half'))
    await stageIncoming(inner, 'docs/b', text('half'))
    await copy.restoreSwitch.adopt(newTerm)
    expect(copy.files.list()).toEqual(['docs/a'])
    await copy.close()
    expect(treeOf(storage)).toEqual({ 'docs/a': 'the file of years' })
  })

  test('a state that the restore does not contain is lost, and reported', async () => {
    const node = await openTarget(await target())
    await node.copy.restoreSwitch.begin(base)
    await node.copy.restoreSwitch.switchTo({ ...manifest, install: [], keep: [], states: [] })
    expect(node.copy.stateNeedsRestore).toEqual(['kv'])
    expect(node.copy.complete).toBe(false)
    await node.copy.close()
  })

  test('a copy with a damaged journal is repaired by a restore', async () => {
    const storage = await target()
    const raw = await storage.open(owner())
    const [segment] = await raw.logs.list('journal')
    await raw.logs.remove('journal', [segment?.name ?? ''])
    await raw.close()
    const node = await openTarget(storage)
    expect(node.copy.complete).toBe(false)
    await restore(node.copy, node.used)
    expect(node.copy.complete).toBe(true)
    expect(node.copy.failed).toBeUndefined()
    expect(await contentOf(node)).toEqual(newContent)
    await node.copy.close()
  })

  test('files from before the library are adopted as the first change, without copying', async () => {
    const storage = memory()
    storage.outside.write('docs/a', text('was here'))
    storage.outside.write('config/b', text('was here, too'))
    storage.outside.write('local/c', text('mine'))
    const node = await startNode(storage)
    node.state.values.set('before', 7)
    expect(node.copy.seq).toBe(0)
    expect(node.copy.outside.report.unknown).toHaveLength(2)
    await node.copy.restoreSwitch.adopt(newTerm)
    expect(node.copy.extent).toEqual({ history: [{ ...newTerm, firstSeq: 1 }], seq: 1 })
    expect(node.copy.files.list()).toEqual(['config/b', 'docs/a'])
    expect(node.copy.index.get('docs/a')).toMatchObject({ version: 1, className: 'docs', size: 8 })
    expect(needsRepair(node.copy)).toBe(false)
    expect(node.copy.firstSeq).toBe(2)
    const maker = new EntryMaker(newTerm, 1)
    node.copy.append(maker.batch(update('x', 1)))
    await node.copy.close()
    const again = await startNode(await reopened(storage))
    expect(again.state.values).toEqual(new Map(Object.entries({ before: 7, x: 1 })))
    expect(again.copy.seq).toBe(2)
    expect(treeOf(storage, '')).toEqual({
      'config/b': 'was here, too',
      'docs/a': 'was here',
      'local/c': 'mine',
    })
    await again.copy.close()
  })
})
