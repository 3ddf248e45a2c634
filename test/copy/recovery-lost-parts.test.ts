import { describe, expect, test } from 'vitest'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { breakIt } from './recovery-support.js'
import { EntryMaker, owner, put, smallLimits, startNode, update } from './support.js'

describe('recovery without a part of the copy', () => {
  test('a broken checkpoint or index is replaced by a journal that starts with the first change', async () => {
    for (const isTrimmed of [false, true]) {
      for (const what of ['index', 'checkpoint'] as const) {
        const storage = memory()
        const limits = { ...smallLimits, journalBytesMax: isTrimmed ? 8000 : 1e9 }
        const node = await startNode(storage, { limits })
        const maker = new EntryMaker()
        node.copy.append(maker.open())
        for (let at = 0; at < 40; at += 1) {
          node.copy.append(maker.batch(put(`docs/${at}`, 'x'.repeat(400)), update('x', 1)))
          await node.copy.flush()
        }
        await node.copy.close()
        storage.crash(new SeededRandom(1), { powerCut: false })
        await breakIt(storage, what)
        const again = await startNode(storage, { limits })
        const where = `${what}, ${isTrimmed ? 'trimmed' : 'whole'}`
        expect(again.copy.complete, where).toBe(!isTrimmed)
        if (!isTrimmed) {
          expect(again.copy.files.list(), where).toHaveLength(40)
          expect(again.state.values.get('x'), where).toBe(40)
          continue
        }
        expect(again.events, where).toContainEqual(
          expect.objectContaining({ name: 'journalDamaged' }),
        )
        expect(() => again.copy.append(maker.batch(update('x', 1)))).toThrow()
      }
    }
  })

  test('a missing journal makes the copy incomplete, also after restarts', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), update('x', 1)))
    await node.copy.close()
    node.storage.crash(new SeededRandom(1))
    const raw = await node.storage.open(owner())
    const logs = await raw.logs.list('journal')
    await raw.logs.remove(
      'journal',
      logs.map(({ name }) => name),
    )
    await raw.close()
    for (let start = 0; start < 2; start += 1) {
      const again = await startNode(node.storage)
      expect(again.copy.complete).toBe(false)
      expect(again.copy.seq).toBe(2)
      expect(again.events).toContainEqual(expect.objectContaining({ name: 'journalDamaged' }))
      await again.copy.close()
      node.storage.crash(new SeededRandom(1))
    }
  })
})
