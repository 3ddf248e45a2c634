import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/replication/change.js'
import { listSegments } from '../../src/replication/journal-scan.js'
import { memory } from '../../src/storage/memory.js'
import {
  contentOf,
  EntryMaker,
  Model,
  openCopy,
  owner,
  patch,
  put,
  randomChange,
  remove,
  SeededRandom,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
  truncate,
  update,
  watched,
} from './copy-support.js'

const rounds = 150

/** A stretch of a node's life: random entries, random waits and checkpoints. Answers the changes appended. */
async function live(
  node: Awaited<ReturnType<typeof startNode>>,
  random: SeededRandom,
  changes: Change[],
  maker: EntryMaker,
): Promise<void> {
  const { copy } = node
  const model = Model.after(changes)
  for (let left = random.below(40); left > 0; left -= 1) {
    const batch: Change[] = []
    for (let size = random.below(4) + 1; size > 0; size -= 1)
      batch.push(randomChange(random, model))
    copy.append(maker.batch(...batch))
    changes.push(...batch)
    const what = random.number()
    if (what < 0.1) await copy.checkpoint()
    else if (what < 0.2) await copy.settle()
    else if (what < 0.4) await copy.flush()
    else if (what < 0.6) await Promise.resolve()
    else if (what < 0.65) void copy.checkpoint().catch(() => undefined)
  }
}

