import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/changes/entry.js'
import { copyLimits } from '../../src/copy/contents/types.js'
import type { HotspareError } from '../../src/errors.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { bytesOf, fill, pad, readAll } from './journal-support.js'
import { EntryMaker, put, smallLimits, startNode, update } from './support.js'

describe('readers of the journal', () => {
  test('return every entry after a position, in order, from memory and from the segments', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = new SeededRandom(seed)
      const node = await startNode()
      const maker = new EntryMaker()
      const opening = maker.open()
      node.copy.append(opening)
      const all = [opening]
      for (let part = 0; part < 4; part += 1) {
        all.push(...fill(node.copy, maker, random, 30))
        if (part < 3) await node.copy.flush()
      }
      for (const after of [
        0,
        1,
        7,
        random.below(node.copy.seq),
        node.copy.seq - 1,
        node.copy.seq,
      ]) {
        const reader = node.copy.reader(after)
        const expected = all.filter(({ header }) => header.firstSeq > after)
        const where = `seed ${seed}, after ${after}`
        expect(bytesOf(await readAll(reader)), where).toEqual(bytesOf(expected))
        reader.close()
      }
      const seq = node.copy.seq
      await node.copy.close()
      node.storage.crash(random)
      const again = await startNode(node.storage)
      expect(again.copy.seq).toBe(seq)
      const reader = again.copy.reader(0)
      expect(bytesOf(await readAll(reader, 1)), `seed ${seed}`).toEqual(bytesOf(all))
      const more = fill(again.copy, maker, random, 10)
      expect(bytesOf(await readAll(reader))).toEqual(bytesOf(more))
      await again.copy.close()
    }
  }, 30_000)

  test('report the ordinal of the last entry, from memory and from segments', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = new SeededRandom(seed)
      const first = await startNode()
      const maker = new EntryMaker()
      first.copy.append(maker.open())
      fill(first.copy, maker, random, 40)
      await first.copy.close()
      first.storage.crash(random, { powerCut: false })
      const node = await startNode(first.storage)
      const { copy } = node
      const start = copy.seq
      const base = copy.lastOrdinal
      const readers = [copy.reader(0), copy.reader(start), copy.reader(random.below(start))]
      const all: Entry[] = []
      for (let part = 0; part < 4; part += 1) {
        all.push(...fill(copy, maker, random, 30))
        if (part < 3) await copy.flush()
        if (part === 1) readers.push(copy.reader(copy.seq - random.below(20)))
        const known = new Map(bytesOf(all).map((bytes, at) => [bytes, base + 1 + at]))
        for (const reader of readers) {
          for (let left = 3 + random.below(30); left > 0; left -= 1) {
            const entries = await reader.next(random.below(3000))
            let ordinal = reader.lastOrdinal - entries.length
            for (const bytes of bytesOf(entries)) {
              ordinal += 1
              const expected = known.get(bytes)
              if (expected === undefined) expect(ordinal).toBeLessThanOrEqual(base)
              else expect(ordinal, `seed ${seed}, part ${part}`).toBe(expected)
            }
          }
        }
      }
      await copy.close()
    }
  }, 30_000)

  test('SYN-32: continue where a read of the log ends in the middle of a mark', async () => {
    // A mark of 16 bytes stands before each entry that was flushed; the sizes move one over the end
    // of the first stretch.
    const limits = { ...copyLimits, tailBytesMax: 2048 }
    for (let shift = 0; shift <= 16; shift += 4) {
      const node = await startNode(memory(), { limits })
      const maker = new EntryMaker()
      const all = [maker.open(), maker.batch(put('docs/a', 'y'.repeat(shift)))]
      for (let at = 0; at < 20; at += 1) all.push(maker.batch(put('docs/a', 'y'.repeat(65_440))))
      for (const entry of all) {
        node.copy.append(entry)
        await node.copy.flush()
      }
      await node.copy.close()
      node.storage.crash(new SeededRandom(1), { powerCut: false })
      const again = await startNode(node.storage, { limits })
      const reader = again.copy.reader(0)
      expect(bytesOf(await readAll(reader)), `shift ${shift}`).toEqual(bytesOf(all))
      await again.copy.close()
    }
  })

  test('a slow reader falls back from memory to the segments, and catches up', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const reader = node.copy.reader(0)
    expect(await reader.next(1)).toHaveLength(1)
    expect(await reader.next(1)).toHaveLength(0)
    const random = new SeededRandom(9)
    const expected: Entry[] = []
    const got: Entry[] = []
    for (let round = 0; round < 12; round += 1) {
      expected.push(...fill(node.copy, maker, random, 10))
      await node.copy.flush()
      got.push(...(await reader.next(3000)))
    }
    got.push(...(await readAll(reader)))
    expect(bytesOf(got)).toEqual(bytesOf(expected))
    reader.close()
    await node.copy.close()
  })

  test('an entry that is not durable yet is returned, too', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const reader = node.copy.reader(0)
    await reader.next(1000)
    node.copy.append(maker.batch(update('x', 1)))
    expect(reader.take(1000)).toHaveLength(1)
    expect(node.copy.durableSeq).toBe(0)
    expect(reader.take(1000)).toEqual([])
    await node.copy.close()
  })

  test('a reader whose segment is trimmed continues at its position, or gets an error', async () => {
    const limits = {
      ...smallLimits,
      tailBytesMax: 4000,
      journalBytesMax: 20_000,
      checkpointBytes: 1e9,
    }
    for (let taken = 1; taken <= 20; taken += 1) {
      const node = await startNode(memory(), { limits })
      const maker = new EntryMaker()
      const members = Array.from({ length: 10 }, (_, at) => `m${at}-${pad(50)}`)
      const entries = [maker.open()]
      for (let at = 0; at < 75; at += 1) {
        entries.push(at % 9 < 3 ? maker.batch(put('docs/a', 'a')) : maker.inSync(members))
      }
      // What fits, then what makes the journal let go of that.
      const append = async (from: number, to: number): Promise<void> => {
        for (const entry of entries.slice(from, to)) {
          node.copy.append(entry)
          await node.copy.settle()
        }
      }
      await append(0, 20)
      const reader = node.copy.reader(0)
      const given: Entry[] = []
      while (given.length < taken) given.push(...(await reader.next(1)))
      await append(20, entries.length)
      await node.copy.checkpoint()
      const rest = await readAll(reader).catch((error: HotspareError) => error.code)
      if (typeof rest === 'string') expect(rest, `${taken} taken`).toBe('JOURNAL_TRIMMED')
      else expect(bytesOf([...given, ...rest]), `${taken} taken`).toEqual(bytesOf(entries))
      reader.close()
      await node.copy.close()
    }
  })
})
