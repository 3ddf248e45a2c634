/**
 * Files of synced classes that changed on the disk while the node was stopped. On a standby the active's version wins,
 * and the other goes to the vault; on an active they are what the users see, so they become changes like any other.
 */
import { HotspareError } from '../errors.js'
import type { OpenStorage } from '../interfaces/storage.js'
import type { OutsideReport } from '../replication/copy-types.js'
import type { FilesApi } from '../replication/files.js'
import type { Term } from '../replication/position.js'
import type { Replica } from './replica.js'

const chunkBytes = 256 * 1024

/** Journals what was found. */
export async function adoptOutside(
  files: FilesApi,
  storage: OpenStorage,
  outside: OutsideReport,
): Promise<void> {
  for (const { path, mode } of [...outside.unknown, ...outside.differing]) {
    await files.write(path, contentOf(storage, path), { mode, ack: 'local' })
  }
  for (const path of outside.missing) {
    await files.remove(path, { ack: 'local' })
  }
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

/**
 * Files from before the library become the beginning of the history of a copy without one.
 *
 * @throws `ADOPT_REQUIRED` unless `adopt`
 */
export async function adoptFound(replica: Replica, term: Term, adopt: boolean): Promise<void> {
  const { copy } = replica
  const { unknown } = copy.outside
  // A copy that is damaged is not without history: a peer restores it.
  if (copy.seq > 0 || !copy.complete || unknown.length === 0) return
  if (!adopt) {
    const example = unknown[0]?.path ?? ''
    throw new HotspareError(
      'ADOPT_REQUIRED',
      `${unknown.length} files (${example}, …) are in paths of synced classes and have no history here`,
    )
  }
  await copy.adopt(term)
  // What was found is the beginning of the history now, and no change of it.
  replica.outsideSettled()
}
