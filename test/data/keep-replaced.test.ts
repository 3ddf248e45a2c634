import { expect, test } from 'vitest'
import { HotspareError, type OpenStorage } from '../../src/index.js'
import { keepReplaced } from '../../src/replication/keep-replaced.js'
import { VaultObjects } from '../../src/replication/vault-objects.js'
import { memory } from '../../src/storage/memory.js'
import {
  EntryMaker,
  openCopy,
  owner,
  put,
  smallLimits,
  TestState,
  testPolicy,
} from './copy-support.js'

/** The storage as one of which a part of a large content cannot be read. */
function damagedAt(opened: OpenStorage, offsetMin: number): OpenStorage {
  const objects = new Proxy(opened.objects, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'read') return value.bind(target)
      return (area: 'blobs', object: string, offset: number, length: number) =>
        area === 'blobs' && offset >= offsetMin
          ? Promise.reject(new HotspareError('STORAGE_FAILED', 'a damaged sector'))
          : target.read(area, object, offset, length)
    },
  })
  return { ...opened, objects, tree: opened.tree }
}

test('what was kept of a version that cannot be read to its end is in no other one', async () => {
  const storage = await memory().open(owner())
  const limits = { ...smallLimits, journalBytesMax: 50_000_000 }
  const copy = await openCopy(storage, testPolicy(new TestState()), { limits })
  const maker = new EntryMaker()
  copy.append(maker.open())
  const bytes = 3 * 1024 * 1024
  await storage.objects.write('blobs', new Uint8Array(bytes).fill(97), [
    { name: 'large', offset: 0, start: 0, length: bytes },
  ])
  const blob = { id: 'large', bytes, crc: 0 }
  const large = { kind: 'put', className: 'docs', path: 'docs/large', mode: 0o644 } as const
  copy.append(maker.batch({ ...large, bytes: undefined, blob }))
  copy.append(maker.batch(put('docs/small', 'small')))
  await copy.flush()
  const replaced = [
    { path: 'docs/large', size: bytes, version: 1, isTouched: true, stat: undefined },
    { path: 'docs/small', size: 5, version: 2, isTouched: true, stat: undefined },
  ]
  await copy.settle()
  const objects = new VaultObjects(storage, 50_000_000)
  await storage.tree.apply([
    { kind: 'remove', path: 'docs/large' },
    { kind: 'remove', path: 'docs/small' },
  ])
  const context = {
    ...{ objects, copy, id: 'adopted', mayGoOn: () => undefined },
    storage: damagedAt(storage, 2 * 1024 * 1024),
  }
  const { files, gone } = await keepReplaced(context, replaced)
  expect(gone.map(({ path }) => path)).toEqual(['docs/large'])
  const [small] = files
  expect(files.map(({ path }) => path)).toEqual(['docs/small'])
  const kept = await storage.objects.list('vault')
  expect(kept.find(({ name }) => name === small?.object)?.bytes).toBe(5)
})
