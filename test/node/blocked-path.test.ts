import { execFileSync } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type HotspareError, neverSynced, SyncPolicy, synced } from '../../src/index.js'
import { directory } from '../../src/storage/directory.js'
import { memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// What is never synced is never touched; a restore that needs its place says so and waits.

const nodeOf = nodesOn()
const policy = new SyncPolicy({
  files: synced(['files/**', '!files/**/*.local']),
  local: neverSynced('files/**/*.local', { reason: 'differs per machine' }),
})
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('a never-synced file in the way of a write', () => {
  it.each([
    { what: 'in a folder that is to be a file', obstacle: 'files/a/mine.local', path: 'files/a' },
    { what: 'where a folder is to be', obstacle: 'files/b.local', path: 'files/b.local/c' },
  ])('SYN-25: $what: the write is refused, and the role stays', async ({ obstacle, path }) => {
    const storage = memory()
    storage.outside.write(obstacle, bytes('mine'))
    const alpha = nodeOf('alpha', { storage, policy })
    await alpha.start()
    const refusal = { code: 'PATH_BLOCKED', details: { path, obstacle } }
    await expect(alpha.files.write(path, 'theirs')).rejects.toMatchObject(refusal)
    await expect(alpha.files.append(path, 'theirs')).rejects.toMatchObject(refusal)
    const together = alpha.transaction(async (tx) => {
      await tx.files.write('files/beside', 'x')
      await tx.files.write(path, 'theirs')
    })
    await expect(together).rejects.toMatchObject(refusal)
    expect((await alpha.files.list()).map((file) => file.path)).toEqual([])
    await alpha.files.write('files/other', 'x')
    expect(alpha.role).toBe('active')
    expect(storage.outside.read(obstacle)).toEqual(bytes('mine'))
    storage.outside.remove(obstacle)
    await alpha.files.write(path, 'theirs')
    expect(Buffer.from(storage.outside.read(path) ?? []).toString()).toBe('theirs')
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('SYN-22: a link in the way of a write is named, and not followed; the role stays', async () => {
    const root = await mkdtemp(join(tmpdir(), 'hotspare-blocked-'))
    try {
      await mkdir(join(root, 'data', 'files'), { recursive: true })
      await mkdir(join(root, 'elsewhere'))
      await symlink(join(root, 'elsewhere'), join(root, 'data', 'files', 'link'))
      const alpha = nodeOf('alpha', { storage: directory(join(root, 'data')), policy })
      await alpha.start()
      const write = alpha.files.write('files/link/new', 'x')
      await expect(write).rejects.toMatchObject({
        code: 'PATH_BLOCKED',
        details: { path: 'files/link/new', obstacle: 'files/link' },
      })
      await alpha.files.write('files/other', 'x')
      expect(alpha.role).toBe('active')
      expect(await readdir(join(root, 'elsewhere'))).toEqual([])
      await alpha.stop()
    } finally {
      await rm(root, { recursive: true })
    }
  })

  it('a removed file makes room for a folder, and the other way round', async () => {
    const storage = memory()
    const alpha = nodeOf('alpha', { storage, policy })
    await alpha.start()
    await Promise.all([
      alpha.files.write('files/a', 'file'),
      alpha.files.remove('files/a'),
      alpha.files.write('files/a/b', 'below'),
      alpha.files.remove('files/a/b'),
      alpha.files.write('files/a', 'again'),
    ])
    await alpha.files.remove('files/a')
    await alpha.files.write('files/a/b', 'below')
    expect((await alpha.files.list()).map((file) => file.path)).toEqual(['files/a/b'])
    expect(alpha.role).toBe('active')
  })
})

describe('a link or special file at the path of a file', () => {
  let root: string
  let data: string

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'hotspare-blocked-'))
    data = join(root, 'data')
    await mkdir(join(data, 'files'), { recursive: true })
  })

  afterEach(() => rm(root, { recursive: true }))

  const kinds = [
    { what: 'a link', make: (path: string) => symlink(join(root, 'target'), path) },
    { what: 'a pipe', make: async (path: string) => void execFileSync('mkfifo', [path]) },
  ]
  const isFile = async (path: string): Promise<boolean> => (await lstat(path)).isFile()

  it.each(kinds)(
    'SYN-25: $what at the path of a new file: all writes are refused',
    async ({ make }) => {
      await make(join(data, 'files/at'))
      const alpha = nodeOf('alpha', { storage: directory(data), policy })
      await alpha.start()
      const { files } = alpha
      const writes = [
        files.write('files/at', 'x'),
        files.append('files/at', 'x'),
        files.patch('files/at', 1, 'x'),
        files.truncate('files/at', 1),
        files.write('files/at', Buffer.alloc(1_000_000)),
        alpha.transaction((tx) => tx.files.write('files/at', 'x')),
      ]
      const refusal = { code: 'PATH_BLOCKED', details: { path: 'files/at', obstacle: 'files/at' } }
      for (const outcome of await Promise.allSettled(writes)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: refusal })
      }
      await files.write('files/other', 'x')
      expect(alpha.role).toBe('active')
      expect(await isFile(join(data, 'files/at'))).toBe(false)
      await rm(join(data, 'files/at'))
      await files.write('files/at', 'mine')
      await vi.waitFor(async () =>
        expect(await readFile(join(data, 'files/at'), 'utf8')).toBe('mine'),
      )
      await alpha.stop()
    },
  )

  it.each(kinds)(
    'SYN-25: $what that blocks a restore or a change stays; the standby reports it and continues when it is gone',
    async ({ make }) => {
      await make(join(data, 'files/at'))
      const alpha = nodeOf('alpha', { policy })
      await alpha.start()
      await alpha.files.write('files/at', 'restored')
      const beta = nodeOf('beta', { storage: directory(data), policy })
      const started = beta.start()
      started.catch(() => undefined)
      const isStuckAt = async (path: string): Promise<void> => {
        await vi.waitFor(() => expect(beta.status().stuck).toContain('PATH_BLOCKED'), 5000)
        expect(beta.status().stuck).toContain(JSON.stringify(path))
        expect(await isFile(join(data, path))).toBe(false)
        await rm(join(data, path))
      }
      await isStuckAt('files/at')
      await started
      expect(await readFile(join(data, 'files/at'), 'utf8')).toBe('restored')
      await make(join(data, 'files/later'))
      await alpha.files.write('files/later', 'streamed')
      await isStuckAt('files/later')
      await vi.waitFor(
        async () => expect(await readFile(join(data, 'files/later'), 'utf8')).toBe('streamed'),
        5000,
      )
      await beta.stop()
    },
  )

  it.each(kinds)(
    '$what that replaced a synced file is removed by its next change',
    async ({ make }) => {
      const alpha = nodeOf('alpha', { storage: directory(data), policy })
      await alpha.start()
      await alpha.files.write('files/at', 'one')
      await vi.waitFor(async () => expect(await isFile(join(data, 'files/at'))).toBe(true))
      await rm(join(data, 'files/at'))
      await make(join(data, 'files/at'))
      await alpha.files.write('files/at', 'two')
      await vi.waitFor(async () => expect(await isFile(join(data, 'files/at'))).toBe(true))
      await vi.waitFor(async () =>
        expect(await readFile(join(data, 'files/at'), 'utf8')).toBe('two'),
      )
      expect(alpha.role).toBe('active')
      await alpha.stop()
    },
  )
})

