/**
 * Finds open SQLite databases in synced classes. A copy of a file that is being written is no valid
 * database, and closing any descriptor of the file drops the locks that SQLite holds in the same
 * process, so each start asks to move it out of the synced classes.
 *
 * Invariant: the database itself is never opened here, because closing it would drop these locks.
 * It is recognised by its write-ahead log, which exists while it is open and after a crash.
 */
import type { OpenStorage } from '../../interfaces/storage.js'
import type { TreeEntry } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { claimingClass } from './path-claims.js'

/** Databases that are reported; further ones are left out. */
const liveDatabasesMax = 100

const logSuffix = '-wal'
/** The first bytes of a write-ahead log; the last bit is the byte order of its checksums. */
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

  /** Records a file of the scan. */
  note(entry: TreeEntry): void {
    if (!entry.path.endsWith(logSuffix) || this.#candidates.length >= liveDatabasesMax) return
    const path = entry.path.slice(0, -logSuffix.length)
    const className =
      claimingClass(this.#policy, path, 'isScanned') ??
      claimingClass(this.#policy, entry.path, 'isScanned')
    if (className !== undefined) this.#candidates.push({ path, className, log: entry })
  }

  /**
   * The databases with such a log. This is only a warning, so a file that cannot be read does not
   * fail the start.
   */
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
    // A log is empty after a checkpoint truncated it, and the size of a database is a multiple of
    // its page size.
    if (log.size === 0) return database.size > 0 && database.size % 512 === 0
    const requests = [{ path: log.path, offset: 0, length: magicBytes }]
    const { buffer, results } = await tree.read(requests)
    const [head] = results
    if (head === undefined || head === 'missing' || head.length < magicBytes) return false
    const magic = new DataView(buffer.buffer, buffer.byteOffset + head.start).getUint32(0)
    return magic === logMagic || magic === logMagic + 1
  }
}
