import { describe, expect, test } from 'vitest'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  base,
  delta,
  docsY,
  install,
  journalOf,
  manifest,
  newContent,
  oldContent,
  oldTerm,
  openTarget,
  restore,
  stageIncoming,
  target,
  untouched,
} from './restore-switch-support.js'
import { contentOf, EntryMaker, put, remove, text, treeOf, watched } from './support.js'

describe('the switch to a staged restore: crashes and stops', () => {
  test('SYN-33 changes of the old copy that only a damaged journal had are durable with the new one', async () => {
    let damaged = 0
    for (let seed = 1; damaged < 10; seed += 1) {
      const random = new SeededRandom(seed)
      const storage = await target()
      const before = await openTarget(storage)
      const maker = new EntryMaker(oldTerm, before.copy.seq)
      before.copy.append(maker.batch(put('docs/z', 'gone'), put('docs/y', 'y')))
      await before.copy.checkpoint()
      before.copy.append(maker.batch(remove('docs/z'), put('docs/keep', 'kept')))
      before.copy.append(maker.batch(put('docs/big', 'b'.repeat(2_000))))
      before.copy.append(maker.batch(remove('docs/big')))
      await before.copy.settle()
      // The process dies, and with it the knowledge of what still waits to be written out.
      storage.crash(random, { powerCut: false })
      for (const { name } of await journalOf(storage)) {
        storage.flipBit({ kind: 'log', area: 'journal', name }, random)
      }
      const node = await openTarget(storage)
      // A bit before the checkpoint, or in what a kill may tear, is nobody's loss.
      if (node.copy.failed?.code !== 'JOURNAL_CORRUPT') continue
      damaged += 1
      await restore(node.copy, node.used, { ...manifest, remove: [...manifest.remove, docsY] })
      await node.copy.settle()
      storage.crash(random)
      const again = await openTarget(storage)
      await again.copy.settle()
      expect(treeOf(storage), `seed ${seed}`).toEqual(newContent.files)
      await again.copy.close()
    }
  })

  test('SYN-33 a crash at any call leaves the complete old copy, or the new one', async () => {
    let olds = 0
    let news = 0
    for (let calls = 0; ; calls += 1) {
      const random = new SeededRandom(calls + 1)
      const storage = await target()
      let left = calls
      let isDone = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.crash(random)
          left -= 1
        }),
      ).catch(() => undefined)
      if (node !== undefined) {
        isDone = await restore(node.copy, node.used).then(
          () => true,
          () => false,
        )
      }
      storage.crash(random)
      const again = await openTarget(storage)
      const where = `crash before call ${calls}`
      expect(again.copy.complete, where).toBe(true)
      const content = await contentOf(again)
      const isNew = content.files['docs/f'] !== undefined
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      expect(treeOf(storage), where).toEqual(content.files)
      expect(again.copy.seq, where).toBe(isNew ? 54 : 7)
      expect(untouched(storage), where).toEqual(['mine', 'mine'])
      expect(again.copy.outside.report, where).toEqual({ unknown: [], differing: [], missing: [] })
      if (isDone) expect(isNew, where).toBe(true)
      if (isNew) news += 1
      else olds += 1
      await again.copy.close()
      if (isDone && left > 0) break
    }
    expect(olds).toBeGreaterThan(10)
    expect(news).toBeGreaterThan(10)
  }, 60_000)

  test('SYN-33 an orderly stop at any call of the switch leaves the complete old copy, or the new one', async () => {
    const seen = new Set<string>()
    for (let at = 0; ; at += 1) {
      const storage = await target()
      const holder: { copy?: LocalCopy; closing?: Promise<void> | undefined } = {}
      let count = 0
      let isWatched = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (!isWatched || holder.closing !== undefined) return
          count += 1
          if (count > at) holder.closing = holder.copy?.close()
        }),
      )
      holder.copy = node.copy
      isWatched = true
      await restore(node.copy, node.used).catch(() => undefined)
      if (holder.closing === undefined) break
      await holder.closing
      await node.used.close()
      const again = await openTarget(storage)
      const where = `closed at call ${at}`
      expect(again.copy.complete, where).toBe(true)
      const content = await contentOf(again)
      const isNew = again.copy.seq === 54
      seen.add(isNew ? 'new' : 'old')
      if (isNew) expect(content, where).toEqual(newContent)
      else expect(content, where).toEqual(oldContent)
      expect(untouched(storage), where).toEqual(['mine', 'mine'])
      await again.copy.close()
    }
    expect([...seen].sort()).toEqual(['new', 'old'])
  })

  test('SYN-33 so does a crash at any call of the roll-forward at the next start', async () => {
    for (let calls = 0; calls < 60; calls += 1) {
      const random = new SeededRandom(calls + 1000)
      const storage = await target()
      // The first crash comes as soon as the manifest is durable.
      let isStaged = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          if (isStaged) storage.crash(random, { powerCut: false })
          isStaged = what === 'documents.write' && isSwitching
        }),
      )
      let isSwitching = false
      await node.copy.restoreSwitch.begin(base, ['alpha'])
      isSwitching = true
      await restore(node.copy, node.used).catch(() => undefined)
      storage.crash(random, { powerCut: false })
      let left = calls
      const second = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.crash(random)
          left -= 1
        }),
      ).catch(() => undefined)
      await second?.copy.close()
      storage.crash(random)
      const again = await openTarget(storage)
      const content = await contentOf(again)
      const isNew = content.files['docs/f'] !== undefined
      const where = `crash before call ${calls} of the second start`
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      expect(treeOf(storage), where).toEqual(content.files)
      expect(again.copy.complete, where).toBe(true)
      await again.copy.close()
    }
  }, 60_000)

  test('a power cut during the switch does not bring back abandoned files of the restore', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const storage = await target()
      let isArmed = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          if (isArmed && what === 'tree.takeIn') storage.crash(new SeededRandom(seed))
        }),
      )
      await node.copy.restoreSwitch.begin(base)
      await stageIncoming(node.used, 'docs/gone', text('was at the source'))
      await node.used.objects.sync('incoming', ['docs/gone'])
      await node.used.objects.remove('incoming', ['docs/gone'])
      await stageIncoming(node.used, 'docs/b', text('b'))
      isArmed = true
      const switched = node.copy.restoreSwitch.switchTo({
        ...delta,
        install: [install('docs/b', undefined, 40)],
      })
      await expect(switched).rejects.toThrow()
      const again = await openTarget(storage)
      const files = { ...oldContent.files, 'docs/b': 'b' }
      expect(treeOf(storage), `seed ${seed}`).toEqual(files)
      await again.copy.close()
    }
  })
})
