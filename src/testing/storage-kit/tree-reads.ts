/** The tests of stats, reads and scans of the tree. */

import assert from 'node:assert/strict'
import type { ReadRequest, TreeEntry } from '../../interfaces/tree-store.js'
import { bytesOf, type KitTest, put, refused, textOf } from './harness.js'

export const treeReadTests: readonly KitTest[] = [
  {
    title:
      'tree: stat answers in the order of the paths, with undefined where there is no regular file',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'a/b', 'four')
      await put(tree, 'c', 'x')
      const stats = await tree.stat(['c', 'none', 'a', 'a/b', 'c/d', 'a/b'])
      assert.deepEqual(
        stats.map((stat) => stat?.size),
        [1, undefined, undefined, 4, undefined, 4],
      )
      assert.deepEqual(stats[3], stats[5])
      assert.deepEqual(await tree.stat([]), [])
    },
  },
  {
    title: 'tree: the answer of stat changes with every change of the file, and only then',
    run: async ({ opened }) => {
      const { tree } = opened
      const first = await put(tree, 'f', 'same size')
      const [unchanged] = await tree.stat(['f'])
      assert.deepEqual(unchanged, first)
      // A file system's clock may be as coarse as 10 ms.
      await new Promise((resolve) => setTimeout(resolve, 15))
      const [patched] = await tree.apply([
        { kind: 'patch', path: 'f', offset: 0, bytes: bytesOf('SAME') },
      ])
      assert.equal(patched?.size, first.size)
      assert.notEqual(patched?.mtimeMs, first.mtimeMs)
    },
  },
  {
    title: 'tree: obstacles names what blocks the path of a file, above it or below it',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'a/b', 'x')
      const found = await tree.obstacles(['a/b', 'a/new', 'none/new', 'a/b/c/d', 'a'])
      const file = { path: 'a/b', kind: 'file' }
      assert.deepEqual(found, [undefined, undefined, undefined, file, file])
      await refused(tree.obstacles(['../x']), 'PATH_INVALID')
      assert.deepEqual(await tree.obstacles([]), [])
    },
  },
  {
    title:
      'tree: read gives stretches of many files in one buffer, in order, with the place of each',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'a', '0123456789')
      await put(tree, 'd/b', 'abc')
      await put(tree, 'empty', '')
      const requests: ReadRequest[] = [
        { path: 'd/b', offset: 0, length: 3 },
        { path: 'none', offset: 0, length: 5 },
        { path: 'a', offset: 4, length: 3 },
        { path: 'a', offset: 8, length: 100 },
        { path: 'd', offset: 0, length: 1 },
        { path: 'empty', offset: 0, length: 10 },
        { path: 'a', offset: 50, length: 10 },
        { path: 'a', offset: 0, length: 0 },
      ]
      const { buffer, results } = await tree.read(requests)
      const texts = results.map((result) =>
        result === 'missing'
          ? result
          : textOf(buffer.subarray(result.start, result.start + result.length)),
      )
      assert.deepEqual(texts, ['abc', 'missing', '456', '89', 'missing', '', '', ''])
      const [stat] = await tree.stat(['a'])
      const third = results[2]
      assert.ok(third !== undefined && third !== 'missing')
      assert.deepEqual(third.stat, stat)
      assert.equal(buffer.byteLength, 8)
    },
  },
  {
    title: 'tree: the caller may change the answer of a read',
    run: async ({ opened }) => {
      await put(opened.tree, 'a', 'before')
      const request = [{ path: 'a', offset: 0, length: 6 }]
      const first = await opened.tree.read(request)
      first.buffer.fill(0)
      const second = await opened.tree.read(request)
      assert.equal(textOf(second.buffer), 'before')
    },
  },
  {
    title: 'tree: a lent answer does not change before release(), whatever is read meanwhile',
    run: async ({ opened }) => {
      await put(opened.tree, 'a', 'first')
      await put(opened.tree, 'b', 'other')
      const lent = await opened.tree.read([{ path: 'a', offset: 0, length: 5 }], true)
      const owned = await opened.tree.read([{ path: 'b', offset: 0, length: 5 }])
      assert.equal(textOf(lent.buffer), 'first')
      lent.release?.()
      const next = await opened.tree.read([{ path: 'b', offset: 0, length: 5 }], true)
      assert.equal(textOf(next.buffer), 'other')
      assert.equal(textOf(owned.buffer), 'other')
    },
  },
  {
    title: 'tree: a read of too many bytes, or of an invalid stretch, is refused',
    run: async ({ opened }) => {
      const { tree } = opened
      const read = (offset: number, length: number): Promise<unknown> =>
        tree.read([{ path: 'a', offset, length }])
      await refused(read(0, 2 ** 40), 'OPTION_INVALID')
      await refused(read(-1, 1), 'OPTION_INVALID')
      await refused(read(0, -1), 'OPTION_INVALID')
      await refused(read(0.5, 1), 'OPTION_INVALID')
      await refused(tree.apply([{ kind: 'truncate', path: 'a', size: -1 }]), 'OPTION_INVALID')
    },
  },
  {
    title: 'tree: scan yields every regular file exactly once, in batches, with its state',
    run: async ({ opened }) => {
      const { tree } = opened
      const paths = Array.from(
        { length: 1200 },
        (_, index) => `d${index % 13}/e${index % 3}/f${index}`,
      )
      const stats = await tree.apply(
        paths.map((path) => ({ kind: 'put', path, bytes: bytesOf(path), mode: 0o644 }) as const),
      )
      const entries: TreeEntry[] = []
      for await (const batch of tree.scan(assert.fail)) {
        assert.ok(batch.length > 0)
        entries.push(...batch)
      }
      assert.equal(entries.length, paths.length)
      const found = new Map(entries.map((entry) => [entry.path, entry]))
      for (const [index, path] of paths.entries()) {
        assert.deepEqual(found.get(path), { path, ...stats[index] })
      }
    },
  },
  {
    title: 'tree: a scan of an empty tree yields nothing, and a scan may be ended early',
    run: async ({ opened }) => {
      const { tree } = opened
      for await (const batch of tree.scan(assert.fail)) assert.equal(batch.length, -1)
      const paths = Array.from({ length: 1200 }, (_, index) => `f${index}`)
      await tree.apply(paths.map((path) => ({ kind: 'truncate', path, size: 0 }) as const))
      for await (const batch of tree.scan(assert.fail)) {
        assert.ok(batch.length <= paths.length)
        break
      }
      assert.equal((await tree.stat(['f0']))[0]?.size, 0)
    },
  },
]
