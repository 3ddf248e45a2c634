import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { storageError } from '../../src/storage/directory/base/fs-error.js'
import { directory } from '../../src/storage/directory.js'

// Devices that fail on command: calls of the file system fail with the errno set here.
const fail: { write: string | undefined; sync: string | undefined; short: number | undefined } =
  vi.hoisted(() => ({ write: undefined, sync: undefined, short: undefined }))

type AnyFunction = (...parameters: any[]) => any

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by the test`), { code })
}

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>()
  const failing =
    (call: AnyFunction, kind: 'write' | 'sync'): AnyFunction =>
    (...parameters) => {
      const code = fail[kind]
      const done = parameters.at(-1) as AnyFunction
      if (code === undefined) return call(...parameters)
      if (typeof done !== 'function') throw failure(code)
      queueMicrotask(() => done(failure(code)))
    }
  const write: AnyFunction = (fd, buffer, offset, length, position, done) => {
    const part = Math.min(length, fail.short ?? length)
    return failing(fs.write as AnyFunction, 'write')(fd, buffer, offset, part, position, done)
  }
  return {
    ...fs,
    write,
    writev: failing(fs.writev as AnyFunction, 'write'),
    writeSync: failing(fs.writeSync as AnyFunction, 'write'),
    fsync: failing(fs.fsync as AnyFunction, 'sync'),
    fdatasync: failing(fs.fdatasync as AnyFunction, 'sync'),
    fsyncSync: failing(fs.fsyncSync as AnyFunction, 'sync'),
  }
})

let root: string
let opened: OpenStorage

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotspare-failures-'))
  opened = await directory(root, { threads: false }).open({ nodeId: 'a', bootId: 'b' })
})

afterEach(async () => {
  fail.write = undefined
  fail.sync = undefined
  fail.short = undefined
  await opened.close()
  await rm(root, { recursive: true, force: true })
})

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error: unknown) => (HotspareError.is(error) ? error.code : String(error)),
  )
}

describe('a device that fails', () => {
  test.each([
    ['ENOSPC', 'STORAGE_FULL'],
    ['EDQUOT', 'STORAGE_FULL'],
    ['EROFS', 'STORAGE_READ_ONLY'],
    ['EIO', 'STORAGE_FAILED'],
  ])('GEN-8: %s is %s, with the path and the cause', (errno, code) => {
    const cause = failure(errno)
    const error = storageError(cause, 'cannot write', '/some/path')
    expect(error.code).toBe(code)
    expect(error.message).toContain('/some/path')
    expect(error.message).toContain(errno)
    expect(error.cause).toBe(cause)
    expect(storageError(error, 'again', '/other')).toBe(error)
  })

  test('GEN-8: a full device refuses puts, leaves nothing behind, and recovers', async () => {
    const put = { kind: 'put', path: 'a/f', bytes: bytesOf('x'), mode: 0o644 } as const
    fail.write = 'ENOSPC'
    expect(await codeOf(opened.tree.apply([put]))).toBe('STORAGE_FULL')
    expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
    expect((await opened.tree.stat(['a/f']))[0]).toBeUndefined()
    fail.write = undefined
    await opened.tree.apply([put])
  })

  test('a failed append ends the log, which accepts no append until it is opened again', async () => {
    const log = await opened.logs.open('journal', '1')
    await log.append([bytesOf('first')])
    fail.write = 'EIO'
    expect(await codeOf(log.append([bytesOf('second')]))).toBe('STORAGE_FAILED')
    fail.write = undefined
    expect(log.bytes).toBe(5)
    // The device works again, but what it dropped is unknown.
    expect(await codeOf(log.append([bytesOf('third')]))).toBe('STORAGE_FAILED')
    expect(await codeOf(log.truncate(0))).toBe('STORAGE_FAILED')
    await log.close()
    const again = await opened.logs.open('journal', '1')
    await again.truncate(5)
    await again.append([bytesOf('third')])
    expect(Buffer.from(await again.read(0, 100)).toString()).toBe('firstthird')
  })

  test('a failed sync after truncate ends the log', async () => {
    const log = await opened.logs.open('journal', '1')
    await log.append([bytesOf('first')])
    fail.sync = 'EIO'
    expect(await codeOf(log.truncate(1))).toBe('STORAGE_FAILED')
    fail.sync = undefined
    expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FAILED')
  })

  test('a device that writes in small portions gets all bytes', async () => {
    const log = await opened.logs.open('journal', '1')
    await log.append([bytesOf('claims room')])
    fail.short = 3
    await log.append([bytesOf('0123456789'), bytesOf('abc')])
    fail.short = undefined
    expect(Buffer.from(await log.read(11, 100)).toString()).toBe('0123456789abc')
  })

  test('after a failed sync of a file another sync fails, too, until the whole file is put again', async () => {
    const { tree } = opened
    const put = { kind: 'put', path: 'f', bytes: bytesOf('x'), mode: 0o644 } as const
    await tree.apply([put, { ...put, path: 'g' }])
    fail.sync = 'EIO'
    expect(await codeOf(tree.sync(['f']))).toBe('STORAGE_FAILED')
    fail.sync = undefined
    expect(await codeOf(tree.sync(['f']))).toBe('STORAGE_FAILED')
    expect(await codeOf(tree.sync('all'))).toBe('STORAGE_FAILED')
    await tree.sync(['g'])
    await tree.apply([{ kind: 'patch', path: 'f', offset: 0, bytes: bytesOf('y') }])
    expect(await codeOf(tree.sync(['f']))).toBe('STORAGE_FAILED')
    await tree.apply([put])
    await tree.sync(['f'])
  })

  test('after a failed sync a put writes the bytes again, although the file has them, also after a restart', async () => {
    const put = { kind: 'put', path: 'f', bytes: bytesOf('x'), mode: 0o644 } as const
    await opened.tree.apply([put])
    fail.sync = 'EIO'
    expect(await codeOf(opened.tree.sync(['f']))).toBe('STORAGE_FAILED')
    fail.sync = undefined
    fail.write = 'EIO'
    expect(await codeOf(opened.tree.apply([put]))).toBe('STORAGE_FAILED')
    fail.write = undefined
    await opened.close()
    opened = await directory(root, { threads: false }).open({ nodeId: 'a', bootId: 'c' })
    fail.write = 'EIO'
    expect(await codeOf(opened.tree.apply([put]))).toBe('STORAGE_FAILED')
    fail.write = undefined
    await opened.tree.apply([put])
    await opened.tree.sync(['f'])
  })

  test('after a failed sync of an object another sync fails, too, until the object is written again', async () => {
    const { objects } = opened
    const write = (): Promise<void> =>
      objects.write('blobs', bytesOf('x'), [{ name: 'o', offset: 0, start: 0, length: 1 }])
    await write()
    fail.sync = 'EIO'
    expect(await codeOf(objects.sync('blobs', ['o']))).toBe('STORAGE_FAILED')
    fail.sync = undefined
    expect(await codeOf(objects.sync('blobs', ['o']))).toBe('STORAGE_FAILED')
    await objects.remove('blobs', ['o'])
    await write()
    await objects.sync('blobs', ['o'])
  })

  test('without the program that flushes a file system, every file is synced separately', async () => {
    const { tree, objects } = opened
    await tree.apply([{ kind: 'put', path: 'a/f', bytes: bytesOf('x'), mode: 0o644 }])
    await objects.write('blobs', bytesOf('x'), [{ name: 'o', offset: 0, start: 0, length: 1 }])
    vi.stubEnv('PATH', '')
    try {
      await tree.sync('all')
      await objects.sync('blobs')
      fail.sync = 'EIO'
      expect(await codeOf(tree.sync('all'))).toBe('STORAGE_FAILED')
      expect(await codeOf(objects.sync('blobs'))).toBe('STORAGE_FAILED')
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('a failed flush of the file system ends all syncs until the storage is opened again', async () => {
    const programs = join(root, 'programs')
    await mkdir(programs)
    const program =
      '#!/bin/sh\n[ "$1" = --help ] && echo --file-system && exit 0\necho broken >&2\nexit 1\n'
    await writeFile(join(programs, 'sync'), program)
    await chmod(join(programs, 'sync'), 0o755)
    vi.stubEnv('PATH', `${programs}:${process.env.PATH ?? ''}`)
    try {
      await expect(opened.tree.sync('all')).rejects.toThrow(/broken/)
    } finally {
      vi.unstubAllEnvs()
    }
    expect(await codeOf(opened.tree.sync('all'))).toBe('STORAGE_FAILED')
    expect(await codeOf(opened.objects.sync('vault', ['x']))).toBe('STORAGE_FAILED')
  })
})
