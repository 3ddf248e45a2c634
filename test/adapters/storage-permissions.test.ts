/**
 * Files that their owner may not open. Root ignores permissions, so a test that runs as root
 * becomes another user for a while.
 */
import { chown, link, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import type { TreeOperation } from '../../src/interfaces/tree-store.js'
import { Layout } from '../../src/storage/directory/base/layout.js'
import { DirectoryLock } from '../../src/storage/directory/lock.js'
import { directory } from '../../src/storage/directory.js'

const nobody = 65_534
const isRoot = process.getuid?.() === 0
let root: string
let opened: OpenStorage | undefined

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotspare-permissions-'))
  if (!isRoot) return
  await chown(root, nobody, nobody)
  process.setegid?.(nobody)
  process.seteuid?.(nobody)
})

afterEach(async () => {
  await opened?.close()
  opened = undefined
  process.seteuid?.(process.getuid?.() ?? 0)
  process.setegid?.(process.getgid?.() ?? 0)
  await rm(root, { recursive: true, force: true })
})

async function open(threads = false): Promise<OpenStorage> {
  opened = await directory(root, { threads }).open({ nodeId: 'alpha', bootId: 'boot-1' })
  return opened
}

async function textOf({ tree }: OpenStorage, path: string): Promise<string> {
  const { buffer, results } = await tree.read([{ path, offset: 0, length: 1000 }])
  const [result] = results
  if (result === undefined || result === 'missing') return 'missing'
  return Buffer.from(buffer.subarray(result.start, result.start + result.length)).toString()
}

async function modeOf(path: string): Promise<number> {
  return (await stat(join(root, path))).mode & 0o777
}

function put(path: string, text: string, mode: number): TreeOperation {
  return { kind: 'put', path, bytes: Buffer.from(text), mode }
}

// Windows has no such permissions.
describe.skipIf(process.platform === 'win32')('files that their owner may not open', () => {
  for (const threads of [false, true]) {
    for (const mode of [0o444, 0, 0o200, 0o077]) {
      const name = mode.toString(8).padStart(3, '0')
      test(`mode ${name} stays after every operation on the file (threads: ${threads})`, async () => {
        const storage = await open(threads)
        const { tree, objects } = storage
        await tree.apply([put('a/f', 'hello', mode)])
        expect(await textOf(storage, 'a/f')).toBe('hello')
        await objects.write('blobs', Buffer.from('!?'), [
          { name: 'o', offset: 0, start: 0, length: 2 },
        ])
        const stats = await tree.apply([
          { kind: 'patch', path: 'a/f', offset: 5, bytes: Buffer.from(' world') },
          { kind: 'truncate', path: 'a/f', size: 8 },
          { kind: 'patchObject', path: 'a/f', offset: 8, area: 'blobs', name: 'o' },
          { kind: 'keep', path: 'a/f', area: 'vault', name: 'i/copy', copy: true },
        ])
        expect(stats.map((found) => found?.mode)).toEqual([mode, mode, mode, mode])
        await tree.sync(['a/f'])
        await tree.sync('all')
        expect(await textOf(storage, 'a/f')).toBe('hello wo!?')
        expect(await modeOf('a/f')).toBe(mode)
        const [answer] = (await tree.read([{ path: 'a/f', offset: 0, length: 1 }])).results
        expect(answer).toMatchObject({ stat: { mode } })
        await tree.apply([
          put('a/f', 'again', mode),
          { kind: 'keep', path: 'a/f', area: 'vault', name: 'i/moved', copy: false },
        ])
        const kept = await objects.read('vault', 'i/moved', 0, 10)
        expect(Buffer.from(kept).toString()).toBe('again')
        expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
      })
    }
  }

  test('a file that arrives piece by piece in a restore may have any mode', async () => {
    const storage = await open()
    const { objects, tree } = storage
    for (const [offset, text] of ['ab', 'cd', 'ef'].entries()) {
      await objects.write('incoming', Buffer.from(text), [
        { name: 'a/f', offset: offset * 2, start: 0, length: 2, mode: 0 },
      ])
    }
    await objects.sync('incoming')
    await tree.takeIn()
    expect(await textOf(storage, 'a/f')).toBe('abcdef')
    expect(await modeOf('a/f')).toBe(0)
  })

  test('with two threads at once, each sees the real mode of the file', async () => {
    const { tree } = await open(true)
    await tree.apply([put('f', 'x', 0)])
    const modes = new Set<number | undefined>()
    for (let round = 0; round < 50; round += 1) {
      const write = { kind: 'patch', path: 'f', offset: 1, bytes: Buffer.from('y') } as const
      const operations = Array.from({ length: 10 }, () => write)
      const requests = Array.from({ length: 10 }, () => ({ path: 'f', offset: 0, length: 2 }))
      const [stats, { results }] = await Promise.all([tree.apply(operations), tree.read(requests)])
      for (const found of stats) modes.add(found?.mode)
      for (const found of results) modes.add(found === 'missing' ? undefined : found.stat.mode)
    }
    expect([...modes]).toEqual([0])
  })

  test('a mode that was changed temporarily when the process died is restored at the next open', async () => {
    const { tree } = await open()
    await tree.apply([put('f', 'x', 0o644), put('g', 'x', 0o644)])
    await opened?.close()
    const temporary = join(root, '.hotspare/tmp')
    await link(join(root, 'f'), join(temporary, 'lent-440-changes-7'))
    await link(join(root, 'g'), join(temporary, 'bulk-3'))
    const again = await open()
    expect([await modeOf('f'), await modeOf('g')]).toEqual([0o440, 0o644])
    expect(await readdir(temporary)).toEqual([])
    expect(await textOf(again, 'f')).toBe('x')
  })

  test.runIf(isRoot)('a file of another user stays unreadable and unchanged', async () => {
    const storage = await open()
    process.seteuid?.(0)
    await mkdir(join(root, 'theirs'))
    await writeFile(join(root, 'theirs/f'), 'x', { mode: 0o600 })
    process.seteuid?.(nobody)
    const failed = await textOf(storage, 'theirs/f').catch((error: unknown) => error)
    expect(HotspareError.is(failed, 'STORAGE_FAILED')).toBe(true)
    expect(String(failed)).toContain('EACCES')
    expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
  })

  test('an error names a folder that the process may not write, and what to do', async () => {
    if (!isRoot) return
    process.seteuid?.(0)
    await chown(root, 0, 0)
    process.seteuid?.(nobody)
    const failed = await open().catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'STORAGE_READ_ONLY' })
    expect(String(failed)).toMatch(/may not write: EACCES.*Correct the owner, the permissions or/)
  })

  test.runIf(isRoot)('a lock that cannot be renewed fails with a storage error code', async () => {
    await (await open()).close()
    opened = undefined
    const told = { lost: () => undefined, waits: () => undefined }
    const layout = new Layout(root, 'test')
    const lock = await DirectoryLock.take(layout, { nodeId: 'alpha', bootId: 'boot-2' }, told)
    process.seteuid?.(0)
    await chown(layout.lock, 0, 0)
    process.seteuid?.(nobody)
    const failed = await lock.renew().catch((error: unknown) => error)
    process.seteuid?.(0)
    await chown(layout.lock, nobody, nobody)
    process.seteuid?.(nobody)
    await lock.release()
    expect(failed).toMatchObject({ code: 'STORAGE_FAILED' })
    expect(String(failed)).toMatch(/cannot renew the lock .*: E(PERM|ACCES)/)
  })
})
