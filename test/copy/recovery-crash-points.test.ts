import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import type { ErrorCode } from '../../src/error-codes.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { neverSynced } from '../../src/policy/kinds/never-synced.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { live, rounds } from './recovery-support.js'
import {
  bytesOf,
  contentOf,
  EntryMaker,
  gated,
  Model,
  openCopy,
  owner,
  patch,
  put,
  remove,
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

describe('recovery after a crash or a failing disk', () => {
  test('after a crash at any point the copy has everything that was durable, applied in order', async () => {
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

  test('after a crash at any call of the storage, including its opening', async () => {
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

  test('a file that became a folder, and back, is repeated on any state of the tree', async () => {
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

  test('changes that cannot be repeated yet are read, and repeated as soon as possible', async () => {
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

  test('operations of a file stay in order behind one that is blocked during recovery', async () => {
    const storage = await unapplied([0, 'B'], [0, 'C'])
    // All three together; then the second one alone, twice (with force).
    expect(await mended(storage, 1, 3, 4)).toEqual({ content: 'CAAA', version: 3 })
  })

  test('a postponed operation holds back later batches of its file, too', async () => {
    // More than fits into one call of the tree, each over the first byte.
    const many = Array.from({ length: 700 }, (_, at) => [0, at === 699 ? 'Z' : 'b'] as const)
    const storage = await unapplied(...many)
    // The first batch of 512, then its last operation alone, twice.
    expect(await mended(storage, 1, 513, 514)).toEqual({ content: 'ZAAA', version: 701 })
  })

  test('recovery rejects when the storage fails for a moment, and a later opening finishes in order', async () => {
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
