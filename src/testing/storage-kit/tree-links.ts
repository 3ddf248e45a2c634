/** Files with several names (hard links): a change of one name does not affect the others. */

import assert from 'node:assert/strict'
import type { TreeOperation } from '../../interfaces/tree-store.js'
import { bytesOf, fileText, type KitTest, put, writeObject } from './harness.js'

const path = 'folder/file'
const other = 'other'

export const treeLinkTests: readonly KitTest[] = [
  {
    title: 'tree: a change of a file does not change its other names (hard links)',
    run: async ({ opened, subject }) => {
      if (subject.link === undefined) return
      const { tree } = opened
      await writeObject(opened, 'blobs', 'o', 'OB')
      const operations: readonly [TreeOperation, string][] = [
        [{ kind: 'patch', path, offset: 1, bytes: bytesOf('X') }, 'aXc'],
        [{ kind: 'patch', path, offset: 3, bytes: bytesOf('d') }, 'abcd'],
        [{ kind: 'patchObject', path, offset: 2, area: 'blobs', name: 'o' }, 'abOB'],
        [{ kind: 'truncate', path, size: 1 }, 'a'],
        [{ kind: 'put', path, bytes: bytesOf('new'), mode: 0o600 }, 'new'],
        [{ kind: 'install', path, area: 'blobs', name: 'o', mode: 0o600, move: false }, 'OB'],
      ]
      for (const [operation, expected] of operations) {
        await tree.apply([
          { kind: 'remove', path },
          { kind: 'remove', path: other },
        ])
        await put(tree, path, 'abc')
        await subject.link(path, other)
        const [before] = await tree.stat([other])
        const [answer] = await tree.apply([operation])
        const [own, after] = await tree.stat([path, other])
        assert.equal(await fileText(tree, path), expected, operation.kind)
        assert.equal(await fileText(tree, other), 'abc', operation.kind)
        assert.deepEqual(after, before, operation.kind)
        assert.equal(answer?.inode, own?.inode, operation.kind)
        // Repeating the operation has the same result; the file has one name by now.
        await tree.apply([operation])
        assert.equal(await fileText(tree, path), expected, operation.kind)
      }
    },
  },
]
