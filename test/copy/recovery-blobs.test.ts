import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import { HotspareError } from '../../src/errors.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  bytesOf,
  EntryMaker,
  openCopy,
  owner,
  put,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  watched,
} from './support.js'

describe('recovery of blobs', () => {
  test('blobs are kept as long as their entry, and those without an entry are removed at the start', async () => {
    const storage = memory()
    const limits = { ...smallLimits, journalBytesMax: 20_000, checkpointBytes: 5000 }
    const node = await startNode(storage, { limits })
    const inner = node.copy
    const maker = new EntryMaker()
    inner.append(maker.open())
    await node.store('orphan', 10)
    for (let at = 0; at < 30; at += 1) {
      const id = `blob${at}`
      await node.store(id, 3000)
      const blob = { id, bytes: 3000, crc: 0 }
      const change = { kind: 'put', className: 'docs', path: `docs/${at}`, mode: 0o644 } as const
      inner.append(maker.batch({ ...change, bytes: undefined, blob }))
      expect(inner.blobs.has(id)).toBe(true)
      expect(inner.files.stat(`docs/${at}`)?.size).toBe(3000)
      expect((await bytesOf(inner, `docs/${at}`)).length).toBe(3000)
      await inner.settle()
    }
    await inner.checkpoint()
    // The limit counts them, and they go with the segment that names them.
    const left = await node.stored()
    expect(left.length).toBeLessThan(12)
    expect(left).toContain('blob29')
    expect(inner.blobs.has('blob0')).toBe(false)
    await inner.close()
    storage.crash(new SeededRandom(1))
    const again = await startNode(storage, { limits })
    expect(await again.stored()).not.toContain('orphan')
    expect(await again.stored()).toContain('blob29')
    expect(again.copy.blobs.has('blob29')).toBe(true)
    // What the last trim removed was named by the checkpoint before it.
    const stored = await again.stored()
    for (let at = 0; at < 30; at += 1) {
      expect(again.copy.blobs.has(`blob${at}`), `blob${at}`).toBe(stored.includes(`blob${at}`))
    }
    expect(again.copy.files.list()).toHaveLength(30)
    await again.copy.close()
  })

  test('a blob that the checkpoint names and the trim after it removed does not count as stored', async () => {
    const storage = memory()
    const limits = { ...smallLimits, journalBytesMax: 20_000, checkpointBytes: 1e9 }
    const node = await startNode(storage, { limits })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    for (let at = 0; node.copy.firstSeq === 1; at += 1) {
      await node.store(`blob${at}`, 3000)
      const blob = { id: `blob${at}`, bytes: 3000, crc: 0 }
      node.copy.append(maker.batch({ ...put(`docs/${at}`, ''), bytes: undefined, blob } as Change))
      await node.copy.settle()
      await node.copy.checkpoint()
    }
    storage.crash(new SeededRandom(1), { powerCut: false })
    const again = await startNode(storage, { limits })
    expect(await again.stored()).not.toContain('blob0')
    expect(again.copy.blobs.has('blob0')).toBe(false)
    await again.copy.close()
  })

  test('blobs that cannot be removed do not fail the copy, and are removed at the next start', async () => {
    const storage = memory()
    const limits = { ...smallLimits, journalBytesMax: 20_000, checkpointBytes: 5000 }
    const inner = await storage.open(owner())
    let refused = 0
    const open = watched(inner, (what) => {
      if (what !== 'objects.remove') return
      refused += 1
      throw new HotspareError('STORAGE_FAILED', 'not now')
    })
    const copy = await openCopy(open, testPolicy(new TestState()), { limits })
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 20; at += 1) {
      const slice = { name: `blob${at}`, offset: 0, start: 0, length: 3000 }
      await inner.objects.write('blobs', new Uint8Array(3000), [slice])
      await inner.objects.sync('blobs', [slice.name])
      const blob = { id: slice.name, bytes: 3000, crc: 0 }
      copy.append(maker.batch({ ...put(`docs/${at}`, ''), bytes: undefined, blob } as Change))
      await copy.settle()
    }
    await copy.checkpoint()
    expect(refused).toBeGreaterThan(0)
    expect(copy.failed).toBeUndefined()
    expect((await inner.objects.list('blobs')).length).toBe(20)
    await copy.close()
    storage.crash(new SeededRandom(1))
    const again = await startNode(storage, { limits })
    const stored = await again.stored()
    expect(stored.length).toBeLessThan(12)
    for (let at = 0; at < 20; at += 1) {
      expect(again.copy.blobs.has(`blob${at}`), `blob${at}`).toBe(stored.includes(`blob${at}`))
    }
    await again.copy.close()
  })
})
