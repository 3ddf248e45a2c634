import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  cp,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { Log, OpenStorage } from '../../src/interfaces/storage.js'
import { CallGate } from '../../src/storage/directory/base/call-gate.js'
import { Layout } from '../../src/storage/directory/base/layout.js'
import { Room } from '../../src/storage/directory/base/room.js'
import { DirectoryLock } from '../../src/storage/directory/lock.js'
import { DirectoryLogs } from '../../src/storage/directory/logs.js'
import { directory } from '../../src/storage/directory.js'

const owner = { nodeId: 'alpha', bootId: 'boot-1' }
let base: string
let root: string
let opened: OpenStorage | undefined
const children: ChildProcess[] = []

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'hotspare-directory-'))
  root = join(base, 'root')
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await opened?.close()
  opened = undefined
  await rm(base, { recursive: true, force: true })
})

async function open(threads = false): Promise<OpenStorage> {
  opened = await directory(root, { threads }).open(owner)
  return opened
}

async function close(): Promise<void> {
  await opened?.close()
  opened = undefined
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error: unknown) => (HotspareError.is(error) ? error.code : String(error)),
  )
}

async function retryUntil(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('the lock', () => {
  const lockPath = (): string => join(root, '.hotspare/lock')

  /** Writes a lock file as this machine would, with some fields changed. */
  async function plantLock(changes: Record<string, unknown>): Promise<void> {
    await open()
    const content = JSON.parse(await readFile(lockPath(), 'utf8')) as Record<string, unknown>
    await close()
    await writeFile(
      lockPath(),
      JSON.stringify({ ...content, nodeId: 'other', token: 't', ...changes }),
    )
  }

  function startProcess(): number {
    const child = spawn('sleep', ['60'])
    children.push(child)
    return child.pid ?? 0
  }

  test('names the owner, its boot id and the process, and is removed by close', async () => {
    await open()
    const content = JSON.parse(await readFile(lockPath(), 'utf8')) as Record<string, unknown>
    expect(content).toMatchObject({ nodeId: 'alpha', bootId: 'boot-1', pid: process.pid })
    await close()
    expect(existsSync(lockPath())).toBe(false)
  })

  test('of a living process is respected, and the error names that process', async () => {
    const pid = startProcess()
    await plantLock({ pid, processStart: '' })
    const error: unknown = await open().catch((caught: unknown) => caught)
    expect(HotspareError.is(error, 'STORAGE_LOCKED')).toBe(true)
    expect(String(error)).toContain('other')
    expect(String(error)).toContain(String(pid))
  })

  test('of a process that has ended is taken over', async () => {
    await plantLock({ pid: spawnSync('true').pid })
    await open()
    expect(JSON.parse(await readFile(lockPath(), 'utf8'))).toMatchObject({ nodeId: 'alpha' })
  })

  test.runIf(process.platform === 'linux')(
    'of an earlier process with the same process id is taken over',
    async () => {
      await plantLock({ pid: startProcess(), processStart: '1' })
      await open()
    },
  )

  test.runIf(process.platform === 'linux')(
    'of an earlier boot of this machine is taken over',
    async () => {
      await plantLock({ pid: process.pid, machineBoot: 'another boot' })
      await open()
    },
  )

  test('of a holder that cannot be checked is taken over only when it is not renewed', async () => {
    await plantLock({ pid: 1, host: 'elsewhere' })
    const layout = new Layout(root, 'test')
    let touches = 0
    const toucher = setInterval(() => {
      touches += 1
      const then = new Date(touches * 1000)
      void utimes(lockPath(), then, then)
    }, 10)
    const waits: string[] = []
    const told = { lost: () => undefined, waits: (why: string) => waits.push(why) }
    const take = (): Promise<DirectoryLock> => DirectoryLock.take(layout, owner, told, 300)
    expect(await codeOf(take())).toBe('STORAGE_LOCKED')
    expect(waits).toEqual([expect.stringMatching(/held by node .* on elsewhere/)])
    clearInterval(toucher)
    const lock = await take()
    expect(lock.wasWatched).toBe(true)
    await lock.release()
    const next = await take()
    expect(next.wasWatched).toBe(false)
    await next.release()
  })

  test('that another process took over ends the storage', async () => {
    const { documents } = await open()
    await writeFile(lockPath(), JSON.stringify({ nodeId: 'thief' }))
    await retryUntil(
      async () => (await codeOf(documents.write('meta', bytesOf('x')))) !== 'no error',
    )
    expect(await codeOf(documents.write('meta', bytesOf('x')))).toBe('STORAGE_FAILED')
    await close()
    expect(existsSync(lockPath())).toBe(true)
  })

  test('that is checked first after a freeze keeps writes from using bytes that were lent', async () => {
    const { objects } = await open()
    const late = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 60_000)
    try {
      const lent = bytesOf('as it was')
      const written = objects.write('blobs', lent, [
        { name: 'o', offset: 0, start: 0, length: lent.length },
      ])
      lent.set(bytesOf('the next!'))
      await written
    } finally {
      late.mockRestore()
    }
    expect(Buffer.from(await objects.read('blobs', 'o', 0, 9)).toString()).toBe('as it was')
  })

  test('that was lost leaves the logs to the next holder, also before the loss is noticed', async () => {
    const first = await directory(root, { threads: false }).open(owner)
    const log = await first.logs.open('journal', '1')
    await log.append([bytesOf('first')])
    await rm(lockPath())
    const next = await (await open()).logs.open('journal', '1')
    await next.truncate(5)
    await next.append([bytesOf(' acknowledged')])
    // Truncating its preallocated space would truncate what the next holder wrote there.
    await log.close()
    await first.close()
    await close()
    const again = await (await open()).logs.open('journal', '1')
    expect(Buffer.from(await again.read(0, 100)).toString()).toBe('first acknowledged')
  })

  describe('of a frozen holder that was taken over meanwhile', () => {
    let first: OpenStorage
    let log: Log

    /** Afterwards the journal may contain only what the next holder wrote. */
    beforeEach(async () => {
      // The holder's timer never fires, as in a frozen process.
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
      first = await directory(root, { threads: false }).open(owner)
      log = await first.logs.open('journal', '1')
      await log.append([bytesOf('first')])
      await rm(lockPath())
      const { logs } = await open()
      const next = await logs.open('journal', '1')
      await next.truncate(5)
      await next.append([bytesOf(' acknowledged')])
      await next.close()
    })

    afterEach(async () => {
      await log.close()
      await first.close()
      await close()
      vi.useRealTimers()
    })

    const journal = (): Promise<string> => readFile(join(root, '.hotspare/journal/1'), 'utf8')

    test('nothing is written into the journal of the next holder, and the append fails with the reason', async () => {
      vi.setSystemTime(Date.now() + 6000)
      const late = log.append([bytesOf('LATE, AND LONGER THAN THE OTHER')])
      await expect(late).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      await expect(late).rejects.toThrow(/lock of the storage was lost: node alpha \(boot boot-1/)
      expect(await journal()).toBe('first acknowledged')
    })

    test('no other call has an effect either', async () => {
      vi.setSystemTime(Date.now() + 6000)
      const put = { kind: 'put', path: 'f', bytes: bytesOf('late'), mode: 0o644 } as const
      const slice = { name: 'o', offset: 0, start: 0, length: 1 }
      const calls = [
        first.tree.apply([put]),
        first.documents.write('meta', bytesOf('late')),
        first.objects.write('blobs', bytesOf('x'), [slice]),
        first.logs.remove('journal', ['2']),
        log.truncate(1),
      ]
      for (const call of calls) expect(await codeOf(call)).toBe('STORAGE_FAILED')
      expect(await journal()).toBe('first acknowledged')
      expect((await opened?.tree.stat(['f']))?.[0]).toBeUndefined()
      expect(await opened?.documents.read('meta')).toBeUndefined()
      expect(await opened?.objects.list('blobs')).toEqual([])
    })

    test('a call that was in flight at the freeze is not acknowledged', async () => {
      const late = log.append([bytesOf('x')])
      vi.setSystemTime(Date.now() + 6000)
      await expect(late).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    })
  })

  test('that was not taken over during a freeze of its holder is renewed, and calls keep their order', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    try {
      const { logs, tree } = await open()
      const log = await logs.open('journal', '1')
      vi.setSystemTime(Date.now() + 6000)
      const put = (text: string) =>
        ({ kind: 'put', path: 'f', bytes: bytesOf(text), mode: 0o644 }) as const
      await Promise.all(['1', '2', '3'].map((text) => tree.apply([put(text)])))
      expect(await readFile(join(root, 'f'), 'utf8')).toBe('3')
      vi.setSystemTime(Date.now() + 6000)
      await log.append([bytesOf('one')])
      await log.append([bytesOf('two')])
      expect(Buffer.from(await log.read(0, 10)).toString()).toBe('onetwo')
      expect(Date.now() - (await stat(lockPath())).mtimeMs).toBeLessThan(1000)
    } finally {
      vi.useRealTimers()
    }
  })

  test('that was taken over after watching it replaces the logs, so the earlier holder cannot write them', async () => {
    const { logs } = await open()
    const log = await logs.open('journal', '1')
    await log.append([bytesOf('first')])
    // The same folder as seen by a process that took the lock although this process is alive.
    const layout = new Layout(root, 'taker')
    const taken = { isHeld: async () => true, wasWatched: true }
    const taker = new DirectoryLogs(layout, new CallGate(), await Room.open(layout), taken)
    const next = await taker.open('journal', '1')
    await next.truncate(5)
    await next.append([bytesOf(' acknowledged')])
    // It checked its lock before the freeze; this append comes after it.
    await log.append([bytesOf('LATE, AND LONGER THAN THE OTHER')])
    expect(Buffer.from(await next.read(0, 100)).toString()).toBe('first acknowledged')
    await next.close()
    const again = await taker.open('journal', '1')
    expect(Buffer.from(await again.read(0, 100)).toString()).toBe('first acknowledged')
    await again.close()
    await log.close()
  })

  test('belongs to one process only, also when many open at once', async () => {
    await plantLock({ pid: spawnSync('true').pid })
    const storages = Array.from({ length: 8 }, () => directory(root, { threads: false }))
    const results = await Promise.allSettled(storages.map((storage) => storage.open(owner)))
    const winners = results.filter((result) => result.status === 'fulfilled')
    expect(winners).toHaveLength(1)
    for (const winner of winners) await winner.value.close()
  })

  const built = new URL('../../dist/storage/directory.js', import.meta.url)
  test.runIf(existsSync(built))(
    'of a killed process is taken over, that of a living one is not',
    async () => {
      const program = `
      const { directory } = await import(${JSON.stringify(built.href)})
      const owner = { nodeId: 'killed', bootId: 'b' }
      const storage = await directory(${JSON.stringify(root)}).open(owner)
      await storage.tree.apply([{ kind: 'put', path: 'f', bytes: new Uint8Array(3), mode: 0o644 }])
      console.log('open')
      setInterval(() => {}, 1000)`
      const child = spawn(process.execPath, ['--input-type=module', '-e', program])
      children.push(child)
      await new Promise((resolve) => child.stdout.once('data', resolve))
      expect(await codeOf(open())).toBe('STORAGE_LOCKED')
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      const { tree } = await open()
      expect((await tree.stat(['f']))[0]?.size).toBe(3)
    },
  )

  test.runIf(existsSync(built))('of an idle open storage does not keep the process alive', () => {
    const program = `
      const { directory } = await import(${JSON.stringify(built.href)})
      const storage = await directory(${JSON.stringify(root)}).open({ nodeId: 'a', bootId: 'b' })
      await storage.tree.stat(['f'])`
    const options = { timeout: 15_000 }
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], options)
    expect(child.status).toBe(0)
  })
})

