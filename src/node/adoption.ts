/**
 * Files of synced classes that changed on the disk while the node was stopped. On a standby the active's version wins,
 * and the other goes to the vault; on an active they are what the users see, so they become changes like any other.
 */
import type { OpenStorage } from '../interfaces/storage.js'
import type { OutsideReport } from '../replication/copy-types.js'
import type { FilesApi } from '../replication/files.js'

const chunkBytes = 256 * 1024

/** Journals what was found; resolves with the number of paths. */
export async function adoptOutside(
  files: FilesApi,
  storage: OpenStorage,
  outside: OutsideReport,
): Promise<number> {
  let count = 0
  for (const { path, mode } of [...outside.unknown, ...outside.differing]) {
    await files.write(path, contentOf(storage, path), { mode, ack: 'local' })
    count += 1
  }
  for (const path of outside.missing) {
    await files.remove(path, { ack: 'local' })
    count += 1
  }
  return count
}

async function* contentOf(storage: OpenStorage, path: string): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const { buffer, results } = await storage.tree.read([{ path, offset, length: chunkBytes }])
    const result = results[0]
    if (result === undefined || result === 'missing' || result.length === 0) return
    yield buffer.subarray(result.start, result.start + result.length)
    offset += result.length
    if (result.length < chunkBytes) return
  }
}
