import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import { partsOf } from '../../src/changes/entry.js'
import type { CopyEvent } from '../../src/copy/contents/types.js'
import { positionOf } from '../../src/history/position.js'
import { SyncPolicy, synced } from '../../src/index.js'
import {
  bytesOf,
  contentOf,
  EntryMaker,
  openCopy,
  owner,
  patch,
  put,
  remove,
  startNode,
  text,
  treeOf,
  truncate,
  untext,
  update,
} from './support.js'

describe('changes of a local copy', () => {
  test('a new copy is empty, complete and without a position', async () => {
    const { copy } = await startNode()
    expect(copy.seq).toBe(0)
    expect(positionOf(copy.extent)).toBeUndefined()
    expect(copy.complete).toBe(true)
    expect(copy.firstSeq).toBe(1)
    expect(copy.extent).toEqual({ history: [], seq: 0 })
    expect(copy.files.list()).toEqual([])
    await copy.close()
  })

  test('changes of files are visible to reads immediately, and reach the tree once durable', async () => {
    const node = await startNode()
    const { copy } = node
    const maker = new EntryMaker()
    copy.append(maker.open())
    const entry = maker.batch(put('docs/a.txt', 'hello'), patch('docs/a.txt', 5, ' world'))
    expect(copy.append(entry)).toEqual({ ordinal: 2, results: undefined })
    expect(copy.seq).toBe(2)
    expect(copy.durableSeq).toBe(0)
    expect(treeOf(node.storage)).toEqual({})
    expect(copy.files.stat('docs/a.txt')).toEqual({ size: 11, mode: 0o644, version: 2 })
    expect(untext(await bytesOf(copy, 'docs/a.txt'))).toBe('hello world')
    await copy.settle()
    expect(copy.appliedSeq).toBe(2)
    expect(treeOf(node.storage)).toEqual({ 'docs/a.txt': 'hello world' })
    expect(copy.index.get('docs/a.txt')).toMatchObject({ version: 2, className: 'docs', size: 11 })
    expect(positionOf(copy.extent)).toEqual({
      term: { epoch: 1, nodeId: 'alpha', bootId: 'boot' },
      seq: 2,
    })
  })

  test.each(['read', 'unread'])(
    'bytes of files and of updates lie side by side (%s)',
    async (how) => {
      const node = await startNode()
      const maker = new EntryMaker()
      node.copy.append(maker.open())
      const bytesOf = (value: string): Change => ({
        kind: 'update',
        className: 'kv',
        value: text(value),
      })
      const changes: Change[] = [
        bytesOf('before'),
        put('docs/a', 'one'),
        bytesOf('between'),
        bytesOf('them'),
        patch('docs/a', 3, ', two'),
        { kind: 'transaction', changes: [update('x', 5), put('docs/b', 'three')] },
        bytesOf('after'),
        put('docs/c', 'four'),
      ]
      const entry = maker.batch(...changes)
      node.copy.append(entry, how === 'read' ? partsOf(entry) : undefined)
      await node.copy.settle()
      const expected = { 'docs/a': 'one, two', 'docs/b': 'three', 'docs/c': 'four' }
      expect(treeOf(node.storage)).toEqual(expected)
      expect(node.state.applied).toEqual([1, 3, 4, 6, 7])
      expect(node.copy.seq).toBe(8)
      await node.copy.close()
    },
  )

  test('put, patch, truncate and remove have absolute results', async () => {
    const node = await startNode()
    const { copy } = node
    const maker = new EntryMaker()
    copy.append(maker.open())
    const changes = [
      put('docs/a', '0123456789'),
      patch('docs/a', 3, 'xyz'),
      truncate('docs/a', 8),
      truncate('docs/b', 3),
      patch('docs/c', 2, 'gap'),
      put('docs/d', 'gone'),
      remove('docs/d'),
    ]
    for (const change of changes) copy.append(maker.batch(change))
    const expected = { 'docs/a': '012xyz67', 'docs/b': '\0\0\0', 'docs/c': '\0\0gap' }
    expect((await contentOf(node)).files).toEqual(expected)
    await copy.settle()
    expect((await contentOf(node)).files).toEqual(expected)
    expect(treeOf(node.storage)).toEqual(expected)
    expect(copy.index.tombstone('docs/d')).toBe(7)
    expect(copy.index.changedSince(5)).toEqual({
      files: [],
      removed: [{ path: 'docs/d', version: 7 }],
    })
  })

  test('updates are applied in order, and their results returned; a thrown error is a result', async () => {
    const { copy, state } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    const changes = [update('x', 2), update('x', 3), update('bad', 1), put('docs/a', 'a')]
    const entry = maker.batch(...changes)
    const { results } = copy.append(entry, partsOf(entry))
    expect(results?.[0]).toEqual({ ok: true, value: 2 })
    expect(results?.[1]).toEqual({ ok: true, value: 5 })
    expect(results?.[2]).toMatchObject({ ok: false, error: { message: 'bad key' } })
    expect(results?.[3]).toBeUndefined()
    expect(state.applied).toEqual([1, 2, 3])
    const inner = [update('x', 1), put('docs/b', 'b'), update('y', 9)]
    const transaction = { kind: 'transaction', changes: inner } as const
    const second = maker.batch(transaction)
    const answer = copy.append(second, partsOf(second))
    expect(answer.results).toEqual([{ ok: true, value: [6, undefined, 9] }])
    expect(state.applied).toEqual([1, 2, 3, 5, 5])
  })

  test('the caller may change its bytes after the append', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const bytes = text('as it was')
    const change = { ...put('docs/a', ''), bytes } as const
    node.copy.append(maker.batch(change))
    bytes.fill(0)
    await node.copy.settle()
    expect(treeOf(node.storage)).toEqual({ 'docs/a': 'as it was' })
  })

  test('an entry that is not the next one is refused and changes nothing', async () => {
    const { copy, state } = await startNode()
    const maker = new EntryMaker()
    const refused = { code: 'PROTOCOL_VIOLATION' }
    expect(() => copy.append(maker.batch(update('x', 1)))).toThrow(expect.objectContaining(refused))
    maker.seq = 0
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    const gap = new EntryMaker(maker.term, 5)
    expect(() => copy.append(gap.batch(update('x', 1)))).toThrow(expect.objectContaining(refused))
    const other = new EntryMaker({ ...maker.term, nodeId: 'beta' }, 1)
    expect(() => copy.append(other.batch(update('x', 1)))).toThrow(expect.objectContaining(refused))
    const older = new EntryMaker({ ...maker.term, epoch: 0.5 }, 1)
    expect(() => copy.append(older.open())).toThrow()
    expect(copy.seq).toBe(1)
    expect(state.values.get('x')).toBe(1)
    copy.append(maker.batch(update('x', 1)))
    expect(copy.seq).toBe(2)
  })

  test('terms, the in-sync set and the acknowledged mark are facts of the journal', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.inSync(['beta']))
    node.copy.append(maker.batch(update('x', 1), update('x', 1)))
    maker.ackedSeq = 2
    maker.term = { epoch: 4, nodeId: 'beta', bootId: 'b2' }
    node.copy.append(maker.open())
    const facts = (copy: typeof node.copy): unknown => [copy.extent, copy.inSync, copy.ackedSeq]
    const expected = [
      {
        history: [
          { epoch: 1, nodeId: 'alpha', bootId: 'boot', firstSeq: 1 },
          { epoch: 4, nodeId: 'beta', bootId: 'b2', firstSeq: 3 },
        ],
        seq: 2,
      },
      ['beta'],
      2,
    ]
    expect(facts(node.copy)).toEqual(expected)
    await node.copy.flush()
    node.storage.crash({ number: () => 0, bytes: (count) => new Uint8Array(count) })
    const again = await startNode(node.storage)
    expect(facts(again.copy)).toEqual(expected)
    await again.copy.close()
  })

  test("SYN-22 paths that this node's policy does not sync are not touched, whatever an entry contains", async () => {
    const node = await startNode()
    node.storage.outside.write('local/settings', text('mine'))
    node.storage.outside.write('other/file', text('mine'))
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(
      maker.batch(
        put('local/settings', 'theirs'),
        put('other/file', 'theirs'),
        remove('local/settings'),
        put('docs/a', 'a', 'config'),
        put('docs/b', 'b'),
      ),
    )
    await node.copy.settle()
    expect(treeOf(node.storage, '')).toEqual({
      'local/settings': 'mine',
      'other/file': 'mine',
      'docs/a': 'a',
      'docs/b': 'b',
    })
    // An entry says under which name a class was written; which class claims a path this node says.
    expect(node.copy.index.get('docs/a')?.className).toBe('docs')
    expect(node.copy.seq).toBe(5)
    expect(node.copy.complete).toBe(true)
    expect(node.events.filter(({ name }) => name === 'strangerClass')).toHaveLength(1)
    await node.copy.close()
  })

  test('GEN-2 changes from before a class was renamed are still carried out', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(put('docs/a', 'a'), put('config/b', 'b')))
    await node.copy.flush()
    node.storage.crash({ number: () => 0, bytes: (count) => new Uint8Array(count) })
    // One class has a new name, and the names of two others were exchanged.
    const renamed = new SyncPolicy({
      docs: node.state.declaration,
      papers: synced('docs/**'),
      kv: synced('config/**'),
    })
    const events: CopyEvent[] = []
    const open = await node.storage.open(owner())
    const copy = await openCopy(open, renamed as unknown as SyncPolicy, { events })
    expect(treeOf(node.storage, '')).toMatchObject({ 'docs/a': 'a', 'config/b': 'b' })
    expect(copy.files.list().sort()).toEqual(['config/b', 'docs/a'])
    expect(events).toEqual([])
    await copy.close()
  })
})
