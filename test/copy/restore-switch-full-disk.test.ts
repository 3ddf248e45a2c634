import { describe, expect, test } from 'vitest'
import {
  newContent,
  newTerm,
  oldContent,
  oldTerm,
  openTarget,
  reopened,
  restore,
  target,
} from './restore-switch-support.js'
import { contentOf, EntryMaker, update, watched } from './support.js'

describe('the switch to a staged restore: full disks', () => {
  test('a disk that fills up during the switch leaves it pending; reopen finishes it', async () => {
    const storage = await target()
    let isOn = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        if (isOn && what === 'tree.apply') storage.faults.full = true
      }),
    )
    isOn = true
    await expect(restore(node.copy, node.used)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    expect(node.copy.complete).toBe(false)
    expect(node.copy.failed?.code).toBe('STORAGE_FULL')
    expect(() => node.copy.append(new EntryMaker(newTerm, 54).batch(update('x', 1)))).toThrow()
    await expect(node.copy.reopen()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    isOn = false
    storage.faults.full = false
    await node.copy.reopen()
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(newContent)
    await node.copy.close()
  })

  test('SYN-33 a disk that fills up at any call of the switch: reopen finishes it, or the old copy is kept', async () => {
    let news = 0
    for (let calls = 0; ; calls += 1) {
      const storage = await target()
      let left = Number.POSITIVE_INFINITY
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.faults.full = true
          left -= 1
        }),
      )
      left = calls
      const isDone = await restore(node.copy, node.used).then(
        () => true,
        () => false,
      )
      const where = `full from call ${calls} on`
      if (!isDone) await node.copy.reopen().catch(() => undefined)
      storage.faults.full = false
      const isFull = left < 0
      left = Number.POSITIVE_INFINITY
      await node.copy.reopen()
      expect(node.copy.complete, where).toBe(true)
      const content = await contentOf(node)
      const isNew = content.files['docs/f'] !== undefined
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      if (isNew) news += 1
      await node.copy.close()
      if (!isFull) break
    }
    expect(news).toBeGreaterThan(10)
  }, 60_000)

  test('a manifest that cannot be written leaves the old copy valid', async () => {
    const storage = await target()
    let isOn = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        storage.faults.full = isOn && what === 'documents.write'
      }),
    )
    await node.copy.checkpoint()
    isOn = true
    await expect(restore(node.copy, node.used)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    isOn = false
    storage.faults.full = false
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(oldContent)
    node.copy.append(new EntryMaker(oldTerm, 7).batch(update('x', 1)))
    await node.copy.close()
    const again = await openTarget(await reopened(storage))
    expect(again.copy.seq).toBe(8)
    await again.copy.close()
  })
})