describe('symbolic links', () => {
  let outside: string

  beforeEach(async () => {
    outside = join(base, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'secret'), 'secret')
    await mkdir(root)
    await symlink(outside, join(root, 'folder'))
    await symlink(join(outside, 'secret'), join(root, 'file'))
  })

  afterEach(async () => {
    expect(await readdir(outside)).toEqual(['secret'])
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret')
  })

  test('SYN-22: incoming files are never moved through a link or over one', async () => {
    const { tree, objects } = await open()
    for (const name of ['folder/secret', 'folder/new', 'file']) {
      await objects.write('incoming', bytesOf('x'), [{ name, offset: 0, start: 0, length: 1 }])
    }
    await tree.takeIn()
    expect((await objects.list('incoming')).length).toBe(3)
    expect((await lstat(join(root, 'file'))).isSymbolicLink()).toBe(true)
  })

  test('SYN-22: no kind of operation follows a link in the folders of its path', async () => {
    const { tree, objects } = await open()
    await objects.write('blobs', bytesOf('x'), [{ name: 'o', offset: 0, start: 0, length: 1 }])
    const place = { area: 'blobs', name: 'o' } as const
    for (const name of ['secret', 'new', 'deep/new']) {
      const path = `folder/${name}`
      const operations = [
        { kind: 'put', path, bytes: bytesOf('x'), mode: 0o644, force: true },
        { kind: 'patch', path, offset: 0, bytes: bytesOf('x'), force: true },
        { kind: 'patchObject', path, offset: 0, ...place, force: true },
        { kind: 'truncate', path, size: 0, force: true },
        { kind: 'remove', path },
        { kind: 'install', path, ...place, mode: 0o644, move: true, force: true },
        { kind: 'keep', path, area: 'vault', name: 'v', copy: false },
        { kind: 'keep', path, area: 'vault', name: 'v', copy: true },
      ] as const
      for (const operation of operations) {
        const call = tree.apply([operation])
        expect(await codeOf(call), `${operation.kind} ${path}`).toBe('PATH_BLOCKED')
        await expect(call).rejects.toThrow(/symbolic link/)
      }
    }
    expect(await objects.list('vault')).toEqual([])
    expect(await objects.list('blobs')).toHaveLength(1)
  })

  test('SYN-22: nothing is read through a link, in the folders of the path or at the path itself', async () => {
    const { tree } = await open()
    expect(await tree.stat(['folder/secret', 'file'])).toEqual([undefined, undefined])
    const answer = await tree.read([
      { path: 'folder/secret', offset: 0, length: 10 },
      { path: 'file', offset: 0, length: 10 },
    ])
    expect(answer.results).toEqual(['missing', 'missing'])
    expect(answer.buffer.byteLength).toBe(0)
    await tree.sync(['folder/secret', 'file'])
  })

  test('obstacles: links and special files are named, and folders without files are not', async () => {
    spawnSync('mkfifo', [join(root, 'pipe')])
    await mkdir(join(root, 'empty', 'too'), { recursive: true })
    await mkdir(join(root, 'holds', 'deep'), { recursive: true })
    await symlink(outside, join(root, 'holds', 'deep', 'link'))
    const { tree } = await open()
    const paths = ['folder/new', 'folder', 'file', 'pipe', 'pipe/x', 'empty', 'holds', 'holds/new']
    expect(await tree.obstacles(paths)).toEqual([
      { path: 'folder', kind: 'link' },
      { path: 'folder', kind: 'link' },
      { path: 'file', kind: 'link' },
      { path: 'pipe', kind: 'special' },
      { path: 'pipe', kind: 'special' },
      undefined,
      { path: 'holds/deep/link', kind: 'link' },
      undefined,
    ])
  })

  test('a link at the path itself is replaced with force, and kept without', async () => {
    const { tree } = await open()
    const operation = { kind: 'put', path: 'file', bytes: bytesOf('mine'), mode: 0o644 } as const
    expect(await codeOf(tree.apply([operation]))).toBe('PATH_BLOCKED')
    expect(
      await codeOf(tree.apply([{ kind: 'patch', path: 'file', offset: 0, bytes: bytesOf('x') }])),
    ).toBe('PATH_BLOCKED')
    await tree.apply([
      { kind: 'remove', path: 'file' },
      { kind: 'keep', path: 'file', area: 'vault', name: 'v', copy: false },
    ])
    expect((await readdir(root)).sort()).toEqual(['.hotspare', 'file', 'folder'])
    await tree.apply([{ ...operation, force: true }])
    expect(await readFile(join(root, 'file'), 'utf8')).toBe('mine')
  })

  test('a scan skips links and special files, and reports each once', async () => {
    spawnSync('mkfifo', [join(root, 'pipe')])
    await writeFile(join(root, 'plain'), 'x')
    const { tree } = await open()
    const skipped: string[] = []
    const paths: string[] = []
    for await (const batch of tree.scan((path, why) => skipped.push(`${path}: ${why}`))) {
      paths.push(...batch.map((entry) => entry.path))
    }
    expect(paths).toEqual(['plain'])
    expect(skipped.sort()).toEqual([
      'file: it is a symbolic link',
      'folder: it is a symbolic link',
      'pipe: it is a special file',
    ])
    expect((await tree.read([{ path: 'pipe', offset: 0, length: 1 }])).results).toEqual(['missing'])
  })

  test('the storage’s own folder may not be a link', async () => {
    await symlink(outside, join(root, '.hotspare'))
    expect(await codeOf(open())).toBe('STORAGE_FAILED')
  })
})

