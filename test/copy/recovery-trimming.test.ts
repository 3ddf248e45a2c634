import { describe, expect, test } from 'vitest'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { EntryMaker, put, smallLimits, startNode, update } from './support.js'

describe('trimming of the journal by checkpoints', () => {
  test('the journal is trimmed in whole segments below the checkpoint, and reports what was lost', async () => {
    const storage = memory()
    const limits = { ...smallLimits, journalBytesMax: 16 * 1024, checkpointBytes: 8 * 1024 }
    const node = await startNode(storage, { limits })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.setLowestPeerSeq(20)
    for (let at = 0; at < 200; at += 1) {
      node.copy.append(maker.batch(put(`docs/${at % 7}`, 'x'.repeat(500)), update('x', 1)))
      await node.copy.settle()
    }
    await node.copy.checkpoint()
    expect(node.copy.firstSeq).toBeGreaterThan(300)
    expect(node.events.filter(({ name }) => name === 'historyLost').length).toBeGreaterThan(0)
    expect(() => node.copy.reader(0)).toThrow(expect.objectContaining({ code: 'JOURNAL_TRIMMED' }))
    storage.crash(new SeededRandom(5))
    const again = await startNode(storage, { limits })
    expect(again.copy.seq).toBe(400)
    expect(again.state.values.get('x')).toBe(200)
    expect(again.copy.complete).toBe(true)
    await again.copy.close()
  })

  test('the segment in which the checkpoint ends is not trimmed, although the next one continues it', async () => {
    const limits = { ...smallLimits, journalBytesMax: 2048, segmentBytes: 1024 }
    const storage = memory()
    const maker = new EntryMaker()
    let node = await startNode(storage, { limits })
    node.copy.append(maker.open())
    for (let round = 0; round < 60; round += 1) {
      node.copy.append(maker.batch(put('docs/a', 'x'.repeat(200 + 50 * (round % 20)))))
      await node.copy.settle()
      const made = node.copy.checkpoint()
      for (let more = 0; more < round % 4; more += 1) {
        node.copy.append(maker.batch(put('docs/b', 'y'.repeat(1_100))))
        await Promise.resolve()
      }
      await made
      await node.copy.settle()
      storage.crash(new SeededRandom(round))
      node = await startNode(storage, { limits })
      expect([node.copy.seq, node.copy.complete], `round ${round}`).toEqual([maker.seq, true])
    }
    await node.copy.close()
  })

  test('a state that seldom changes does not hold a full journal', async () => {
    const limits = { ...smallLimits, journalBytesMax: 16 * 1024 }
    const node = await startNode(memory(), { limits })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(update('x', 1)))
    for (let at = 0; at < 100; at += 1) {
      node.copy.append(maker.batch(put('docs/a', 'x'.repeat(500))))
      await node.copy.settle()
    }
    await node.copy.checkpoint()
    expect(node.copy.firstSeq).toBeGreaterThan(50)
    await node.copy.close()
  })
})
