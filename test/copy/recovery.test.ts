import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import { listSegments } from '../../src/copy/journal/scan.js'
import type { ErrorCode } from '../../src/error-codes.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { neverSynced } from '../../src/policy/kinds/never-synced.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  bytesOf,
  contentOf,
  EntryMaker,
  gated,
  Model,
  needsRepair,
  openCopy,
  owner,
  patch,
  put,
  randomChange,
  remove,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
  truncate,
  untext,
  update,
  watched,
} from './support.js'

const rounds = 60

/**
 * A stretch of a node's life: random entries, random waits and checkpoints. Answers the changes
 * appended.
 */
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

describe('files that somebody else changed after the node was killed', () => {
  const nothing = { unknown: [], differing: [], missing: [] }

  /** A checkpoint with `base`, then more changes, and a kill. */
  async function killed(base: readonly Change[], more: readonly Change[]): Promise<MemoryStorage> {
    const storage = memory()
    const { copy } = await startNode(storage)
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(...base))
    await copy.checkpoint()
    copy.append(maker.batch(...more))
    await copy.settle()
    storage.crash(new SeededRandom(1), { powerCut: false })
    return storage
  }

  test('OPS-2: changes in place are not repeated over a file that took the place of theirs', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one'), put('docs/quiet', 'as it was')],
      [patch('docs/a', 3, ' two'), patch('docs/b', 3, ' two'), truncate('docs/b', 5)],
    )
    storage.outside.write('docs/a', text('ONE'))
    const { copy } = await startNode(storage)
    expect(treeOf(storage)['docs/a']).toBe('ONE')
    expect(treeOf(storage)['docs/b']).toBe('one t')
    expect(copy.outside.report).toMatchObject({
      unknown: [],
      differing: [{ path: 'docs/a' }],
      missing: [],
    })
    expect(copy.index.get('docs/a')).toMatchObject({ size: 7, version: 4 })
    expect(copy.complete).toBe(true)
    // A stop in order, or another kill, changes nothing about that.
    await copy.checkpoint()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const again = await startNode(storage)
    expect(again.copy.outside.report).toMatchObject({ differing: [{ path: 'docs/a' }] })
    expect(treeOf(storage)['docs/a']).toBe('ONE')
    await again.copy.close()
  })

  test('OPS-2: what changes in place make of a file of somebody else is not taken for the history, after a restart either', async () => {
    const storage = memory()
    const maker = new EntryMaker()
    const first = await startNode(storage)
    first.copy.append(maker.open())
    first.copy.append(maker.batch(put('docs/a', 'history'), put('docs/b', 'history')))
    await first.copy.settle()
    await first.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    // One of the same size, and one that is shorter.
    storage.outside.write('docs/a', text('EDITED!'))
    storage.outside.write('docs/b', text('ED'))
    const second = await startNode(storage)
    second.copy.append(maker.batch(patch('docs/a', 7, ' one'), patch('docs/b', 7, ' one')))
    await second.copy.settle()
    second.copy.append(maker.batch(patch('docs/b', 11, ' two')))
    await second.copy.settle()
    // The next offset of whoever appends is that of the history.
    expect(second.copy.index.get('docs/b')).toMatchObject({ size: 15, version: 5 })
    for (const path of ['docs/a', 'docs/b']) {
      await expect(second.copy.files.read(path)).rejects.toMatchObject({ code: 'CHANGED_OUTSIDE' })
    }
    await second.copy.checkpoint()
    await second.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const third = await startNode(storage)
    const differing = third.copy.outside.report.differing.map(({ path }) => path)
    expect(differing.sort()).toEqual(['docs/a', 'docs/b'])
    // Whole contents make it the history's again.
    third.copy.append(maker.batch(put('docs/a', 'anew')))
    await third.copy.settle()
    await third.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
    const fourth = await startNode(storage)
    expect(fourth.copy.outside.report.differing.map(({ path }) => path)).toEqual(['docs/b'])
    await fourth.copy.close()
    storage.crash(new SeededRandom(1), { powerCut: false })
  })

  test('OPS-2: nor over one of a size that none of them leaves', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [patch('docs/a', 3, ' two'), patch('docs/b', 3, ' two')],
    )
    const { outside } = storage
    const inode = outside.stat('docs/a')?.inode
    const open = await storage.open(owner())
    await open.tree.apply([{ kind: 'truncate', path: 'docs/a', size: 2 }])
    await open.tree.apply([{ kind: 'truncate', path: 'docs/b', size: 5 }])
    await open.close()
    expect(outside.stat('docs/a')?.inode).toBe(inode)
    const { copy } = await startNode(storage)
    // That of the other one may be torn.
    expect(treeOf(storage)).toEqual({ 'docs/a': 'on', 'docs/b': 'one two' })
    expect(copy.outside.report.differing.map(({ path }) => path)).toEqual(['docs/a'])
    await copy.close()
  })

  test('OPS-2: a file that was removed is missing, and not made anew of its last changes', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [patch('docs/a', 3, ' two'), remove('docs/b'), patch('docs/b', 0, 'new')],
    )
    storage.outside.remove('docs/a')
    storage.outside.remove('docs/b')
    const { copy } = await startNode(storage)
    // The other one may have been removed by the node.
    expect(treeOf(storage)).toEqual({ 'docs/b': 'new' })
    expect(copy.outside.report).toEqual({ ...nothing, missing: ['docs/a'] })
    await copy.close()
  })

  test('OPS-2: a file that began with a change in place is made anew of nothing', async () => {
    const storage = await killed(
      [put('docs/a', 'one')],
      [patch('docs/new', 0, 'one'), patch('docs/new', 3, ' two'), truncate('docs/new', 5)],
    )
    storage.outside.write('docs/new', text('edited!'))
    const { copy } = await startNode(storage)
    // It could be one of the node's own, torn. So it is taken for that, and is the history's all
    // the same.
    expect(treeOf(storage)).toEqual({ 'docs/a': 'one', 'docs/new': 'one t' })
    expect(copy.outside.report).toEqual(nothing)
    await copy.close()
  })

  test('OPS-2: a file that is replaced or removed is kept where it cannot be one of the history', async () => {
    const storage = await killed(
      [put('docs/a', 'one'), put('docs/b', 'one')],
      [put('docs/a', 'two'), put('docs/new', 'new'), remove('docs/b')],
    )
    storage.outside.write('docs/a', text('edited'))
    storage.outside.write('docs/b', text('back'))
    storage.outside.write('docs/new', text('edited'))
    const { copy } = await startNode(storage)
    expect(treeOf(storage)).toEqual({ 'docs/a': 'edited', 'docs/b': 'back', 'docs/new': 'edited' })
    const { differing, unknown, missing } = copy.outside.report
    expect(differing.map(({ path }) => path)).toEqual(['docs/a', 'docs/new'])
    expect(unknown.map(({ path }) => path)).toEqual(['docs/b'])
    expect(missing).toEqual([])
    expect(copy.index.get('docs/b')).toBeUndefined()
    await copy.close()
  })
})

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
        expect(node.copy.outside.report, where).toEqual({ unknown: [], differing: [], missing: [] })
        expect(node.copy.files.list(), where).toEqual(Object.keys(expected.files))
      }
      await node.copy.close()
    }
  }, 60_000)

  test('after a crash at any call of the storage, the opening of it included', async () => {
    for (let seed = 1; seed <= 50; seed += 1) {
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
      expect(node.copy.outside.report, where).toEqual({ unknown: [], differing: [], missing: [] })
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

  test('what cannot be done again yet is read all the same, and done as soon as it can be', async () => {
    const storage = memory()
    const policy = new SyncPolicy({
      docs: synced(['docs/**', '!docs/**/*.local']),
      local: neverSynced('docs/**/*.local', { reason: 'differs per machine' }),
      kv: new TestState().declaration,
    }) as unknown as SyncPolicy
    const first = await openCopy(await storage.open(owner()), policy)
    const maker = new EntryMaker()
    first.append(maker.open())
    first.append(maker.batch(put('docs/a', 'one')))
    first.append(maker.batch(put('docs/b', 'other'), patch('docs/a', 3, ' two')))
    await first.settle()
    storage.crash(new SeededRandom(1), { powerCut: false })
    // Somebody puts a folder there, with a file that is never touched.
    storage.outside.remove('docs/a')
    storage.outside.write('docs/a/mine.local', text('mine'))
    const copy = await openCopy(await storage.open(owner()), policy)
    expect(copy.failed).toMatchObject({ code: 'PATH_BLOCKED' })
    expect(copy.files.list()).toEqual(['docs/a', 'docs/b'])
    expect(untext(await bytesOf(copy, 'docs/a'))).toBe('one two')
    storage.outside.remove('docs/a/mine.local')
    await copy.reopen()
    await copy.settle()
    expect(copy.failed).toBeUndefined()
    expect(treeOf(storage)).toEqual({ 'docs/a': 'one two', 'docs/b': 'other' })
    expect(untext(await bytesOf(copy, 'docs/a'))).toBe('one two')
    await copy.close()
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

  test('a broken checkpoint or index is made up for by a journal that begins with the first change', async () => {
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

  test('a journal that is gone makes the copy incomplete, and it stays so', async () => {
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

  test('blobs are kept as long as their record, and what no record names goes at the start', async () => {
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

  test('a blob that the checkpoint names, and the trim after it removed, is not taken for stored', async () => {
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

  test('blobs that cannot be removed do not fail the copy, and go at the next start', async () => {
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
    const outside = again.copy.outside.report
    expect(outside.differing.map(({ path }) => path)).toEqual(['docs/a'])
    expect(outside.missing).toEqual(['docs/b'])
    expect(outside.unknown.map(({ path }) => path)).toEqual(['docs/new'])
    expect(needsRepair(again.copy)).toBe(true)
    expect(again.events).toEqual([])
    await again.copy.close()
  })

  test('the end of the journal that a dead process left is synced before it counts as durable', async () => {
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

  /**
   * A journal with patches of one file that the tree lacks, as a process leaves it that died before
   * it applied them.
   */
  async function unapplied(...offsets: readonly (readonly [at: number, what: string])[]) {
    const storage = memory()
    const node = await startNode(storage)
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const patches = offsets.map(([at, what]) => patch('docs/a', at, what))
    node.copy.append(maker.batch(put('docs/a', 'AAAA'), ...patches))
    await node.copy.flush()
    storage.crash(new SeededRandom(1), { powerCut: false })
    return storage
  }

  /** Lets the calls of `tree.apply` with these numbers, from 1, fail. */
  function failing(open: OpenStorage, code: ErrorCode, ...numbers: readonly number[]): OpenStorage {
    let calls = 0
    return gated(open, 'apply', async () => {
      calls += 1
      if (numbers.includes(calls)) throw new HotspareError(code, 'not now')
    })
  }

  /** The file after something stood in its way at these calls of the recovery, and went away. */
  async function mended(
    storage: MemoryStorage,
    ...numbers: readonly number[]
  ): Promise<{ content: string; version: number | undefined }> {
    const open = failing(await storage.open(owner()), 'PATH_BLOCKED', ...numbers)
    const copy = await openCopy(open, testPolicy(new TestState()))
    expect(copy.failed?.code).toBe('PATH_BLOCKED')
    await copy.reopen()
    await copy.settle()
    const content = untext(await bytesOf(copy, 'docs/a'))
    const { version } = copy.index.get('docs/a') ?? {}
    await copy.close()
    return { content, version }
  }

  test('an operation that is blocked during recovery keeps those of its file behind it in order', async () => {
    const storage = await unapplied([0, 'B'], [0, 'C'])
    // All three together; then the second one alone, twice (with force).
    expect(await mended(storage, 1, 3, 4)).toEqual({ content: 'CAAA', version: 3 })
  })

  test('what was put off keeps later batches of its file back, too', async () => {
    // More than fits into one call of the tree, each over the first byte.
    const many = Array.from({ length: 700 }, (_, at) => [0, at === 699 ? 'Z' : 'b'] as const)
    const storage = await unapplied(...many)
    // The first batch of 512, then its last operation alone, twice.
    expect(await mended(storage, 1, 513, 514)).toEqual({ content: 'ZAAA', version: 701 })
  })

  test('a storage that fails for a moment during recovery rejects, and a later opening finishes in order', async () => {
    const storage = await unapplied([0, 'B'], [0, 'C'])
    const inner = await storage.open(owner())
    const open = failing(inner, 'STORAGE_FAILED', 1, 3, 4)
    const opening = openCopy(open, testPolicy(new TestState()))
    await expect(opening).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await inner.close()
    const again = await startNode(storage)
    expect(treeOf(storage)).toEqual({ 'docs/a': 'CAAA' })
    expect(again.copy.index.get('docs/a')?.version).toBe(3)
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

  test('the segment that the checkpoint ends in is not trimmed, though the next one continues it', async () => {
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

  test('a state that seldom changes does not keep a full journal', async () => {
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

async function breakIt(storage: MemoryStorage, what: 'index' | 'checkpoint'): Promise<void> {
  const random = new SeededRandom(3)
  if (what === 'checkpoint') storage.flipBit({ kind: 'document', name: 'checkpoint' }, random)
  else {
    const raw = await storage.open(owner())
    const [log] = await raw.logs.list('index')
    await raw.close()
    storage.flipBit({ kind: 'log', area: 'index', name: log?.name ?? '' }, random)
  }
}