describe('where no folder can be made', () => {
  const isLinux = process.platform === 'linux'

  test.runIf(isLinux)('opening fails instead of trying for ever', async () => {
    for (const path of ['/proc/none', '/proc/none/below', '/proc/self/none']) {
      const call = directory(path).open(owner)
      await expect(call, path).rejects.toMatchObject({ code: 'STORAGE_FAILED', details: { path } })
    }
  })

  test('the error names a file that blocks the folder', async () => {
    await writeFile(join(base, 'file'), 'x')
    for (const path of ['file', 'file/below']) {
      await expect(directory(join(base, path)).open(owner)).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        message: expect.stringContaining('is a file, wanted a directory'),
      })
    }
  })

  test('folders above the root are created', async () => {
    root = join(base, 'a/b/c')
    expect((await (await open()).documents.list('')).length).toBe(0)
    expect((await stat(root)).isDirectory()).toBe(true)
  })

  test('nodes that start at once make the folders above their roots together', async () => {
    for (let run = 0; run < 20; run += 1) {
      const roots = ['alpha', 'beta', 'gamma'].map((id) => join(base, `${run}/app/data`, id))
      const calls = roots.map((path) => directory(path, { threads: false }).open(owner))
      const results = await Promise.allSettled(calls)
      for (const result of results) {
        if (result.status === 'fulfilled') await result.value.close()
      }
      expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
    }
  })
})

