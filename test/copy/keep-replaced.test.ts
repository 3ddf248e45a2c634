import { expect, test } from 'vitest'
import { keepReplaced } from '../../src/copy/vault/keep-replaced.js'
import { VaultObjects } from '../../src/copy/vault/objects.js'
import { HotspareError, type OpenStorage } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, smallLimits, TestState, testPolicy } from './support.js'

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

/** A large file and a small one that somebody else removed, and what is kept of them. */
async function kept(storedBytes: number, given: (opened: OpenStorage) => OpenStorage) {
  const storage = await memory().open(owner())
  const limits = { ...smallLimits, journalBytesMax: 50_000_000 }
  const copy = await openCopy(storage, testPolicy(new TestState()), { limits })
  const maker = new EntryMaker()
  copy.append(maker.open())
  const bytes = 3 * 1024 * 1024
  await storage.objects.write('blobs', new Uint8Array(storedBytes).fill(97), [
    { name: 'large', offset: 0, start: 0, length: storedBytes },
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
  await storage.tree.apply([
    { kind: 'remove', path: 'docs/large' },
    { kind: 'remove', path: 'docs/small' },
  ])
  const objects = new VaultObjects(storage, 50_000_000)
  const context = { objects, copy, id: 'adopted', mayGoOn: () => undefined }
  const { files, gone } = await keepReplaced({ ...context, storage: given(storage) }, replaced)
  const pathsOf = (all: readonly { readonly path: string }[]) => all.map(({ path }) => path)
  const stored = await storage.objects.list('vault')
  const small = stored.find(({ name }) => name === files[0]?.object)
  return { files: pathsOf(files), gone: pathsOf(gone), smallBytes: small?.bytes }
}

const mebibyte = 1024 * 1024

test('what was kept of a version that cannot be read to its end is in no other one', async () => {
  const result = await kept(3 * mebibyte, (storage) => damagedAt(storage, 2 * mebibyte))
  expect(result).toEqual({ files: ['docs/small'], gone: ['docs/large'], smallBytes: 5 })
})

test('a stored content that ends early is not filled up with zeros', async () => {
  const result = await kept(2 * mebibyte, (storage) => storage)
  expect(result).toEqual({ files: ['docs/small'], gone: ['docs/large'], smallBytes: 5 })
})
