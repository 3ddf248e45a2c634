import { describe, expect, test } from 'vitest'
import { listSegments } from '../../src/copy/journal/scan.js'
import type { HotspareError } from '../../src/errors.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  EntryMaker,
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

describe('recovery of a torn or damaged journal', () => {
  test('the torn end of the journal is cut, and the space is used again', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(update('x', 1)))
    await node.copy.flush()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const raw = await storage.open(owner())
    const [segment] = await listSegments(raw.logs, 'journal')
    const log = await raw.logs.open('journal', segment?.name ?? '')
    await log.append([maker.batch(update('x', 1)).bytes.subarray(0, 60)])
    await log.close()
    await raw.close()
    const again = await startNode(storage)
    expect(again.copy.seq).toBe(1)
    expect(again.copy.complete).toBe(true)
    maker.seq = 1
    again.copy.append(maker.batch(update('x', 5)))
    await again.copy.close()
    storage.crash(new SeededRandom(1))
    const third = await startNode(storage)
    expect(third.state.values.get('x')).toBe(6)
    expect(third.events).toEqual([])
    await third.copy.close()
  })

  test('damage in the middle of the journal ends the copy before it, and the node still opens', async () => {
    let damaged = 0
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = new SeededRandom(seed)
      const storage = memory()
      const node = await startNode(storage)
      const maker = new EntryMaker()
      node.copy.append(maker.open())
      for (let at = 0; at < 30; at += 1) {
        node.copy.append(
          maker.batch(put('docs/a', `version ${at} ${'-'.repeat(300)}`), update('x', 1)),
        )
        await node.copy.flush()
      }
      await node.copy.settle()
      storage.crash(random, { powerCut: false })
      const raw = await storage.open(owner())
      const names = (await listSegments(raw.logs, 'journal')).map(({ name }) => name)
      await raw.close()
      storage.flipBit({ kind: 'log', area: 'journal', name: random.pick(names) }, random)
      const again = await startNode(storage)
      const where = `seed ${seed}`
      // The very last entry may have been hit: then it counts as torn.
      if (again.copy.complete) {
        expect(again.copy.seq, where).toBeGreaterThanOrEqual(58)
        continue
      }
      damaged += 1
      expect(again.events, where).toContainEqual(
        expect.objectContaining({ name: 'journalDamaged' }),
      )
      const [entries, seq] = [again.copy.seq / 2, again.copy.seq]
      expect(seq, where).toBeLessThan(60)
      expect(again.state.values.get('x') ?? 0, where).toBe(entries)
      expect(() => again.copy.append(maker.batch(update('x', 1)))).toThrow(
        expect.objectContaining({ code: 'JOURNAL_CORRUPT' }),
      )
      await again.copy.close()
      // And it stays so: nothing was cut.
      storage.crash(random)
      const third = await startNode(storage)
      expect([third.copy.complete, third.copy.seq], where).toEqual([false, seq])
      await third.copy.close()
    }
    expect(damaged).toBeGreaterThan(40)
  }, 30_000)

  test.each([
    { later: 0, what: 'nothing' },
    { later: 2, what: 'some changes' },
  ])(
    'damage before a checkpoint, with $what after it, does not stop a restore from this copy',
    async ({ later }) => {
      let damaged = 0
      for (let seed = 1; seed <= 40; seed += 1) {
        const random = new SeededRandom(seed)
        const storage = memory()
        const limits = { ...smallLimits, segmentBytes: 1e6 }
        const node = await startNode(storage, { limits })
        const maker = new EntryMaker()
        node.copy.append(maker.open())
        const write = (at: number): number =>
          node.copy.append(maker.batch(put(`docs/${at}`, 'x'))).ordinal
        for (let at = 0; at < 20; at += 1) write(at)
        await node.copy.settle()
        await node.copy.checkpoint()
        for (let at = 20; at < 20 + later; at += 1) write(at)
        await node.copy.settle()
        storage.crash(random, { powerCut: false })
        const raw = await storage.open(owner())
        const [name = ''] = (await listSegments(raw.logs, 'journal')).map((segment) => segment.name)
        await raw.close()
        storage.flipBit({ kind: 'log', area: 'journal', name }, random)
        const again = await startNode(storage, { limits })
        const { copy } = again
        if (!copy.complete || copy.seq < 20 + later) continue
        const cut = copy.seq
        copy.append(maker.batch(put('docs/after', 'x')))
        const reader = copy.reader(cut, true)
        expect((await reader.next(1000)).map(({ header }) => header.firstSeq)).toEqual([cut + 1])
        // The flip may have hit what carries no entry.
        const whole = copy.reader(0).next(1e6)
        const code = await whole.then(
          () => undefined,
          (error: HotspareError) => error.code,
        )
        if (code === 'JOURNAL_CORRUPT') damaged += 1
        await copy.close()
      }
      expect(damaged).toBeGreaterThan(10)
    },
  )

  test('a missing segment is damage', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    for (let at = 0; at < 40; at += 1) {
      node.copy.append(maker.batch(put('docs/a', 'x'.repeat(500))))
      await node.copy.flush()
    }
    storage.crash(new SeededRandom(1), { powerCut: false })
    const raw = await storage.open(owner())
    const segments = await listSegments(raw.logs, 'journal')
    expect(segments.length).toBeGreaterThan(3)
    await raw.logs.remove('journal', [segments[2]?.name ?? ''])
    await raw.close()
    const again = await startNode(storage)
    expect(again.copy.complete).toBe(false)
    expect(again.copy.seq).toBe((segments[2]?.firstSeq ?? 0) - 1)
    await again.copy.close()
  })

  test('the end of the journal of a dead process is synced before it counts as durable', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a')))
    await node.copy.settle()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const calls: string[] = []
    const open = watched(await storage.open(owner()), (what) => calls.push(what))
    const copy = await openCopy(open, testPolicy(new TestState()))
    expect(copy.durableSeq).toBe(1)
    expect(calls).toContain('log.truncate')
    await copy.close()
  })
})
