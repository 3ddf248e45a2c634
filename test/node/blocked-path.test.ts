import { afterEach, describe, expect, it, vi } from 'vitest'
import type { HotspareError } from '../../src/index.js'
import { ClusterNode, neverSynced, SyncPolicy, synced } from '../../src/index.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'

// What is never synced is never touched; a restore that needs its place says so and waits.

const network = memoryNetwork({})
const members = ['alpha', 'beta'].map((id) => ({ id, address: id }))
const running: ClusterNode[] = []
const bytes = (text: string): Uint8Array => Buffer.from(text)

function nodeOf(id: string, storage: MemoryStorage): ClusterNode {
  const node = new ClusterNode({
    cluster: 'blocked',
    id,
    members,
    storage,
    transport: network.transport(id),
    heartbeatMs: 20,
    deadMs: 200,
    discoveryMs: 100,
    startupWaitMs: 200,
    policy: new SyncPolicy({
      files: synced(['files/**', '!files/**/*.local']),
      local: neverSynced('files/**/*.local', { reason: 'differs per machine' }),
    }),
  }) as unknown as ClusterNode
  running.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

describe('a never-synced file in the way of a restore', () => {
  it.each([
    { what: 'in a folder that is to be a file', obstacle: 'files/a/mine.local', path: 'files/a' },
    { what: 'where a folder is to be', obstacle: 'files/b.local', path: 'files/b.local/c' },
  ])(
    'SYN-25: $what: it is named, and the restore goes on when it is gone',
    async ({ obstacle, path }) => {
      const alpha = nodeOf('alpha', memory())
      await alpha.start()
      await alpha.files.write('files/first', 'first')
      await alpha.files.write(path, 'theirs')
      const storage = memory()
      storage.outside.write(obstacle, bytes('mine'))
      const beta = nodeOf('beta', storage)
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
