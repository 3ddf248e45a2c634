/** The tests of documents: small named values. */

import assert from 'node:assert/strict'
import { bytesOf, type KitTest, refused, textOf } from './harness.js'

export const documentTests: readonly KitTest[] = [
  {
    title: 'documents: a value that was never written is undefined',
    run: async ({ opened }) => {
      assert.equal(await opened.documents.read('meta'), undefined)
      assert.equal(await opened.documents.read('index/1'), undefined)
    },
  },
  {
    title: 'documents: read gives the value written last, also after the storage was opened again',
    run: async ({ opened, again }) => {
      await opened.documents.write('meta', bytesOf('first, and longer'))
      await opened.documents.write('meta', bytesOf('second'))
      await opened.documents.write('index/1', new Uint8Array())
      assert.equal(textOf(await opened.documents.read('meta')), 'second')
      const next = await again()
      assert.equal(textOf(await next.documents.read('meta')), 'second')
      assert.equal((await next.documents.read('index/1'))?.byteLength, 0)
    },
  },
  {
    title:
      'documents: the caller may change a value once write resolved, and a value that was read',
    run: async ({ opened }) => {
      const value = bytesOf('before')
      await opened.documents.write('meta', value)
      value.fill(0)
      const read = await opened.documents.read('meta')
      assert.equal(textOf(read), 'before')
      read?.fill(0)
      assert.equal(textOf(await opened.documents.read('meta')), 'before')
    },
  },
  {
    title: 'documents: of concurrent writes of one name, the last one wins',
    run: async ({ opened }) => {
      const writes = []
      for (let round = 0; round < 20; round += 1) {
        writes.push(opened.documents.write('meta', bytesOf(`round ${round}`)))
      }
      await Promise.all(writes)
      assert.equal(textOf(await opened.documents.read('meta')), 'round 19')
    },
  },
  {
    title: 'documents: remove removes a value, and a missing value is no error',
    run: async ({ opened, again }) => {
      await opened.documents.write('meta', bytesOf('x'))
      await opened.documents.remove('meta')
      await opened.documents.remove('meta')
      await opened.documents.remove('no/such')
      assert.equal(await opened.documents.read('meta'), undefined)
      const next = await again()
      assert.equal(await next.documents.read('meta'), undefined)
    },
  },
  {
    title: 'documents: list gives the names that start with the prefix, sorted, and nothing else',
    run: async ({ opened }) => {
      for (const name of ['index/10', 'meta', 'index/2', 'indexed', 'terms.v1', 'a/b/c']) {
        await opened.documents.write(name, bytesOf(name))
      }
      const log = await opened.logs.open('journal', '1')
      await log.append([bytesOf('no document')])
      await log.close()
      const blob = bytesOf('no document')
      await opened.objects.write('blobs', blob, [
        { name: 'o', offset: 0, start: 0, length: blob.byteLength },
      ])
      const all = ['a/b/c', 'index/10', 'index/2', 'indexed', 'meta', 'terms.v1']
      assert.deepEqual(await opened.documents.list(''), all)
      assert.deepEqual(await opened.documents.list('index'), ['index/10', 'index/2', 'indexed'])
      assert.deepEqual(await opened.documents.list('index/'), ['index/10', 'index/2'])
      assert.deepEqual(await opened.documents.list('index/1'), ['index/10'])
      assert.deepEqual(await opened.documents.list('nothing'), [])
    },
  },
  {
    title: 'documents: names that break the rules are refused',
    run: async ({ opened }) => {
      for (const name of ['', '/', '..', 'a/..', '../a', 'a//b', 'A', 'a b', './a', 'a/', 'ä']) {
        await refused(opened.documents.write(name, bytesOf('x')), 'PATH_INVALID')
        await refused(opened.documents.read(name), 'PATH_INVALID')
        await refused(opened.documents.remove(name), 'PATH_INVALID')
      }
    },
  },
]
