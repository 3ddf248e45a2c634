import { link, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StorageKitSubject } from 'hotspare/testing/storage-kit/harness'
import { describe, test } from 'vitest'
import { directory } from '../../src/storage/directory.js'
import { memory } from '../../src/storage/memory.js'
import { storageKit } from '../../src/testing/storage-kit.js'

async function onDisk(threads: boolean): Promise<StorageKitSubject> {
  const root = await mkdtemp(join(tmpdir(), 'hotspare-storage-'))
  return {
    storage: directory(root, { threads }),
    reopen: () => directory(root, { threads }),
    link: (path, otherPath) => link(join(root, path), join(root, otherPath)),
    cleanup: () => rm(root, { recursive: true, force: true }),
  }
}

describe('storage adapters keep the contract', () => {
  storageKit({ name: 'directory', create: () => onDisk(true), test })
  storageKit({ name: 'directory without threads', create: () => onDisk(false), test })
  storageKit({
    name: 'memory',
    create: async () => ({ storage: memory(), cleanup: async () => undefined }),
    test,
  })
  storageKit({
    name: 'memory, without case',
    create: async () => ({
      storage: memory({ foldsCase: true }),
      cleanup: async () => undefined,
    }),
    test,
  })
  storageKit({
    name: 'memory, fast',
    create: async () => ({ storage: memory({ fast: true }), cleanup: async () => undefined }),
    test,
  })
})
