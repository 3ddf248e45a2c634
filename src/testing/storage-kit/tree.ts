/** The tests of operations that write into the tree. */

import assert from 'node:assert/strict'
import type { FileStat, TreeOperation, TreeStore } from '../../interfaces/tree-store.js'
import { bytesOf, fileText, type KitTest, put, refused, scanned, writeObject } from './harness.js'

export const treeTests: readonly KitTest[] = [
  {
    title:
      'tree: put writes a file with its mode, creates folders, and answers the state of the file',
    run: async ({ opened, again }) => {
      const answer = await opened.tree.apply([
        { kind: 'put', path: 'a/b/c.txt', bytes: bytesOf('hello'), mode: 0o640 },
        { kind: 'put', path: 'top', bytes: new Uint8Array(), mode: 0o777 },
      ])
      assert.equal(answer[0]?.size, 5)
      assert.equal(answer[0]?.mode, 0o640)
      assert.equal(answer[1]?.size, 0)
      assert.equal(answer[1]?.mode, 0o777)
      assert.deepEqual(await opened.tree.stat(['a/b/c.txt', 'top']), answer)
      await opened.tree.sync(['a/b/c.txt', 'top'])
      const next = await again()
      assert.equal(await fileText(next.tree, 'a/b/c.txt'), 'hello')
    },
  },
  {
    title: 'tree: put replaces the whole content and the mode of a file',
    run: async ({ opened }) => {
      await put(opened.tree, 'f', 'long before')
      const before = await statOf(opened.tree, 'f')
      const operation: TreeOperation = {
        kind: 'put',
        path: 'f',
        bytes: bytesOf('short'),
        mode: 0o600,
      }
      const [after] = await opened.tree.apply([operation])
      assert.equal(await fileText(opened.tree, 'f'), 'short')
      assert.equal(after?.mode, 0o600)
      assert.ok(after.mtimeMs !== before?.mtimeMs || after.inode !== before?.inode)
    },
  },
  {
    title:
      'tree: the bytes of operations may be views of one buffer, which the caller may change afterwards',
    run: async ({ opened }) => {
      const whole = bytesOf('onetwo')
      await opened.tree.apply([
        { kind: 'put', path: '1', bytes: whole.subarray(0, 3), mode: 0o644 },
        { kind: 'patch', path: '2', bytes: whole.subarray(3), offset: 0 },
      ])
      assert.equal(whole.byteLength, 6)
      whole.fill(0)
      assert.equal(await fileText(opened.tree, '1'), 'one')
      assert.equal(await fileText(opened.tree, '2'), 'two')
    },
  },
  {
    title: 'tree: patch writes in place, creates a missing file, and fills a gap with zeros',
    run: async ({ opened }) => {
      const { tree } = opened
      await tree.apply([
        { kind: 'put', path: 'f', bytes: bytesOf('0123456789'), mode: 0o600 },
        { kind: 'patch', path: 'f', offset: 3, bytes: bytesOf('abc') },
        { kind: 'patch', path: 'f', offset: 12, bytes: bytesOf('xy') },
        { kind: 'patch', path: 'new/g', offset: 2, bytes: bytesOf('z') },
      ])
      assert.equal(await fileText(tree, 'f'), '012abc6789\0\0xy')
      assert.equal((await statOf(tree, 'f'))?.mode, 0o600)
      assert.equal(await fileText(tree, 'new/g'), '\0\0z')
      assert.equal((await statOf(tree, 'new/g'))?.mode, 0o644)
    },
  },
  {
    title: 'tree: a file can be read and changed whatever its mode, and keeps the mode',
    run: async ({ opened }) => {
      const { tree } = opened
      for (const mode of [0o444, 0]) {
        const answers = await tree.apply([
          { kind: 'put', path: 'f', bytes: bytesOf('0123'), mode },
          { kind: 'patch', path: 'f', offset: 4, bytes: bytesOf('45') },
          { kind: 'truncate', path: 'f', size: 5 },
        ])
        for (const answer of answers) assert.equal(answer?.mode, mode)
        assert.equal(await fileText(tree, 'f'), '01234')
        await tree.sync(['f'])
      }
    },
  },
  {
    title: 'tree: patchObject patches with the bytes of an object and keeps the object',
    run: async ({ opened }) => {
      const { tree } = opened
      await writeObject(opened, 'blobs', 'o', 'OBJECT')
      await put(tree, 'f', '0123456789')
      const patch = { kind: 'patchObject', area: 'blobs', name: 'o' } as const
      await tree.apply([
        { ...patch, path: 'f', offset: 2 },
        { ...patch, path: 'g', offset: 1 },
        { ...patch, path: 'f', offset: 2 },
      ])
      assert.equal(await fileText(tree, 'f'), '01OBJECT89')
      assert.equal(await fileText(tree, 'g'), '\0OBJECT')
      assert.equal((await opened.objects.list('blobs')).length, 1)
      const missing: TreeOperation = { ...patch, name: 'none', path: 'f', offset: 0 }
      await refused(tree.apply([missing]), 'STORAGE_FAILED')
    },
  },
  {
    title: 'tree: truncate shortens a file, extends it with zeros, and creates a missing file',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'f', '0123456789')
      await tree.apply([{ kind: 'truncate', path: 'f', size: 4 }])
      assert.equal(await fileText(tree, 'f'), '0123')
      await tree.apply([
        { kind: 'truncate', path: 'f', size: 6 },
        { kind: 'truncate', path: 'g', size: 2 },
      ])
      assert.equal(await fileText(tree, 'f'), '0123\0\0')
      assert.equal(await fileText(tree, 'g'), '\0\0')
      assert.equal((await statOf(tree, 'g'))?.mode, 0o644)
    },
  },
  {
    title: 'tree: remove removes the file and the folders that it leaves empty, and no others',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'a/b/c/d', 'x')
      await put(tree, 'a/e', 'x')
      const answer = await tree.apply([
        { kind: 'remove', path: 'a/b/c/d' },
        { kind: 'remove', path: 'none/at/all' },
        { kind: 'remove', path: 'a/e/below' },
        // The folder was removed, so a file can be put at its path.
        { kind: 'put', path: 'a/b', bytes: bytesOf('file'), mode: 0o644 },
        { kind: 'remove', path: 'a/b' },
      ])
      assert.deepEqual(
        answer.map((stat) => stat?.size),
        [undefined, undefined, undefined, 4, undefined],
      )
      assert.deepEqual(await scanned(tree), ['a/e'])
      await tree.apply([{ kind: 'remove', path: 'a' }])
      assert.deepEqual(await scanned(tree), ['a/e'])
    },
  },
  {
    title: 'tree: operations of a call are applied in order, and so are calls',
    run: async ({ opened }) => {
      const { tree } = opened
      const calls = []
      for (let round = 0; round < 50; round += 1) {
        calls.push(
          tree.apply([
            { kind: 'put', path: 'f', bytes: bytesOf(`${round}`), mode: 0o644 },
            { kind: 'patch', path: 'log', offset: round, bytes: bytesOf(`${round % 10}`) },
          ]),
        )
      }
      const answers = await Promise.all(calls)
      assert.equal(await fileText(tree, 'f'), '49')
      assert.deepEqual(
        answers.map((answer) => answer[1]?.size),
        answers.map((_, index) => index + 1),
      )
    },
  },
  {
    title: 'tree: applying operations twice has the same result as applying them once',
    run: async ({ opened }) => {
      const { tree } = opened
      await writeObject(opened, 'staging', 'move', 'moved')
      await writeObject(opened, 'staging', 'stay', 'copied')
      await put(tree, 'lost', 'to be kept')
      const operations: TreeOperation[] = [
        { kind: 'keep', path: 'lost', area: 'vault', name: 'lost', copy: false },
        { kind: 'install', path: 'lost', area: 'staging', name: 'move', mode: 0o644, move: true },
        { kind: 'install', path: 'f', area: 'staging', name: 'stay', mode: 0o600, move: false },
        { kind: 'patch', path: 'f', offset: 1, bytes: bytesOf('X') },
        { kind: 'truncate', path: 'f', size: 4 },
        { kind: 'put', path: 'gone', bytes: bytesOf('x'), mode: 0o644 },
        { kind: 'remove', path: 'gone' },
      ]
      const once = await tree.apply(operations)
      const twice = await tree.apply(operations)
      assert.deepEqual(await scanned(tree), ['f', 'lost'])
      assert.deepEqual(
        twice.map(shape),
        once.map((stat, index) => (index === 0 ? { size: 5, mode: 0o644 } : shape(stat))),
      )
      assert.equal(await fileText(tree, 'lost'), 'moved')
      assert.equal(await fileText(tree, 'f'), 'cXpi')
      const vaulted = await opened.objects.read('vault', 'lost', 0, 100)
      assert.equal(Buffer.from(vaulted).toString(), 'to be kept')
    },
  },
  {
    title: 'tree: a file at the path of a needed folder is removed only with force',
    run: async ({ opened }) => {
      const { tree } = opened
      await writeObject(opened, 'blobs', 'o', 'x')
      const path = 'file/below'
      const operations: TreeOperation[] = [
        { kind: 'put', path, bytes: bytesOf('x'), mode: 0o644 },
        { kind: 'patch', path, offset: 0, bytes: bytesOf('x') },
        { kind: 'patchObject', path, offset: 0, area: 'blobs', name: 'o' },
        { kind: 'truncate', path, size: 1 },
        { kind: 'install', path, area: 'blobs', name: 'o', mode: 0o644, move: false },
      ]
      for (const operation of operations) {
        await tree.apply([{ kind: 'remove', path }])
        await put(tree, 'file', 'here')
        const error = await refused(tree.apply([operation]), 'PATH_BLOCKED')
        assert.equal(error.details.obstacle, 'file')
        assert.equal(await fileText(tree, 'file'), 'here')
        const forced = { ...operation, force: true } as TreeOperation
        assert.equal((await tree.apply([forced]))[0]?.size, 1)
        assert.deepEqual(await scanned(tree), [path])
      }
    },
  },
  {
    title: 'tree: a file is refused at the path of a folder with files, also with force',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'folder/file', 'x')
      for (const force of [false, true]) {
        const operation = { kind: 'put', path: 'folder', bytes: bytesOf('y'), mode: 0o644 } as const
        const error = await refused(tree.apply([{ ...operation, force }]), 'PATH_BLOCKED')
        assert.equal(error.details.obstacle, 'folder/file')
        await refused(
          tree.apply([{ kind: 'truncate', path: 'folder', size: 0, force }]),
          'PATH_BLOCKED',
        )
      }
      assert.equal(await fileText(tree, 'folder/file'), 'x')
    },
  },
  {
    title:
      'tree: names that differ only in case are two files, or one if the adapter sets foldsCase',
    run: async ({ opened, again }) => {
      const { tree } = opened
      await put(tree, 'Folder/file', 'one')
      await put(tree, 'folder/FILE', 'two')
      const next = (await again()).tree
      assert.equal(next.foldsCase, tree.foldsCase)
      if (next.foldsCase === true) {
        assert.equal((await scanned(next)).length, 1)
        for (const path of ['Folder/file', 'FOLDER/file']) {
          assert.equal(await fileText(next, path), 'two')
        }
        await next.apply([{ kind: 'remove', path: 'fOLDER/fILE' }])
        assert.deepEqual(await scanned(next), [])
      } else {
        assert.deepEqual(await scanned(next), ['Folder/file', 'folder/FILE'])
        assert.equal(await fileText(next, 'Folder/file'), 'one')
        assert.equal(await fileText(next, 'folder/file'), undefined)
      }
    },
  },
  {
    title: 'tree: after a failure the operations before it are applied, those after it are not',
    run: async ({ opened }) => {
      const { tree } = opened
      await put(tree, 'folder/file', 'x')
      const call = tree.apply([
        { kind: 'put', path: 'before', bytes: bytesOf('x'), mode: 0o644 },
        { kind: 'put', path: 'folder', bytes: bytesOf('x'), mode: 0o644 },
        { kind: 'put', path: 'behind', bytes: bytesOf('x'), mode: 0o644 },
      ])
      const error = await refused(call, 'PATH_BLOCKED')
      assert.match(error.message, /folder/)
      assert.deepEqual(await scanned(tree), ['before', 'folder/file'])
    },
  },
  {
    title: 'SYN-22: paths into the storage’s own folder and out of the root are refused',
    run: async ({ opened }) => {
      const { tree } = opened
      const bad = [
        '',
        '.',
        '..',
        '../x',
        'a/../b',
        '/x',
        'a//b',
        'a/',
        './a',
        'a\0b',
        '.hotspare',
        '.hotspare/meta',
        '.HotSpare/meta',
      ]
      for (const path of bad) {
        await refused(put(tree, path, 'x'), 'PATH_INVALID')
        await refused(tree.apply([{ kind: 'remove', path }]), 'PATH_INVALID')
        await refused(tree.stat([path]), 'PATH_INVALID')
        await refused(tree.read([{ path, offset: 0, length: 1 }]), 'PATH_INVALID')
        await refused(tree.sync([path]), 'PATH_INVALID')
      }
      await opened.documents.write('meta', bytesOf('x'))
      await writeObject(opened, 'blobs', 'o', 'x')
      await put(tree, '.hotspare2/x', 'x')
      await put(tree, 'a/.hotspare', 'x')
      assert.deepEqual(await scanned(tree), ['.hotspare2/x', 'a/.hotspare'])
    },
  },
]

async function statOf(tree: TreeStore, path: string): Promise<FileStat | undefined> {
  return (await tree.stat([path]))[0]
}

function shape(stat: FileStat | undefined): { size: number; mode: number } | undefined {
  return stat === undefined ? undefined : { size: stat.size, mode: stat.mode }
}
