/** Restores of whole nodes, at the limits of what a frame holds. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ClusterNodeOptions } from '../../src/index.js'
import { directory } from '../../src/storage/directory.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

const nodeOf = nodesOn()

const rejections: unknown[] = []
const note = (error: unknown): void => void rejections.push(error)
beforeEach(() => {
  rejections.length = 0
  process.on('unhandledRejection', note)
})
afterEach(() => {
  process.off('unhandledRejection', note)
})

/** Resolves when a disk holds so many files of the class. */
async function holds(disk: MemoryStorage, files: number): Promise<void> {
  await vi.waitFor(
    () => {
      expect(rejections.map(String)).toEqual([])
      const found = disk.outside.list().filter((path) => path.startsWith('files/'))
      expect(found).toHaveLength(files)
    },
    { timeout: 8000 },
  )
}

async function restores(
  files: number,
  pathOf: (n: number) => string,
  bytes: number,
  given: Partial<ClusterNodeOptions> = {},
): Promise<void> {
  const disk = memory()
  for (let n = 0; n < files; n += 1) {
    disk.outside.write(pathOf(n), new Uint8Array(bytes).fill(97))
  }
  const alpha = nodeOf('alpha', { storage: disk, ...given })
  await alpha.start({ adopt: true })
  const target = memory()
  void nodeOf('beta', { storage: target, ...given })
    .start()
    .catch(() => undefined)
  await holds(target, files)
}

const folder = 'x'.repeat(140)
const longPath = (n: number): string => `files/${folder}/${String(n).padStart(150, '0')}`

describe('a restore', () => {
  it('of many files with long paths does not end the active', async () => {
    await restores(5000, longPath, 1)
  }, 20_000)

  it('goes through the smallest frames', async () => {
    await restores(3, (n) => `files/${n}`, 400_000, { frameBytesMax: 256 * 1024 })
  }, 20_000)

  it('of many small files goes through the smallest frames, too', async () => {
    await restores(2000, longPath, 100, { frameBytesMax: 256 * 1024 })
  }, 20_000)

  it('puts a file that appears meanwhile into the vault before the switch removes it', async () => {
    const disk = memory()
    for (let n = 0; n < 20; n += 1) disk.outside.write(`files/${n}`, new Uint8Array(20_000))
    const alpha = nodeOf('alpha', { storage: disk })
    await alpha.start({ adopt: true })
    const target = memory()
    const beta = nodeOf('beta', { storage: target, restoreBytesPerSecondMax: 1_000_000 })
    const started = beta.start()
    await vi.waitFor(() => expect(beta.role).toBe('restoring'), { timeout: 5000, interval: 5 })
    expect(target.outside.list().filter((path) => path.startsWith('files/'))).toEqual([])
    target.outside.write('files/mine', new Uint8Array(10))
    // In the place of one that the restore brings.
    target.outside.write('files/7', new Uint8Array(11))
    await started
    await alpha.inSync()
    expect(target.outside.read('files/mine')).toBeUndefined()
    expect(target.outside.read('files/7')).toHaveLength(20_000)
    const incidents = await beta.vault.list()
    const vaulted = incidents.flatMap(({ files }) => files.map(({ path }) => path))
    expect(vaulted.sort()).toEqual(['files/7', 'files/mine'])
  })

  it('takes more removals than a frame holds', async () => {
    const disk = memory()
    for (let n = 0; n < 15_000; n += 1) {
      disk.outside.write(`files/recordings-of-the-day/2025/03/call-${n}.wav`, new Uint8Array(1))
    }
    const alpha = nodeOf('alpha', { storage: disk })
    await alpha.start({ adopt: true })
    const target = memory()
    const first = nodeOf('beta', { storage: target })
    await first.start()
    await alpha.inSync()
    await first.stop()
    // So that a delta is needed.
    target.outside.write('files/stray', new Uint8Array(3))
    const paths = (await alpha.files.list('files/')).map(({ path }) => path)
    await Promise.all(paths.map((path) => alpha.files.remove(path, { ack: 'local' })))
    void nodeOf('beta', { storage: target })
      .start()
      .catch(() => undefined)
    await holds(target, 0)
  }, 30_000)
})

describe('the restore of a sparse file', () => {
  const mib = 1024 * 1024
  const size = 100 * mib + 17
  const islands = [0, 7 * mib + 3, 50 * mib - 5, 99 * mib]
  let root: string

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'hotspare-sparse-'))
  })
  afterEach(() => rm(root, { recursive: true }))

  async function hashOf(path: string): Promise<string> {
    const hash = createHash('sha256')
    for await (const piece of createReadStream(path)) hash.update(piece)
    return hash.digest('hex')
  }

  it('transfers and stores about as much as its data', async () => {
    const [from, to] = ['alpha', 'beta'].map((id) => join(root, id, 'files')) as [string, string]
    await mkdir(from, { recursive: true })
    const sparse = await open(join(from, 'sparse'), 'w')
    for (const at of islands) await sparse.write(Buffer.alloc(5000, 7), 0, 5000, at)
    await sparse.truncate(size)
    await sparse.close()
    // Zeros that take their room.
    const full = Buffer.alloc(mib)
    full.fill(8, 300_000, 300_010)
    await writeFile(join(from, 'full'), full)
    const alpha = nodeOf('alpha', { storage: directory(join(root, 'alpha')) })
    await alpha.start({ adopt: true })
    const beta = nodeOf('beta', { storage: directory(join(root, 'beta')) })
    const moved: number[] = []
    beta.on('restored', ({ bytesMoved }) => moved.push(bytesMoved))
    await beta.start()
    for (const name of ['sparse', 'full']) {
      expect(await hashOf(join(to, name))).toBe(await hashOf(join(from, name)))
    }
    const [before, after] = [await stat(join(from, 'sparse')), await stat(join(to, 'sparse'))]
    expect(after.size).toBe(size)
    expect(before.blocks * 512).toBeLessThan(mib)
    expect(after.blocks * 512).toBeLessThan(mib)
    expect(moved).toHaveLength(1)
    expect(moved[0]).toBeLessThan(2 * mib)
    await Promise.all([alpha.stop(), beta.stop()])
  }, 30_000)
})