describe('recovery', () => {
  test('after a crash at any point the copy is all that was durable, applied in order', async () => {
    for (let seed = 1; seed <= rounds; seed += 1) {
      const random = new SeededRandom(seed)
      const storage = memory()
      const changes: Change[] = []
      const maker = new EntryMaker()
      let node = await startNode(storage)
      node.copy.append(maker.open())
      for (let life = 0; life < 3; life += 1) {
        await live(node, random, changes, maker)
        const durable = node.copy.durableSeq
        const { copy } = node
        if (random.number() < 0.2) await copy.close()
        storage.crash(random)
        node = await startNode(storage)
        const { seq } = node.copy
        const where = `seed ${seed}, life ${life}`
        expect(node.copy.failed, where).toBeUndefined()
        expect(seq, where).toBeGreaterThanOrEqual(durable)
        changes.length = seq
        maker.seq = seq
        if (seq === 0) node.copy.append(maker.open())
        const expected = Model.after(changes).plain()
        expect(await contentOf(node), where).toEqual(expected)
        expect(treeOf(storage), where).toEqual(expected.files)
        expect(node.copy.complete, where).toBe(true)
        expect(node.copy.outside, where).toEqual({ unknown: [], differing: [], missing: [] })
        expect(node.copy.listFiles(), where).toEqual(Object.keys(expected.files))
      }
      await node.copy.close()
    }
  }, 60_000)

  test('after a crash at any call of the storage, the opening of it included', async () => {
    for (let seed = 1; seed <= 120; seed += 1) {
      const random = new SeededRandom(seed * 7919)
      const storage = memory()
      const changes: Change[] = []
      const maker = new EntryMaker()
      const first = await startNode(storage)
      first.copy.append(maker.open())
      await live(first, random, changes, maker)
      await first.copy.settle()
      const durable = first.copy.durableSeq
      storage.crash(random)
      // Crashes again while it recovers, a few times.
      for (let left = 3; left > 0; left -= 1) {
        let calls = random.below(40)
        const inner = await storage.open(owner())
        const wrapped = watched(inner, () => {
          if (calls === 0) storage.crash(random)
          calls -= 1
        })
        const state = new TestState()
        await openCopy(wrapped, testPolicy(state)).then(
          () => storage.crash(random),
          () => storage.crash(random),
        )
      }
      const node = await startNode(storage)
      const where = `seed ${seed}`
      expect(node.copy.seq, where).toBeGreaterThanOrEqual(durable)
      changes.length = node.copy.seq
      expect(await contentOf(node), where).toEqual(Model.after(changes).plain())
      expect(treeOf(storage), where).toEqual(Model.after(changes).plain().files)
      expect(node.copy.complete, where).toBe(true)
      await node.copy.close()
    }
  }, 60_000)

  test('a clean close leaves nothing to repeat', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), update('x', 1)))
    await node.copy.close()
    node.storage.crash(new SeededRandom(1))
    const again = await startNode(node.storage)
    expect(again.state.restores).toBe(1)
    expect(again.state.applied).toEqual([])
    expect(again.state.values.get('x')).toBe(1)
    expect(treeOf(node.storage)).toEqual({ 'docs/a': 'a' })
    await again.copy.close()
  })

  test('a file that became a folder, and back, is repeated on whatever the tree is', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const changes = [
      put('docs/a', 'file'),
      remove('docs/a'),
      put('docs/a/b', 'below'),
      remove('docs/a/b'),
      patch('docs/a', 2, 'again'),
      remove('docs/a'),
      put('docs/a/b/c', 'deep'),
      truncate('docs/a/b/d', 4),
    ]
    for (const change of changes) node.copy.append(maker.batch(change))
    await node.copy.settle()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const again = await startNode(storage)
    expect(again.copy.failed).toBeUndefined()
    expect(treeOf(storage)).toEqual({ 'docs/a/b/c': 'deep', 'docs/a/b/d': '\0\0\0\0' })
    await again.copy.close()
  })

  test('the torn end of the journal is cut, and the place is used again', async () => {
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

  test('damage in the middle of the journal stops the copy before it, and does not throw the node away', async () => {
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

  test('a lost journal, a broken checkpoint and a broken index make the copy incomplete', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), update('x', 1)))
    await node.copy.close()
    for (const what of ['index', 'checkpoint', 'journal'] as const) {
      storage.crash(new SeededRandom(1))
      const raw = await storage.open(owner())
      const area = what === 'checkpoint' ? 'index' : what
      const [log] = await raw.logs.list(area)
      if (what === 'journal') await raw.logs.remove('journal', [log?.name ?? ''])
      await raw.close()
      if (what === 'index') {
        storage.flipBit({ kind: 'log', area, name: log?.name ?? '' }, new SeededRandom(3))
      }
      if (what === 'checkpoint') {
        storage.flipBit({ kind: 'document', name: 'checkpoint' }, new SeededRandom(3))
      }
      const again = await startNode(storage)
      expect(again.copy.complete, what).toBe(false)
      expect(again.events, what).toContainEqual(expect.objectContaining({ name: 'journalDamaged' }))
    }
  })

  test('what was changed in the tree meanwhile is reported, by size, time and inode alone', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), put('docs/b', 'b'), put('docs/c', 'c')))
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    storage.outside.write('docs/a', text('other'))
    storage.outside.remove('docs/b')
    storage.outside.write('docs/new', text('new'))
    storage.outside.write('local/mine', text('mine'))
    storage.outside.write('unclaimed', text('mine'))
    const again = await startNode(storage)
    const { outside } = again.copy
    expect(outside.differing.map(({ path }) => path)).toEqual(['docs/a'])
    expect(outside.missing).toEqual(['docs/b'])
    expect(outside.unknown.map(({ path }) => path)).toEqual(['docs/new'])
    expect(again.copy.needsRepair).toBe(true)
    const named = { name: 'outsideChange', paths: ['docs/new', 'docs/a', 'docs/b'], count: 3 }
    expect(again.events).toEqual([named])
    await again.copy.close()
  })

  test('a full disk during recovery rejects, and a later opening finishes', async () => {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a')))
    await node.copy.flush()
    storage.crash(new SeededRandom(2), { powerCut: false })
    const inner = await storage.open(owner())
    storage.faults.full = true
    await expect(openCopy(inner, testPolicy(new TestState()))).rejects.toMatchObject({
      code: 'STORAGE_FULL',
    })
    storage.faults.full = false
    await inner.close()
    const again = await startNode(storage)
    expect(treeOf(storage)).toEqual({ 'docs/a': 'a' })
    await again.copy.close()
  })

  test('the journal is trimmed in whole segments, below the checkpoint, and says what was lost', async () => {
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

  test('a file whose sync failed fails the copy, and the next start writes it again', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a')))
    await node.copy.settle()
    node.storage.faults.failNextSync = true
    await expect(node.copy.checkpoint()).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(node.copy.failed?.code).toBe('STORAGE_FAILED')
    expect(() => node.copy.append(maker.batch(put('docs/b', 'b')))).toThrow()
    expect(node.events.map(({ name }) => name)).toEqual(['checkpointFailed', 'storageFailed'])
    node.storage.crash(new SeededRandom(1))
    const again = await startNode(node.storage)
    expect(treeOf(node.storage)).toEqual({ 'docs/a': 'a' })
    await again.copy.checkpoint()
    expect(again.copy.failed).toBeUndefined()
    await again.copy.close()
  })
})
