/** The tests of opening, locking and closing. */

import assert from 'node:assert/strict'
import { bytesOf, type KitTest, owner, put, refused, textOf } from './harness.js'

export const lifecycleTests: readonly KitTest[] = [
  {
    title: 'has a name',
    run: async ({ subject }) => {
      assert.match(subject.storage.name, /^[a-z][a-z0-9-]*$/)
    },
  },
  {
    title: 'open() of a storage that is open fails with STORAGE_LOCKED and names the holder',
    run: async ({ subject }) => {
      const other = subject.reopen?.() ?? subject.storage
      const error = await refused(other.open({ nodeId: 'beta', bootId: 'b' }), 'STORAGE_LOCKED')
      assert.match(error.message, /alpha/)
      assert.equal(error.details.nodeId, 'alpha')
    },
  },
  {
    title: 'can be opened again after it was closed',
    run: async ({ again }) => {
      const opened = await again()
      await opened.documents.write('meta', bytesOf('x'))
    },
  },
  {
    title: 'close() may be called more than once, and never releases the lock of a later handle',
    run: async ({ opened, subject }) => {
      await Promise.all([opened.close(), opened.close()])
      await opened.close()
      const next = await subject.storage.open(owner)
      // The old handle must not release the lock of the new one.
      await opened.close()
      await refused(subject.storage.open(owner), 'STORAGE_LOCKED')
      await next.close()
    },
  },
  {
    title: 'close() waits for calls in flight',
    run: async ({ opened, again }) => {
      const log = await opened.logs.open('journal', '1')
      const work = [
        opened.documents.write('meta', bytesOf('value')),
        opened.tree.apply([{ kind: 'put', path: 'a', bytes: bytesOf('x'), mode: 0o644 }]),
        log.append([bytesOf('record')]),
      ]
      const next = await again()
      await Promise.all(work)
      assert.equal(textOf(await next.documents.read('meta')), 'value')
      assert.equal((await next.tree.stat(['a']))[0]?.size, 1)
      assert.deepEqual(await next.logs.list('journal'), [{ name: '1', bytes: 6 }])
    },
  },
  {
    title: 'refuses every call after it was closed',
    run: async ({ opened }) => {
      const log = await opened.logs.open('journal', '1')
      await opened.close()
      await refused(log.append([bytesOf('x')]), 'STORAGE_FAILED')
      await refused(log.truncate(0), 'STORAGE_FAILED')
      await refused(opened.documents.read('meta'), 'STORAGE_FAILED')
      await refused(opened.documents.write('meta', bytesOf('x')), 'STORAGE_FAILED')
      await refused(opened.logs.open('journal', '2'), 'STORAGE_FAILED')
      await refused(opened.objects.list('blobs'), 'STORAGE_FAILED')
      await refused(put(opened.tree, 'a', 'x'), 'STORAGE_FAILED')
      await log.close()
    },
  },
]