describe('a scan', () => {
  test('skips files and folders whose names are no valid Unicode', async () => {
    await mkdir(root)
    const bad = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x62, 0xff, 0x64])])
    await writeFile(bad, 'x')
    await mkdir(Buffer.concat([bad, Buffer.from('folder')]))
    await writeFile(join(root, 'odd but valid \uFFFD'), 'x')
    const { tree } = await open()
    const skipped: string[] = []
    for await (const batch of tree.scan((_path, why) => skipped.push(why))) {
      expect(batch.map((entry) => entry.path)).toEqual(['odd but valid \uFFFD'])
    }
    expect(skipped).toEqual(['the name is no valid Unicode', 'the name is no valid Unicode'])
  })

  test.runIf(process.getuid?.() !== 0)(
    'reports a folder without permission, and continues',
    async () => {
      await mkdir(join(root, 'closed'), { recursive: true })
      await writeFile(join(root, 'plain'), 'x')
      await chmod(join(root, 'closed'), 0)
      const { tree } = await open()
      const skipped: string[] = []
      for await (const batch of tree.scan((path) => skipped.push(path)))
        expect(batch).toHaveLength(1)
      expect(skipped).toEqual(['closed'])
      await chmod(join(root, 'closed'), 0o700)
    },
  )
})

describe('the files on the disk', () => {
  test('a document with any byte damaged, cut or added is never read as a value', async () => {
    const { documents } = await open()
    const path = join(root, '.hotspare/index/1')
    await documents.write('index/1', bytesOf('the value'))
    const whole = await readFile(path)
    for (let at = 0; at < whole.byteLength; at += 1) {
      const damaged = Buffer.from(whole)
      damaged[at] = damaged[at]! ^ 0x10
      await writeFile(path, damaged)
      const expected = at === 4 || at === 5 ? 'STORAGE_FORMAT' : 'STORAGE_CORRUPT'
      expect(await codeOf(documents.read('index/1')), `byte ${at}`).toBe(expected)
    }
    for (const length of [0, 3, 15, 16, whole.byteLength - 1]) {
      await writeFile(path, whole.subarray(0, length))
      expect(await codeOf(documents.read('index/1')), `length ${length}`).toBe('STORAGE_CORRUPT')
    }
    await writeFile(path, Buffer.concat([whole, Buffer.from([0])]))
    expect(await codeOf(documents.read('index/1'))).toBe('STORAGE_CORRUPT')
    await documents.write('index/1', bytesOf('mended'))
    expect(Buffer.from((await documents.read('index/1')) ?? []).toString()).toBe('mended')
  })

  test('a storage of an unknown format is not opened, and not changed', async () => {
    await open()
    await close()
    const path = join(root, '.hotspare/format')
    const marker = await readFile(path)
    marker.writeUInt16LE(2, 4)
    await writeFile(path, marker)
    expect(await codeOf(open())).toBe('STORAGE_FORMAT')
    expect((await readFile(path)).equals(marker)).toBe(true)
    expect(existsSync(join(root, '.hotspare/lock'))).toBe(false)
  })

  test('documents, logs and objects are where the documentation says', async () => {
    const { documents, logs, objects } = await open()
    await documents.write('meta', bytesOf('x'))
    await documents.write('index/1', bytesOf('x'))
    await (await logs.open('journal', '000001')).append([bytesOf('x')])
    await objects.write('vault', bytesOf('x'), [{ name: 'i1/f', offset: 0, start: 0, length: 1 }])
    for (const path of ['lock', 'format', 'meta', 'index/1', 'journal/000001', 'vault/i1/f']) {
      expect(existsSync(join(root, '.hotspare', path)), path).toBe(true)
    }
    expect((await stat(join(root, '.hotspare'))).mode & 0o077).toBe(0)
    for (const name of ['lock', 'format', 'tmp/x', 'blobs', 'vault/x']) {
      expect(await codeOf(documents.write(name, bytesOf('x'))), name).toBe('PATH_INVALID')
    }
    expect(await codeOf(logs.open('staging', '1'))).toBe('PATH_INVALID')
  })

  test('half-written files of an earlier process are removed at the next open', async () => {
    await open()
    await close()
    await writeFile(join(root, '.hotspare/tmp/changes-1'), 'half')
    await mkdir(join(root, '.hotspare/tmp/bulk-1/deep'), { recursive: true })
    const { tree } = await open()
    expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
    await tree.apply([{ kind: 'put', path: 'f', bytes: bytesOf('x'), mode: 0o644 }])
    expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
  })

  test('a log after a crash has what was appended, followed by nothing but zeros', async () => {
    const { logs } = await open()
    const log = await logs.open('journal', '1')
    await log.append([bytesOf('durable')])
    const copy = join(base, 'copy')
    await cp(root, copy, { recursive: true })
    await rm(join(copy, '.hotspare/lock'))
    const crashed = await directory(copy, { threads: false }).open(owner)
    const reopened = await crashed.logs.open('journal', '1')
    const all = await reopened.read(0, reopened.bytes)
    expect(Buffer.from(all.subarray(0, 7)).toString()).toBe('durable')
    expect(all.subarray(7).every((byte) => byte === 0)).toBe(true)
    await reopened.truncate(7)
    await reopened.append([bytesOf('!')])
    await crashed.close()
    expect(await readFile(join(copy, '.hotspare/journal/1'), 'utf8')).toBe('durable!')
  })

  test('an interrupted replacement of logs is completed by repeating it', async () => {
    for (const [area, text] of [
      ['journal', 'old'],
      ['journal.next', 'new!'],
    ] as const) {
      const log = await (await open()).logs.open(area, '1')
      await log.append([bytesOf(text)])
      await close()
    }
    // A crash after the old area was moved away and before the new one was renamed.
    await rename(join(root, '.hotspare/journal'), join(root, '.hotspare/tmp/main-1'))
    const { logs } = await open()
    expect(await logs.list('journal')).toEqual([])
    await logs.replace('journal.next', 'journal')
    await logs.replace('journal.next', 'journal')
    expect(await logs.list('journal')).toEqual([{ name: '1', bytes: 4 }])
    expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
  })

  test('a put of a file with a hard link keeps the bytes of the other name', async () => {
    await mkdir(root)
    await writeFile(join(root, 'a'), 'shared')
    await link(join(root, 'a'), join(root, 'b'))
    const { tree } = await open()
    await tree.apply([{ kind: 'put', path: 'a', bytes: bytesOf('new'), mode: 0o644 }])
    expect(await readFile(join(root, 'b'), 'utf8')).toBe('shared')
  })

  test('an empty folder at the path of a file is removed', async () => {
    await mkdir(join(root, 'a/b/c'), { recursive: true })
    const { tree } = await open()
    await tree.apply([{ kind: 'put', path: 'a', bytes: bytesOf('x'), mode: 0o644 }])
    expect(await readFile(join(root, 'a'), 'utf8')).toBe('x')
  })

  test('SYN-28: other files, their times and empty folders are untouched', async () => {
    await mkdir(join(root, 'theirs/empty'), { recursive: true })
    await writeFile(join(root, 'theirs/log'), 'third party')
    const before = await stat(join(root, 'theirs/log'))
    const { tree } = await open()
    await tree.apply([
      { kind: 'put', path: 'theirs/ours', bytes: bytesOf('x'), mode: 0o644 },
      { kind: 'remove', path: 'theirs/ours' },
    ])
    await tree.sync('all')
    await close()
    const after = await stat(join(root, 'theirs/log'))
    expect([after.mtimeMs, after.ino, after.size]).toEqual([
      before.mtimeMs,
      before.ino,
      before.size,
    ])
    expect((await readdir(join(root, 'theirs'))).sort()).toEqual(['empty', 'log'])
  })

  test('misuse is a TypeError', () => {
    expect(() => directory('')).toThrow(TypeError)
  })
})

