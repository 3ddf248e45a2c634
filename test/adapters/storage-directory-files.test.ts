import { existsSync } from 'node:fs'
import {
  chmod,
  link,
  mkdtemp,
  open as openHandle,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { directory } from '../../src/storage/directory.js'

// Properties of real file systems: hard links, holes, and names that differ only in case.

const owner = { nodeId: 'alpha', bootId: 'boot-1' }
let base: string
let root: string
let opened: OpenStorage | undefined

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'hotspare-directory-'))
  root = join(base, 'root')
})

afterEach(async () => {
  await close()
  await rm(base, { recursive: true, force: true })
})

async function open(): Promise<OpenStorage> {
  opened = await directory(root, { threads: false }).open(owner)
  return opened
}

async function close(): Promise<void> {
  await opened?.close()
  opened = undefined
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

describe('case of names', () => {
  test('a folder that ignores case is detected, because its marker exists in other letters, too', async () => {
    const format = join(root, '.hotspare/format')
    const otherwise = join(root, '.hotspare/FORMAT')
    const { tree } = await open()
    const tellsApart = !existsSync(otherwise)
    expect(tree.foldsCase).toBe(!tellsApart)
    await close()
    if (!tellsApart) return
    await writeFile(otherwise, 'another file')
    expect((await open()).tree.foldsCase).toBe(false)
    await close()
    await rm(otherwise)
    await link(format, otherwise)
    expect((await open()).tree.foldsCase).toBe(true)
  })
})

describe('hard links', () => {
  const large = 3 * 1024 * 1024 + 5

  async function linked(bytes: number): Promise<OpenStorage> {
    const storage = await open()
    const put = { kind: 'put', path: 'a/file', bytes: new Uint8Array(bytes).fill(7) } as const
    await storage.tree.apply([{ ...put, mode: 0o640 }])
    await link(join(root, 'a/file'), join(base, 'backup'))
    return storage
  }

  for (const size of [5, large]) {
    test.each([
      { kind: 'patch', path: 'a/file', offset: 2, bytes: bytesOf('new') },
      { kind: 'patch', path: 'a/file', offset: size, bytes: bytesOf('appended') },
      { kind: 'patchObject', path: 'a/file', offset: 1, area: 'blobs', name: 'o' },
      { kind: 'truncate', path: 'a/file', size: 1 },
      { kind: 'truncate', path: 'a/file', size: size + 1000 },
      { kind: 'put', path: 'a/file', bytes: new Uint8Array(size).fill(7), mode: 0o640 },
      { kind: 'install', path: 'a/file', area: 'blobs', name: 'o', mode: 0o600, move: true },
    ] as const)(
      `$kind of one name (${size} bytes) leaves the other as it was`,
      async (operation) => {
        const { tree, objects } = await linked(size)
        await objects.write('blobs', bytesOf('ob'), [{ name: 'o', offset: 0, start: 0, length: 2 }])
        const before = await stat(join(base, 'backup'))
        const expected = Buffer.alloc(size, 7)
        const [answer] = await tree.apply([operation])
        if (operation.kind === 'patch' || operation.kind === 'truncate') {
          expect(answer?.sizeBefore).toBe(size)
        }
        const after = await stat(join(base, 'backup'))
        expect(after.mtimeMs).toBe(before.mtimeMs)
        expect(after.mode).toBe(before.mode)
        expect((await readFile(join(base, 'backup'))).equals(expected)).toBe(true)
        expect(after.nlink).toBe(1)
        const own = await stat(join(root, 'a/file'))
        expect(answer).toMatchObject({ size: own.size, inode: own.ino, mode: own.mode & 0o777 })
        expect(own.mode & 0o777).toBe(operation.kind === 'install' ? 0o600 : 0o640)
        const found = await readFile(join(root, 'a/file'))
        if (operation.kind === 'patch') {
          const wanted = Buffer.alloc(found.length, 7)
          wanted.set(operation.bytes, operation.offset)
          expect(found.equals(wanted)).toBe(true)
        }
        await close()
        expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
      },
    )
  }

  test('a small change of a file with one name is made in place', async () => {
    const { tree } = await open()
    const patch = { kind: 'patch', path: 'f', offset: 0, bytes: bytesOf('x') } as const
    const [first] = await tree.apply([patch])
    const [second] = await tree.apply([{ ...patch, offset: 1 }])
    expect(second?.inode).toBe(first?.inode)
  })

  test('a file that its owner may not open keeps its mode, and its other name keeps its bytes', async () => {
    const { tree } = await linked(5)
    await chmod(join(base, 'backup'), 0o000)
    await tree.apply([{ kind: 'patch', path: 'a/file', offset: 0, bytes: bytesOf('x') }])
    expect((await stat(join(root, 'a/file'))).mode & 0o777).toBe(0)
    expect((await stat(join(base, 'backup'))).mode & 0o777).toBe(0)
    await chmod(join(base, 'backup'), 0o600)
    expect(await readFile(join(base, 'backup'))).toEqual(Buffer.alloc(5, 7))
  })
})

describe('holes', () => {
  const mib = 1024 * 1024
  const size = 20 * mib + 11

  /** A sparse file with two blocks of data. */
  async function plant(path: string): Promise<Buffer> {
    const content = Buffer.alloc(size)
    content.fill(5, 3 * mib, 3 * mib + 10)
    content.fill(6, 11 * mib + 100, 11 * mib + 110)
    const file = await openHandle(path, 'w')
    for (const at of [3 * mib, 11 * mib + 100]) await file.write(content, at, 10, at)
    await file.truncate(size)
    await file.close()
    return content
  }

  const roomOf = async (path: string): Promise<number> => (await stat(path)).blocks * 512

  let content: Buffer
  let storage: OpenStorage

  beforeEach(async () => {
    storage = await open()
    content = await plant(join(root, 'sparse'))
  })

  async function expectSparse(path: string, wanted: Buffer = content): Promise<void> {
    expect((await readFile(path)).equals(wanted)).toBe(true)
    expect(await roomOf(path)).toBeLessThan(mib)
  }

  test('are reported by a read, and not for a file without holes', async () => {
    await writeFile(join(root, 'full'), Buffer.alloc(mib))
    const requests = ['sparse', 'full'].map((path) => ({ path, offset: 0, length: 10 }))
    const { results } = await storage.tree.read(requests)
    expect(results).toMatchObject([{ isSparse: true }, {}])
    expect(results[1]).not.toHaveProperty('isSparse')
  })

  test('become holes of an object, and of the file that is installed from it', async () => {
    const { objects, tree } = storage
    for (let offset = 0; offset < size; offset += mib) {
      const bytes = content.subarray(offset, offset + mib)
      const slice = { name: 'new', offset, start: 0, length: bytes.length }
      await objects.write('incoming', bytes, [slice])
      await objects.write('blobs', bytes, [{ ...slice, name: 'o' }])
    }
    await tree.takeIn()
    await expectSparse(join(root, 'new'))
    const install = { kind: 'install', area: 'blobs', name: 'o', mode: 0o644 } as const
    await tree.apply([{ ...install, path: 'copied', move: false }])
    await expectSparse(join(root, 'copied'))
    await tree.apply([{ ...install, path: 'moved', move: true }])
    await expectSparse(join(root, 'moved'))
  })

  test('stay when a file is kept, or changed under one of two names', async () => {
    const { tree } = storage
    await tree.apply([{ kind: 'keep', path: 'sparse', area: 'vault', name: 'v', copy: true }])
    await expectSparse(join(root, '.hotspare/vault/v'))
    await link(join(root, 'sparse'), join(base, 'backup'))
    await tree.apply([{ kind: 'patch', path: 'sparse', offset: 5, bytes: bytesOf('x') }])
    await expectSparse(join(base, 'backup'))
    content.write('x', 5)
    await expectSparse(join(root, 'sparse'))
  })

  test('are written as zeros where an object patches data of a file', async () => {
    const { tree, objects } = storage
    await objects.write('blobs', new Uint8Array(12 * mib), [
      { name: 'o', offset: 0, start: 0, length: 12 * mib },
    ])
    expect(await roomOf(join(root, '.hotspare/blobs/o'))).toBeLessThan(mib)
    const patch = { kind: 'patchObject', area: 'blobs', name: 'o' } as const
    await tree.apply([
      { ...patch, path: 'sparse', offset: 7 },
      { ...patch, path: 'new', offset: 3 },
    ])
    content.fill(0)
    expect((await readFile(join(root, 'sparse'))).equals(content)).toBe(true)
    await expectSparse(join(root, 'new'), Buffer.alloc(12 * mib + 3))
  })
})
