import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.js'
import { retryUntil } from '../support/wait.js'

const mib = 1024 * 1024
const diskBytes = 24 * mib

/** A small file system for each node, which only a privileged user can mount. */
const disks = {
  alpha: mkdtempSync(join(tmpdir(), 'hotspare-small-disk-')),
  beta: mkdtempSync(join(tmpdir(), 'hotspare-small-disk-')),
}
const mounted = Object.values(disks).every(mount)

function mount(disk: string): boolean {
  try {
    const options = `size=${diskBytes},nr_inodes=100000`
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

let cluster: TestCluster | undefined

beforeAll(() => {
  if (!mounted) process.stderr.write('GEN-8 is skipped: mounting a small tmpfs needs privileges\n')
})

afterEach(async () => {
  await cluster?.end()
  for (const disk of Object.values(disks)) {
    for (const name of readdirSync(disk)) {
      rmSync(join(disk, name), { recursive: true, force: true })
    }
  }
})

afterAll(() => {
  for (const disk of Object.values(disks)) {
    if (mounted) execFileSync('umount', [disk])
    rmSync(disk, { recursive: true, force: true })
  }
})

describe('a standby whose disk is full', () => {
  it.skipIf(!mounted)(
    'GEN-8: says so and leaves the in-sync set, the active goes on; it recovers when there is room again',
    async () => {
      const folder = join(disks.beta, 'beta')
      const ballast = join(disks.beta, 'ballast')
      mkdirSync(folder)
      cluster = await TestCluster.running({ nodes: 2, folders: { beta: folder } })
      const active = cluster.node('alpha')
      const standby = cluster.node('beta')
      expect(await cluster.active()).toBe(active)
      const since = active.events.length
      writeFileSync(ballast, Buffer.alloc(diskBytes - 6 * mib))
      await cluster.beginLoad()
      await active.ask('fill', { prefix: 'data/much', files: 64, bytes: 128 * 1024 })
      await retryUntil('the standby to say so', () => standby.logged('storageFailed').length > 0)
      const lost = await retryUntil(
        'it to leave the set',
        () => active.logged('standbyLost', since)[0],
      )
      expect(lost.peer).toBe('beta')
      const { state, stuck } = await standby.status()
      expect(state).toBe('failed')
      expect(stuck).toContain('STORAGE_FULL')
      await cluster.written(20)
      expect(active.refused).toEqual([])
      expect(active.roles(since)).toEqual([])
      rmSync(ballast)
      expect(await cluster.settled()).toBe(active)
      expect(standby.logged('storageRecovered').length).toBeGreaterThan(0)
      await cluster.endLoad()
      await cluster.caughtUp()
      for (const node of cluster.nodes) expect(await cluster.missing(node), node.id).toEqual([])
    },
  )

  it.skipIf(!mounted)(
    'GEN-8: a join that finds no room says so while start() waits, and goes on when there is some',
    async () => {
      const folder = join(disks.beta, 'beta')
      const ballast = join(disks.beta, 'ballast')
      mkdirSync(folder)
      cluster = await TestCluster.create({ nodes: 2, folders: { beta: folder } })
      const [active, standby] = [cluster.node('alpha'), cluster.node('beta')]
      await cluster.start(active)
      await active.ask('fill', { prefix: 'data/large', files: 20, bytes: 300 * 1024 })
      writeFileSync(ballast, Buffer.alloc(diskBytes - 3 * mib))
      standby.boot()
      const started = cluster.start(standby)
      const stuck = await retryUntil('it to say so', async () => {
        const { stuck = '' } = await standby.status()
        return stuck.includes('STORAGE_FULL') ? stuck : undefined
      })
      expect(stuck).toMatch(/^STORAGE_FULL: .*Free space on the device/)
      expect((await standby.status()).starting).toContain('STORAGE_FULL')
      expect(standby.logged('stuck').map(({ code }) => code)).toContain('STORAGE_FULL')
      rmSync(ballast)
      await started
      await cluster.settled()
      expect((await standby.status()).stuck).toBeUndefined()
      expect(standby.logged('unstuck').map(({ what }) => what)).toEqual(['follow'])
    },
  )

  it.skipIf(!mounted)(
    'GEN-8: large contents that find no room are told, and the active goes on',
    async () => {
      const folder = join(disks.beta, 'beta')
      const ballast = join(disks.beta, 'ballast')
      mkdirSync(folder)
      cluster = await TestCluster.running({ nodes: 2, folders: { beta: folder } })
      const active = cluster.node('alpha')
      const standby = cluster.node('beta')
      expect(await cluster.active()).toBe(active)
      writeFileSync(ballast, Buffer.alloc(diskBytes - 4 * mib))
      await active.ask('fill', { prefix: 'data/large', files: 20, bytes: 300 * 1024 })
      const { code } = await retryUntil('it to say so', () => standby.logged('stuck')[0])
      expect(code).toBe('STORAGE_FULL')
      await retryUntil('status to say so', async () =>
        (await standby.status()).stuck?.startsWith('STORAGE_FULL'),
      )
      rmSync(ballast)
      expect(await cluster.settled()).toBe(active)
      expect((await standby.status()).stuck).toBeUndefined()
    },
  )
})

describe('a disk that is full on both nodes', () => {
  it.skipIf(!mounted)(
    'GEN-8: takes no growing write and every removal, and with the room that it makes all writes again',
    async () => {
      const folders = { alpha: join(disks.alpha, 'alpha'), beta: join(disks.beta, 'beta') }
      for (const folder of Object.values(folders)) mkdirSync(folder)
      cluster = await TestCluster.running({ nodes: 2, folders })
      const active = await cluster.active()
      const since = active.events.length
      const path = (at: number): string => `data/${at}.dat`
      let written = 0
      const fill = async (): Promise<void> => {
        for (; ; written += 1) {
          const content = 'x'.repeat(100_000)
          await active.ask('write', { path: path(written), content, ack: 'local' })
        }
      }
      await expect(fill()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
      expect(written).toBeGreaterThan(10)
      // Somebody else takes the last byte.
      const ballasts = Object.values(disks).map((disk) => join(disk, 'ballast'))
      for (const ballast of ballasts) fillUp(ballast)
      await expect(fill()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
      expect((await active.status()).stuck).toMatch(
        /^STORAGE_FULL: .* kept for removals\. Remove files/,
      )
      expect(active.logged('stuck', since)).toMatchObject([{ what: 'room', code: 'STORAGE_FULL' }])
      for (let at = 0; at < written; at += 1) await active.ask('remove', { path: path(at) })
      expect(active.roles(since)).toEqual([])
      for (const ballast of ballasts) rmSync(ballast)
      await retryUntil('room', async () => (await active.status()).stuck === undefined)
      await active.ask('write', { path: path(0), content: 'again' })
      expect(active.logged('unstuck', since)).toMatchObject([{ what: 'room' }])
      expect(await cluster.settled()).toBe(active)
      await cluster.caughtUp()
    },
  )
})

/** Writes until the device takes no byte more. */
function fillUp(path: string): void {
  for (const bytes of [mib, 4096]) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(bytes))
    } catch {
      // The next size fills what is left.
    }
  }
}
