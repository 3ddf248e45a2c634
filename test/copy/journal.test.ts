import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/changes/entry.js'
import type { CopyEvent } from '../../src/copy/contents/types.js'
import { copyLimits } from '../../src/copy/contents/types.js'
import type { JournalReader } from '../../src/copy/journal/reader.js'
import { listSegments } from '../../src/copy/journal/scan.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { HotspareError } from '../../src/errors.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { TestClock } from '../support/clock.js'
import {
  EntryMaker,
  gated,
  openCopy,
  owner,
  put,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  update,
  watched,
} from './support.js'

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

  test('say which ordinal the last entry has, wherever they read it', async () => {
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

  test('SYN-32: go on where a stretch of the log ends in the middle of a mark', async () => {
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

  /**
   * A full copy with more segments than the tail holds, which take a turn of the event loop to
   * close from now on.
   */
  async function slowlyClosing() {
    let close = (): Promise<void> => Promise.resolve()
    const open = gated(await memory().open(owner()), 'close', () => close())
    const limits = { ...smallLimits, journalBytesMax: 24 * 1024, checkpointBytes: 1e9 }
    const copy = await openCopy(open, testPolicy(new TestState()), { limits })
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 56; at += 1) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle()
    }
    await copy.checkpoint()
    close = () => new Promise((resolve) => setImmediate(resolve))
    return { copy, maker, open }
  }

  test('one waits for the file that the one before it is closing', async () => {
    const { copy } = await slowlyClosing()
    for (let times = 0; times < 3; times += 1) {
      const reader = copy.reader(copy.firstSeq - 1)
      expect(await reader.next(100)).not.toEqual([])
      reader.close()
    }
    await copy.close()
  })

  test('a segment that one has just left is trimmed, and the copy does not fail', async () => {
    const { copy, maker, open } = await slowlyClosing()
    const before = copy.firstSeq
    const reader = copy.reader(before - 1)
    await reader.next(100)
    for (let at = 0; at < 12; at += 1) copy.append(maker.batch(put('docs/a', pad(500))))
    reader.close()
    await copy.checkpoint()
    expect(copy.failed).toBeUndefined()
    expect(copy.firstSeq).toBeGreaterThan(before)
    const [first] = await listSegments(open.logs, 'journal')
    expect(first?.firstSeq).toBe(copy.firstSeq)
    await copy.close()
  })

  test('readers and pins lose nothing by a trim that fails', async () => {
    let fails = true
    const open = gated(await memory().open(owner()), 'remove', async () => {
      if (fails) throw new HotspareError('STORAGE_FAILED', 'not now')
    })
    const limits = { ...smallLimits, journalBytesMax: 10_000, checkpointBytes: 1e9 }
    const events: CopyEvent[] = []
    const copy = await openCopy(open, testPolicy(new TestState()), { limits, events })
    const maker = new EntryMaker()
    copy.append(maker.open())
    const pin = copy.pin(5)
    const reader = copy.reader(3)
    while (copy.failed === undefined) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle().catch(() => undefined)
    }
    expect(events).toContainEqual(expect.objectContaining({ name: 'checkpointFailed' }))
    expect(pin.lost).toBe(false)
    expect(copy.firstSeq).toBe(1)
    expect((await readAll(reader)).at(-1)?.header.firstSeq).toBe(copy.seq)
    reader.close()
    fails = false
    await copy.reopen()
    while (!pin.lost) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle()
    }
    expect(copy.firstSeq).toBeGreaterThan(5)
    await copy.close()
  })

  test('one whose segment is trimmed goes on where it was, or hears of it', async () => {
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

  test('a read that is under way keeps a failed segment from being closed until it is done', async () => {
    const storage = memory()
    let free = (): void => undefined
    let gate = Promise.resolve()
    const open = gated(await storage.open(owner()), 'read', () => gate)
    const copy = await openCopy(open, testPolicy(new TestState()))
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 7; at += 1) copy.append(maker.batch(put('docs/a', pad(500))))
    await copy.settle()
    gate = new Promise((resolve) => {
      free = resolve
    })
    const second = copy.reader(0)
    const reading = second.next(1)
    storage.faults.failNextSync = true
    copy.append(maker.batch(put('docs/a', 'a')))
    await expect(copy.flush()).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    const reopening = copy.reopen()
    free()
    expect(await reading).not.toEqual([])
    await reopening
    second.close()
    await copy.close()
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
