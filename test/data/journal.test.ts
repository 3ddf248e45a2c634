import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/replication/entry.js'
import type { JournalReader } from '../../src/replication/journal-reader.js'
import type { LocalCopy } from '../../src/replication/local-copy.js'
import { memory } from '../../src/storage/memory.js'
import {
  EntryMaker,
  openCopy,
  owner,
  put,
  SeededRandom,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  update,
  watched,
} from './copy-support.js'
import { TestClock } from './writer-support.js'

const bytesOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))

async function readAll(reader: JournalReader, bytesMax = 700): Promise<Entry[]> {
  const entries: Entry[] = []
  for (;;) {
    const next = await reader.next(bytesMax)
    if (next.length === 0) return entries
    entries.push(...next)
  }
}

/** Many entries over many segments, far more than the tail holds. */
function fill(copy: LocalCopy, maker: EntryMaker, random: SeededRandom, count: number): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < count; at += 1) {
    const kind = random.number()
    if (kind < 0.1) entries.push(maker.inSync([`m${at}`]))
    else if (kind < 0.2) {
      maker.term = { ...maker.term, epoch: maker.term.epoch + 1 }
      entries.push(maker.open())
    } else {
      const changes = [update('x', 1), put('docs/a', 'y'.repeat(random.below(900)))]
      entries.push(maker.batch(...changes.slice(random.below(2))))
    }
  }
  for (const entry of entries) copy.append(entry)
  return entries
}

describe('readers of the journal', () => {
  test('give every entry after a place, in order, from memory and from the segments', async () => {
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

  test('one that is slow falls from memory back to the segments, and catches up', async () => {
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

  test('an entry that is not durable yet is given, too', async () => {
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

  test('wait resolves at the next entry, and rejects when it is given up or closed', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const reader = node.copy.reader(0)
    await reader.wait()
    await readAll(reader)
    const waiting = reader.wait()
    node.copy.append(maker.batch(update('x', 1)))
    await waiting
    await readAll(reader)
    const abort = new AbortController()
    const given = reader.wait(abort.signal)
    abort.abort()
    await expect(given).rejects.toMatchObject({ code: 'ABORTED' })
    const last = reader.wait()
    await node.copy.close()
    await expect(last).rejects.toMatchObject({ code: 'STOPPED' })
    await expect(reader.next(1)).rejects.toMatchObject({ code: 'STOPPED' })
  })

  test('readers and pins hold the journal up to twice its limit, then they lose it', async () => {
    const limits = { ...smallLimits, journalBytesMax: 10_000, checkpointBytes: 1e9 }
    const node = await startNode(memory(), { limits })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const pin = node.copy.pin(5)
    const reader = node.copy.reader(3)
    const grow = async (bytes: number): Promise<void> => {
      for (let at = 0; at < bytes; at += 500) node.copy.append(maker.batch(put('docs/a', pad(500))))
      await node.copy.settle()
      await node.copy.checkpoint()
    }
    await grow(15_000)
    expect(node.copy.firstSeq).toBe(1)
    expect(pin.lost).toBe(false)
    expect(await reader.next(1)).not.toEqual([])
    await grow(15_000)
    expect(pin.lost).toBe(true)
    expect(node.copy.firstSeq).toBeGreaterThan(10)
    await expect(reader.next(1)).rejects.toMatchObject({ code: 'JOURNAL_TRIMMED' })
    expect(() => node.copy.pin(5)).toThrow(expect.objectContaining({ code: 'JOURNAL_TRIMMED' }))
    pin.release()
    reader.close()
    await node.copy.close()
  })

  test('a checkpoint comes by itself after so many bytes, and after so long', async () => {
    const clock = new TestClock()
    const limits = { ...smallLimits, checkpointBytes: 3000 }
    const calls: string[] = []
    const storage = memory()
    const open = watched(await storage.open(owner()), (what) => calls.push(what))
    const made = (): number => calls.filter((what) => what === 'documents.write').length
    const copy = await openCopy(open, testPolicy(new TestState()), { limits, clock })
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', pad(100))))
    await copy.settle()
    clock.advance(limits.checkpointMs - 1)
    await copy.settle()
    expect(made()).toBe(0)
    clock.advance(1)
    await retryUntil(() => made() === 1)
    clock.advance(limits.checkpointMs * 10)
    await copy.settle()
    expect(made()).toBe(1)
    copy.append(maker.batch(put('docs/a', pad(3000))))
    await retryUntil(() => made() === 2)
    await copy.close()
    expect(clock.timers).toBe(0)
  })
})

async function retryUntil(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

const pad = (length: number): string => 'p'.repeat(length)
