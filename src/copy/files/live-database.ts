/**
 * SQLite databases that lie in a synced class while somebody has them open. A copy of a file that
 * is being written is no database, and closing any descriptor of one drops the locks that SQLite
 * holds on it in the same process, so each start asks to move it out of the synced classes.
 *
 * Invariant: the database itself is never opened here, because closing it would drop these locks.
 * Its write-ahead log, which lies beside it while it is open and after a crash, says what it is.
 */
import type { OpenStorage } from '../../interfaces/storage.js'
import type { TreeEntry } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { claimingClass } from './path-claims.js'

/** Databases that are looked for and reported; further ones are left out. */
const liveDatabasesMax = 100

const logSuffix = '-wal'
/** How a write-ahead log begins; the last bit says in which byte order its checksums are. */
const logMagic = 0x377f0682
const magicBytes = 4

/** A claimed file is an SQLite database that is open, or was when its process ended. */
export interface LiveDatabaseEvent {
  readonly name: 'liveDatabase'
  readonly path: string
  readonly className: string
}

export class LiveDatabases {
  readonly #policy: SyncPolicy
  readonly #candidates: { path: string; className: string; log: TreeEntry }[] = []

  constructor(policy: SyncPolicy) {
    this.#policy = policy
  }

  /** The scan met this file. */
  note(entry: TreeEntry): void {
    if (!entry.path.endsWith(logSuffix) || this.#candidates.length >= liveDatabasesMax) return
    const path = entry.path.slice(0, -logSuffix.length)
    const className =
      claimingClass(this.#policy, path, 'isScanned') ??
      claimingClass(this.#policy, entry.path, 'isScanned')
    if (className !== undefined) this.#candidates.push({ path, className, log: entry })
  }

  /** The databases that have such a log. A warning: what cannot be read costs no node its start. */
  async find({ tree }: OpenStorage): Promise<LiveDatabaseEvent[]> {
    const found: LiveDatabaseEvent[] = []
    for (const { path, className, log } of this.#candidates) {
      const isLive = await this.#isLive(tree, path, log).catch(() => false)
      if (isLive) found.push({ name: 'liveDatabase', path, className })
    }
    return found
  }

  async #isLive(tree: OpenStorage['tree'], path: string, log: TreeEntry): Promise<boolean> {
    const [database] = await tree.stat([path])
    if (database === undefined) return false
    // A log that was cut after a checkpoint is empty, and pages are a multiple of this size.
    if (log.size === 0) return database.size > 0 && database.size % 512 === 0
    const requests = [{ path: log.path, offset: 0, length: magicBytes }]
    const { buffer, results } = await tree.read(requests)
    const [head] = results
    if (head === undefined || head === 'missing' || head.length < magicBytes) return false
    const magic = new DataView(buffer.buffer, buffer.byteOffset + head.start).getUint32(0)
    return magic === logMagic || magic === logMagic + 1
  }
}
