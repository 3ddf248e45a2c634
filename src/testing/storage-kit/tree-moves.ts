/** The tests of operations between the tree and the objects, and of durability. */

import assert from 'node:assert/strict'
import type { TreeOperation } from '../../interfaces/tree-store.js'
import {
  bytesOf,
  fileText,
  type KitTest,
  objectText,
  put,
  refused,
  scanned,
  writeObject,
} from './harness.js'

export const treeMoveTests: readonly KitTest[] = [
  {
    title: 'tree: install gives the file the bytes of the object, and with move removes the object',
    run: async ({ opened, again }) => {
      const { tree } = opened
      await writeObject(opened, 'staging', 'm', 'moved')
      await writeObject(opened, 'staging', 'c', 'copied')
      await put(tree, 'b', 'before, and longer')
      const answer = await tree.apply([
        { kind: 'install', path: 'a/m', area: 'staging', name: 'm', mode: 0o600, move: true },
        { kind: 'install', path: 'b', area: 'staging', name: 'c', mode: 0o755, move: false },
      ])
      assert.deepEqual(answer, await tree.stat(['a/m', 'b']))
      assert.deepEqual(
        answer.map((stat) => stat?.mode),
        [0o600, 0o755],
      )
      assert.deepEqual(await opened.objects.list('staging'), [{ name: 'c', bytes: 6 }])
      // The copy is a file of its own.
      await tree.apply([{ kind: 'patch', path: 'b', offset: 0, bytes: bytesOf('XXX') }])
      assert.equal(await objectText(opened, 'staging', 'c'), 'copied')
      await tree.sync('all')
      const next = await again()
      assert.equal(await fileText(next.tree, 'a/m'), 'moved')
      assert.equal(await fileText(next.tree, 'b'), 'XXXied')
    },
  },
  {
    title: 'tree: takeIn moves incoming files with their modes into new and existing folders',
    run: async ({ opened, again }) => {
      const { tree, objects } = opened
      await put(tree, 'old/file', 'before')
      await put(tree, 'old/stays', 'stays')
      const incoming = async (name: string, text: string, mode: number): Promise<void> => {
        const bytes = bytesOf(text)
        await objects.write('incoming', bytes, [
          { name, offset: 0, start: 0, length: bytes.length, mode },
        ])
      }
      await incoming('old/file', 'after', 0o600)
      await incoming('New/Ünï/ file', 'nested', 0o644)
      await incoming('New/run', 'executable', 0o700)
      const changed = { name: 'New/run', offset: 10, start: 0, length: 0, mode: 0o755 }
      await objects.write('incoming', new Uint8Array(0), [changed])
      await incoming('top', '', 0o640)
      assert.deepEqual(
        (await objects.list('incoming')).map(({ name }) => name),
        ['New/run', 'New/Ünï/ file', 'old/file', 'top'],
      )
      await objects.sync('incoming')
      await tree.takeIn()
      await tree.takeIn()
      assert.deepEqual(await objects.list('incoming'), [])
      const next = await again()
      const paths = ['New/run', 'New/Ünï/ file', 'old/file', 'old/stays', 'top']
      assert.deepEqual(await scanned(next.tree), paths)
      const modes = (await next.tree.stat(paths)).map((stat) => stat?.mode)
      assert.deepEqual(modes, [0o755, 0o644, 0o600, 0o644, 0o640])
      assert.equal(await fileText(next.tree, 'old/file'), 'after')
      assert.equal(await fileText(next.tree, 'New/Ünï/ file'), 'nested')
      assert.equal(await fileText(next.tree, 'top'), '')
    },
  },
  {
    title: 'tree: takeIn leaves incoming files whose path is blocked by something else than a file',
    run: async ({ opened }) => {
      const { tree, objects } = opened
      await put(tree, 'file', 'in the way of a folder')
      await put(tree, 'folder/neighbour', 'in the way of a file')
      await writeObject(opened, 'incoming', 'file/below', 'kept out')
      await writeObject(opened, 'incoming', 'folder', 'kept out')
      await writeObject(opened, 'incoming', 'free', 'taken')
      await objects.sync('incoming')
      await tree.takeIn()
      const left = (await objects.list('incoming')).map(({ name }) => name)
      assert.deepEqual(left, ['file/below', 'folder'])
      assert.deepEqual(await scanned(tree), ['file', 'folder/neighbour', 'free'])
      const name = 'file/below'
      const install = { area: 'incoming', name, mode: 0o644, move: true, force: true } as const
      await tree.apply([{ kind: 'install', path: name, ...install }])
      assert.equal(await fileText(tree, name), 'kept out')
    },
  },
  {
    title:
      'tree: install with move of an object that is gone does nothing; without move it is refused',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'f', 'installed before')
      const install = { kind: 'install', area: 'staging', name: 'none', mode: 0o600 } as const
      const [there] = await tree.apply([{ ...install, path: 'f', move: true }])
      assert.equal(there?.size, 16)
      assert.equal(there?.mode, 0o644)
      const [nothing] = await tree.apply([{ ...install, path: 'g/h', move: true }])
      assert.equal(nothing, undefined)
      await refused(tree.apply([{ ...install, path: 'f', move: false }]), 'STORAGE_FAILED')
      assert.equal(await fileText(tree, 'f'), 'installed before')
      assert.deepEqual(await scanned(tree), ['f'])
    },
  },
  {
    title:
      'tree: keep moves a file into an area, with copy it copies it, and a missing file is no error',
    run: async ({ opened, again }) => {
      const { tree } = opened
      await put(tree, 'a/moved', 'moved')
      await put(tree, 'copied', 'copied')
      const answer = await tree.apply([
        { kind: 'keep', path: 'a/moved', area: 'vault', name: 'i1/a', copy: false },
        { kind: 'keep', path: 'copied', area: 'vault', name: 'i1/b', copy: true },
        { kind: 'keep', path: 'none', area: 'vault', name: 'i1/c', copy: false },
      ])
      assert.deepEqual(
        answer.map((stat) => stat?.size),
        [undefined, 6, undefined],
      )
      assert.deepEqual(await scanned(tree), ['copied'])
      await tree.apply([{ kind: 'patch', path: 'copied', offset: 0, bytes: bytesOf('XXX') }])
      await opened.objects.sync('vault')
      const next = await again()
      assert.deepEqual(await next.objects.list('vault'), [
        { name: 'i1/a', bytes: 5 },
        { name: 'i1/b', bytes: 6 },
      ])
      assert.equal(await objectText(next, 'vault', 'i1/b'), 'copied')
    },
  },
  {
    title: 'HEAL-14: keep never replaces the object of an earlier keep',
    run: async ({ opened }) => {
      const { tree } = opened
      for (const copy of [false, true]) {
        const name = `kept-${copy}`
        await put(tree, 'f', 'the loser’s')
        const keep: TreeOperation = { kind: 'keep', path: 'f', area: 'vault', name, copy }
        await tree.apply([keep])
        await put(tree, 'f', 'the winner’s')
        const [stat] = await tree.apply([keep])
        assert.equal(stat?.size, bytesOf('the winner’s').byteLength)
        assert.equal(await fileText(tree, 'f'), 'the winner’s')
        assert.equal(await objectText(opened, 'vault', name), 'the loser’s')
      }
    },
  },
  {
    title:
      'tree: large objects are installed, patched and kept completely, in the order of the calls',
    run: async ({ opened }) => {
      const { tree } = opened
      const size = 9 * 1024 * 1024 + 5
      const large = Buffer.alloc(size, 'large ')
      await opened.objects.write('blobs', new Uint8Array(large), [
        { name: 'o', offset: 0, start: 0, length: size },
      ])
      const calls = [
        tree.apply([
          { kind: 'install', path: 'big', area: 'blobs', name: 'o', mode: 0o600, move: false },
          { kind: 'patchObject', path: 'big', offset: 3, area: 'blobs', name: 'o' },
          { kind: 'keep', path: 'big', area: 'vault', name: 'o', copy: true },
        ]),
        tree.apply([{ kind: 'put', path: 'small', bytes: bytesOf('x'), mode: 0o644 }]),
        tree.apply([{ kind: 'patch', path: 'big', offset: 0, bytes: bytesOf('last') }]),
      ]
      const answers = await Promise.all(calls)
      assert.deepEqual(
        answers[0]?.map((stat) => stat?.size),
        [size, size + 3, size + 3],
      )
      const expected = Buffer.concat([large.subarray(0, 3), large])
      const vaulted = await opened.objects.read('vault', 'o', 0, size + 10)
      assert.ok(expected.equals(vaulted))
      expected.set(bytesOf('last'))
      const { buffer } = await tree.read([{ path: 'big', offset: 0, length: size + 10 }])
      assert.ok(expected.equals(buffer))
    },
  },
  {
    title: 'tree: sync accepts some paths, many, all, none, and paths that were removed',
    run: async ({ opened }) => {
      const { tree } = opened
      const paths = Array.from({ length: 100 }, (_, index) => `d${index % 7}/f${index}`)
      await tree.apply(
        paths.map((path) => ({ kind: 'put', path, bytes: bytesOf(path), mode: 0o644 }) as const),
      )
      await tree.apply([{ kind: 'remove', path: 'd0/f0' }])
      await tree.sync(paths.slice(0, 10))
      await tree.sync(paths)
      await tree.sync([])
      await tree.sync(['never/was'])
      await tree.sync('all')
      assert.equal((await scanned(tree)).length, 99)
    },
  },
]