// Needs the permission to mount. Without it, storage-failures.test.ts covers the same by failing
// calls.
const mountable = process.getuid?.() === 0 && canMount()
describe.runIf(mountable)('a file system without space', () => {
  test('GEN-8: refuses every kind of write with STORAGE_FULL, and can be read', async () => {
    await mkdir(root)
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root])
    try {
      const { documents, logs, objects, tree } = await open()
      const log = await logs.open('journal', '1')
      await log.append([bytesOf('before')])
      const large = new Uint8Array(2_000_000).fill(1)
      const put = { kind: 'put', path: 'f', bytes: large, mode: 0o644 } as const
      expect(await codeOf(tree.apply([put]))).toBe('STORAGE_FULL')
      expect(await readdir(join(root, '.hotspare/tmp'))).toEqual([])
      expect(await codeOf(documents.write('meta', large))).toBe('STORAGE_FULL')
      const slices = [{ name: 'o', offset: 0, start: 0, length: large.byteLength }]
      expect(await codeOf(objects.write('blobs', new Uint8Array(large), slices))).toBe(
        'STORAGE_FULL',
      )
      await objects.remove('blobs', ['o'])
      expect(await codeOf(log.append([large]))).toBe('STORAGE_FULL')
      expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FAILED')
      await log.close()
      const again = await logs.open('journal', '1')
      await again.truncate(6)
      await again.append([bytesOf(' and after')])
      expect(Buffer.from(await again.read(0, 100)).toString()).toBe('before and after')
      await close()
    } finally {
      spawnSync('umount', [root])
    }
  })
})