describe('a never-synced file in the way of a restore', () => {
  it.each([
    { what: 'in a folder that is to be a file', obstacle: 'files/a/mine.local', path: 'files/a' },
    { what: 'where a folder is to be', obstacle: 'files/b.local', path: 'files/b.local/c' },
  ])(
    'SYN-25: $what: it is named, and the restore continues when it is gone',
    async ({ obstacle, path }) => {
      const alpha = nodeOf('alpha', { policy })
      await alpha.start()
      await alpha.files.write('files/first', 'first')
      await alpha.files.write(path, 'theirs')
      const storage = memory()
      storage.outside.write(obstacle, bytes('mine'))
      const beta = nodeOf('beta', { storage, policy })
      const failures: HotspareError[] = []
      beta.on('storageFailed', ({ error }) => failures.push(error))
      const started = beta.start()
      started.catch(() => undefined)
      await vi.waitFor(() => expect(failures.length).toBeGreaterThan(0))
      expect(failures[0]).toMatchObject({ code: 'PATH_BLOCKED', details: { path, obstacle } })
      const { stuck = '' } = beta.status()
      expect(stuck).toContain('PATH_BLOCKED')
      expect(stuck).toContain(JSON.stringify(obstacle))
      expect(stuck).toContain(JSON.stringify(path))
      expect(storage.outside.read(obstacle)).toEqual(bytes('mine'))
      // It is tried again all the time, and said once.
      await new Promise((resolve) => setTimeout(resolve, 500))
      expect(failures).toHaveLength(1)
      expect(beta.status().stuck).toBe(stuck)
      storage.outside.remove(obstacle)
      await started
      expect(beta.role).toBe('standby')
      expect(beta.status().stuck).toBeUndefined()
      expect(Buffer.from(await beta.files.read(path)).toString()).toBe('theirs')
      expect(Buffer.from(storage.outside.read('files/first') ?? []).toString()).toBe('first')
    },
  )
})
