import { mkdtemp, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { directory } from '../../src/storage/directory.js'

// Simulates a process without descriptors, threads or children left, with the errors of the system
// and of Node.
const none = vi.hoisted(() => ({ threads: false, children: false, files: false, spawned: 0 }))

type AnyFunction = (...parameters: any[]) => any

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by the test`), { code })
}

vi.mock('node:worker_threads', async (original) => {
  const threads = await original<typeof import('node:worker_threads')>()
  const { EventEmitter } = await import('node:events')
  /** The failure to start a thread is reported after the thread object was created. */
  class Unstarted extends EventEmitter {
    constructor() {
      super()
      setImmediate(() => {
        this.emit('error', failure('ERR_WORKER_INIT_FAILED'))
        this.emit('exit', 0)
      })
    }
    postMessage(): void {}
    ref(): void {}
    unref(): void {}
    terminate(): Promise<number> {
      return Promise.resolve(0)
    }
  }
  const Worker = new Proxy(threads.Worker, {
    construct: (target, parameters) =>
      none.threads ? new Unstarted() : Reflect.construct(target, parameters),
  })
  return { ...threads, Worker }
})

vi.mock('node:child_process', async (original) => {
  const processes = await original<typeof import('node:child_process')>()
  const { EventEmitter } = await import('node:events')
  const spawn: AnyFunction = (...parameters) => {
    none.spawned += 1
    if (!none.children) return (processes.spawn as AnyFunction)(...parameters)
    // The child has no pipes, and its error is emitted later.
    const child = new EventEmitter()
    process.nextTick(() => {
      child.emit('error', failure('EMFILE'))
      child.emit('close', -24)
    })
    return child
  }
  return { ...processes, spawn }
})

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>()
  const openSync: AnyFunction = (...parameters) => {
    if (none.files) throw failure('EMFILE')
    return (fs.openSync as AnyFunction)(...parameters)
  }
  const open: AnyFunction = (...parameters) => {
    if (none.files) return queueMicrotask(() => parameters.at(-1)(failure('EMFILE')))
    return (fs.open as AnyFunction)(...parameters)
  }
  return { ...fs, open, openSync }
})

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>()
  const readFile: AnyFunction = (...parameters) => {
    if (none.files) return Promise.reject(failure('EMFILE'))
    return (fs.readFile as AnyFunction)(...parameters)
  }
  return { ...fs, readFile }
})

let root: string
let opened: OpenStorage | undefined

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotspare-exhausted-'))
  none.spawned = 0
})

afterEach(async () => {
  Object.assign(none, { threads: false, children: false, files: false })
  await opened?.close()
  opened = undefined
  await rm(root, { recursive: true, force: true })
})

async function open(threads: boolean): Promise<OpenStorage> {
  opened = await directory(root, { threads }).open({ nodeId: 'a', bootId: 'b' })
  return opened
}

function put(at: number) {
  return { kind: 'put', path: `f${at}`, bytes: Buffer.from('x'), mode: 0o644 } as const
}

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error: unknown) => (HotspareError.is(error) ? error.code : String(error)),
  )
}

describe('a process that has run out', () => {
  test('of threads: a lane reports it, and starts one with the next piece of work', async () => {
    const { tree } = await open(true)
    none.threads = true
    expect(await codeOf(tree.apply([put(1)]))).toBe('RESOURCES_EXHAUSTED')
    expect(await codeOf(tree.stat(['f1']))).toBe('RESOURCES_EXHAUSTED')
    none.threads = false
    expect(await codeOf(tree.apply([put(1)]))).toBe('no error')
    expect((await tree.stat(['f1']))[0]?.size).toBe(1)
  })

  test('of descriptors for a child: many files are synced one by one, and with a child later', async () => {
    const { tree } = await open(false)
    const many = Array.from({ length: 100 }, (_, at) => put(at))
    await tree.apply(many)
    const paths = many.map(({ path }) => path)
    none.children = true
    await tree.sync(paths)
    expect(none.spawned).toBe(1)
    none.children = false
    await tree.sync(paths)
    expect(none.spawned).toBe(process.platform === 'linux' ? 3 : 2)
  })

  test('of descriptors to read its lock: it recognizes the lock file, releases it, and another process can take it', async () => {
    const storage = await open(false)
    none.files = true
    await storage.close()
    none.files = false
    await open(false)
  })

  test('of descriptors to read its lock: it never mistakes a later file for its lock, whatever the inode', async () => {
    const storage = await open(false)
    const lock = join(root, '.hotspare', 'lock')
    const { ino } = await stat(lock)
    await unlink(lock)
    // Many file systems give the inode that was freed last to the next file.
    for (let at = 0; at < 20; at += 1) {
      const later = join(root, '.hotspare', `later${at}`)
      await writeFile(later, '')
      expect((await stat(later)).ino).not.toBe(ino)
    }
    await writeFile(lock, 'of another')
    none.files = true
    await storage.close()
    none.files = false
    expect(await readFile(lock, 'utf8')).toBe('of another')
    opened = undefined
  })

  test('of descriptors for a sync: the sync may be repeated, because nothing was lost', async () => {
    const { tree } = await open(false)
    await tree.apply([put(1)])
    none.files = true
    expect(await codeOf(tree.sync(['f1']))).toBe('RESOURCES_EXHAUSTED')
    none.files = false
    expect(await codeOf(tree.sync(['f1']))).toBe('no error')
  })
})