describe.runIf(mountable)('the space that is reserved for removals', () => {
  const mib = 1024 * 1024
  let room: Room

  beforeEach(async () => {
    await mkdir(root)
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', root])
    await mkdir(join(root, '.hotspare'))
    room = await Room.open(new Layout(root, 'test'))
  })

  afterEach(async () => {
    await room.close()
    spawnSync('umount', [root])
  })

  test('GEN-8: is not used up by other programs while this node writes as fast as it can', async () => {
    let others = 0
    for (let at = 0; room.refusal(50_000) === undefined; at += 1) {
      await writeFile(join(root, `ours-${at}`), new Uint8Array(50_000))
      await writeFile(join(root, `others-${at}`), new Uint8Array(50_000))
      others += 1
    }
    expect(others).toBeGreaterThan(40)
    // A sixteenth of the space is reserved in a file, and part of another sixteenth is still free.
    await writeFile(join(root, 'a removal in the journal'), new Uint8Array(mib / 4))
  })

  test('GEN-8: a refused write, and a smaller one, stay refused until there would be space for it', async () => {
    await writeFile(join(root, 'much'), new Uint8Array(14 * mib - 100_000))
    await vi.waitFor(async () => expect(room.refusal(200_000)).toBeDefined())
    expect(room.refusal(0)).toBeDefined()
    await rm(join(root, 'much'))
    await vi.waitFor(() => expect(room.refusal(0)).toBeUndefined())
    expect(room.refusal(200_000)).toBeUndefined()
  })
})

function canMount(): boolean {
  const probe = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()])
  return probe.status === 0
}
