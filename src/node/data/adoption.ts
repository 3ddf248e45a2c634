/**
 * Adopts changes that were made to files of synced classes while the node was stopped. On a standby
 * the version of the active wins and the other one goes to the vault. On a node that becomes active
 * these files are what users see, so they become changes of the history, in one run that ends
 * before the role is announced.
 *
 * Invariants:
 * - the tree is not modified: the files are journaled as they were just read, and a file that
 *   changes again is left for later;
 * - what a change replaces or removes in the history goes to the vault first, as far as it can be
 *   read;
 * - removals are journaled first, because a file may have taken the place of a folder, and the
 *   other way round;
 * - what is not journaled stays known and is tried again while the node is active; a file that the
 *   application has written meanwhile is left to it.
 */

import type { FileChange } from '../../changes/change.js'
import { claimingClass } from '../../copy/files/path-claims.js'
import { differs } from '../../copy/files/tree-scan.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { ReplacedFile } from '../../copy/vault/keep-replaced.js'
import type { Vault } from '../../copy/vault/vault.js'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat, TreeEntry } from '../../interfaces/tree-store.js'
import { checkPath } from '../../policy/path-rules.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { writerLimits } from '../../replication/write/types.js'
import type { Writer } from '../../replication/write/writer.js'
import { inBatches } from '../../util/in-batches.js'
import { AdoptionWatch, type AdoptionWatchOptions } from './adoption-watch.js'
import { contentOf } from './tree-content.js'

/** Files that are compared, and journaled, together. */
const filesPerBatch = 512
/** Files of one vault incident, for which the journal is read once. */
const filesPerStretch = 5_000
/** Times that a file which changes during its read is read again, before it is left for later. */
const roundsMax = 3
/** Reasons for leaving files that are reported individually; further ones are left out. */
const failuresMax = 10

export interface AdoptionOptions {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly policy: SyncPolicy
  readonly writer: Writer
  readonly watch: AdoptionWatchOptions
}

/** The result of an adoption. */
export interface AdoptionResult {
  readonly adopted: OutsideReport
  /** The changes that were not journaled. */
  readonly left: OutsideReport
  /** The first reasons. */
  readonly failures: readonly HotspareError[]
}

export class Adoption {
  readonly #options: AdoptionOptions
  readonly #watch: AdoptionWatch
  readonly #removals: string[] = []
  readonly #puts: string[] = []
  readonly #replaced: ReplacedFile[] = []
  readonly #done = new Set<string>()
  readonly #left = new Set<string>()
  readonly #failures: HotspareError[] = []
  /** The versions in the history at the time of the comparison. */
  readonly #versions = new Map<string, number | undefined>()

  constructor(options: AdoptionOptions) {
    this.#options = options
    this.#watch = new AdoptionWatch(options.watch)
  }

  /**
   * Journals the changes as far as possible, and resolves when they are durable. With `nothing` it
   * only reports them. `only`: limits the run to these changes, of which the application may have
   * overwritten some meanwhile.
   *
   * @throws the failure of the journal; `ABORTED` when the term is no longer to be opened
   */
  async run(what: 'all' | 'nothing', only?: OutsideReport): Promise<AdoptionResult> {
    const { copy } = this.#options
    const outside = only ?? copy.outside.report
    const found = [...outside.unknown, ...outside.differing].map(({ path }) => path).sort()
    const paths = [...new Set([...outside.missing, ...found])]
    if (what === 'nothing') this.#leave(paths, noRoom())
    else await this.#carryOut(paths)
    const left = reportOf(outside, (path) => this.#left.has(path))
    const adopted = reportOf(outside, (path) => this.#done.has(path))
    const settled = new Set(paths.filter((path) => !this.#left.has(path)))
    copy.outside.settle(reportOf(copy.outside.report, (path) => !settled.has(path)))
    return { adopted, left, failures: this.#failures }
  }

  async #carryOut(paths: readonly string[]): Promise<void> {
    const { copy } = this.#options
    await copy.settle()
    for (const stretch of inBatches(paths, filesPerStretch)) await this.#carryOutStretch(stretch)
    await copy.settle()
  }

  /**
   * Each part has a vault incident of its own, so that completed parts count when the time is over.
   */
  async #carryOutStretch(paths: readonly string[]): Promise<void> {
    for (const batch of inBatches(paths, filesPerBatch))
      await this.#inTime(batch, () => this.#look(batch))
    await this.#keepReplaced(this.#replaced.splice(0))
    for (const batch of inBatches(this.#removals.splice(0), filesPerBatch)) {
      await this.#inTime(batch, () => this.#remove(batch))
    }
    for (let round = 0; round < roundsMax && this.#puts.length > 0; round += 1) {
      for (const batch of inBatches(this.#puts.splice(0), filesPerBatch)) {
        await this.#inTime(batch, () => this.#put(batch))
      }
    }
    const unsteady = this.#puts.splice(0)
    if (unsteady.length === 0) return
    const what = `${unsteady[0]} changes all the time, so that it cannot be adopted`
    this.#leave(unsteady, new HotspareError('CHANGED_OUTSIDE', what))
  }

  /**
   * Runs a part of the work if there is time left. Files whose part fails are left, unless the
   * journal failed.
   */
  async #inTime(paths: readonly string[], work: () => Promise<void>): Promise<void> {
    try {
      this.#watch.check()
      await work()
      const { copy } = this.#options
      if (copy.congested) await copy.decongested()
    } catch (error) {
      this.#fail(paths, error)
    }
  }

  #fail(paths: readonly string[], error: unknown): void {
    const { copy } = this.#options
    if (!this.#watch.isWanted || copy.failed !== undefined || !HotspareError.is(error)) throw error
    this.#leave(paths, error)
  }

  #leave(paths: readonly string[], error: HotspareError): void {
    for (const path of paths) if (!this.#done.has(path)) this.#left.add(path)
    const isNew = this.#failures.every(({ message }) => message !== error.message)
    if (isNew && this.#failures.length < failuresMax) this.#failures.push(error)
  }

  /** Compares the files with the history. */
  async #look(paths: readonly string[]): Promise<void> {
    const { copy, storage } = this.#options
    const valid = paths.filter((path) => this.#isValid(path))
    const stats = await storage.tree.stat(valid)
    for (const [at, path] of valid.entries()) {
      const stat = stats[at]
      const record = copy.index.get(path)
      this.#versions.set(path, copy.files.stat(path)?.version)
      const isMixed = copy.outside.isMixed(path)
      if (record === undefined && stat === undefined) continue
      if (record !== undefined && stat !== undefined && !isMixed && !differs(record, stat)) continue
      if (stat === undefined) this.#removals.push(path)
      else this.#puts.push(path)
      if (record === undefined) continue
      const { size, version } = record
      const isTouched = isMixed || stat?.size !== size || stat.mtimeMs !== record.mtimeMs
      this.#replaced.push({ path, size, version, isTouched, stat })
    }
  }

  #isValid(path: string): boolean {
    try {
      return checkPath(path) === path
    } catch (error) {
      this.#fail([path], error)
      return false
    }
  }

  /** Promise 5: what is replaced in the history goes to the vault first. */
  async #keepReplaced(replaced: readonly ReplacedFile[]): Promise<void> {
    const { copy, vault } = this.#options
    if (replaced.length === 0) return
    await this.#inTime(
      replaced.map(({ path }) => path),
      async () => void (await vault.keepReplaced(copy, replaced, () => this.#watch.check())),
    )
  }

  async #remove(batch: readonly string[]): Promise<void> {
    const { storage } = this.#options
    const paths = batch.filter((path) => !this.#left.has(path))
    const stats = await storage.tree.stat(paths)
    const gone: string[] = []
    for (const [at, path] of paths.entries()) {
      if (stats[at] === undefined) gone.push(path)
      else this.#puts.push(path)
    }
    this.#journalRemovals(gone)
  }

  #journalRemovals(paths: readonly string[]): void {
    const changes = paths.map((path): FileChange => {
      return { kind: 'remove', className: this.#classOf(path), path }
    })
    this.#journal(changes, new Map(paths.map((path) => [path, null])))
  }

  /** Journals small files together and large ones individually. */
  async #put(batch: readonly string[]): Promise<void> {
    const { storage } = this.#options
    const paths = batch.filter((path) => !this.#left.has(path) && this.#fits(path))
    const stats = await storage.tree.stat(paths)
    const { copy } = this.#options
    // Removed since the comparison.
    const gone = paths.filter((path, at) => stats[at] === undefined && copy.files.stat(path))
    this.#journalRemovals(gone)
    let group: string[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      const together = group
      group = []
      bytes = 0
      if (together.length > 0) await this.#inTime(together, () => this.#putSmall(together))
    }
    for (const [at, path] of paths.entries()) {
      const size = stats[at]?.size
      if (size === undefined) continue
      if (size > writerLimits.inlineBytesMax) {
        await this.#inTime([path], () => this.#putLarge(path))
        continue
      }
      if (bytes + size > writerLimits.batchBytesMax) await flush()
      group.push(path)
      bytes += size
    }
    await flush()
  }

  async #putSmall(paths: readonly string[]): Promise<void> {
    const { tree } = this.#options.storage
    const length = writerLimits.inlineBytesMax + 1
    let answer: Awaited<ReturnType<typeof tree.read>>
    try {
      const stats = await tree.stat(paths)
      const requests = paths.map((path, at) => ({
        path,
        offset: 0,
        length: Math.min(length, (stats[at]?.size ?? 0) + 1),
      }))
      answer = await tree.read(requests)
    } catch (error) {
      if (paths.length === 1) throw error
      // One file of the batch cannot be read, so the others are tried individually.
      for (const path of paths) await this.#inTime([path], () => this.#putSmall([path]))
      return
    }
    const after = await tree.stat(paths)
    const changes: FileChange[] = []
    const found = new Map<string, FileStat>()
    for (const [at, path] of paths.entries()) {
      const result = answer.results[at]
      const stat = after[at]
      const isWhole =
        result !== undefined &&
        result !== 'missing' &&
        stat !== undefined &&
        result.length === stat.size &&
        isSame(result.stat, stat)
      if (!isWhole) {
        this.#again(path)
        continue
      }
      const bytes = answer.buffer.subarray(result.start, result.start + result.length)
      changes.push(this.#putOf(path, stat, { bytes, blob: undefined }))
      found.set(path, stat)
    }
    this.#journal(changes, found)
  }

  async #putLarge(path: string): Promise<void> {
    const { storage, writer } = this.#options
    const { tree } = storage
    const [before] = await tree.stat([path])
    const content = await writer.store(contentOf(storage, path, this.#watch), {
      durability: 'disk',
    })
    const [stat] = await tree.stat([path])
    const bytes = content.blob?.bytes ?? content.bytes?.length
    const isWhole = before !== undefined && stat !== undefined && isSame(before, stat)
    if (!isWhole || bytes !== stat.size) {
      if (content.blob !== undefined) await writer.discard([content.blob])
      this.#again(path)
      return
    }
    this.#journal([this.#putOf(path, stat, content)], new Map([[path, stat]]))
    const isNamed = this.#done.has(path)
    if (content.blob !== undefined && !isNamed) await writer.discard([content.blob])
  }

  /**
   * Compares a file again that changed during its read, unless it is gone and was never in the
   * history.
   */
  #again(path: string): void {
    this.#puts.push(path)
  }

  #putOf(
    path: string,
    { mode }: FileStat,
    content: Pick<Extract<FileChange, { kind: 'put' }>, 'bytes' | 'blob'>,
  ): FileChange {
    const { bytes, blob } = content
    return { kind: 'put', className: this.#classOf(path), path, mode: mode & 0o777, bytes, blob }
  }

  #classOf(path: string): string {
    const { copy, policy } = this.#options
    const claiming = claimingClass(policy, path, 'takesFileChanges')
    return claiming ?? copy.index.get(path)?.className ?? ''
  }

  /** Whether nothing in the history blocks a new file. Something may, if its removal was left. */
  #fits(path: string): boolean {
    const { copy } = this.#options
    if (copy.files.stat(path) !== undefined) return true
    let inTheWay = copy.files.hasBelow(path) ? `${path}/` : undefined
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const above = path.slice(0, at)
      if (copy.files.stat(above) !== undefined) inTheWay = above
    }
    if (inTheWay === undefined) return true
    const what = `'${path}' cannot be adopted: the history has '${inTheWay}'`
    this.#leave([path], new HotspareError('PATH_CONFLICT', what))
    return false
  }

  #journal(all: readonly FileChange[], found: ReadonlyMap<string, FileStat | null>): void {
    const { copy, writer } = this.#options
    this.#watch.requireWanted()
    // A newer version in the history was written by the application and has replaced the outside
    // change.
    const changes = all.filter(
      ({ path }) => copy.files.stat(path)?.version === this.#versions.get(path),
    )
    if (changes.length === 0) return
    const paths = changes.map(({ path }) => path)
    if (writer.adopt(changes, found)) for (const path of paths) this.#done.add(path)
    else this.#leave(paths, new HotspareError('SWITCHOVER_UNDER_WAY', 'writes are held'))
  }
}

function noRoom(): HotspareError {
  const what = 'at the last try the disk did not take what another program had changed'
  return new HotspareError('STORAGE_FULL', what, {
    whatToDo: 'Free space, then hand the role over, or write the files anew.',
  })
}

function isSame(left: FileStat, right: FileStat): boolean {
  const { size, mtimeMs, inode } = left
  return size === right.size && mtimeMs === right.mtimeMs && inode === right.inode
}

/** The part of a report with the chosen paths. */
function reportOf(outside: OutsideReport, chosen: (path: string) => boolean): OutsideReport {
  const ofEntries = (entries: readonly TreeEntry[]): TreeEntry[] =>
    entries.filter(({ path }) => chosen(path))
  return {
    unknown: ofEntries(outside.unknown),
    differing: ofEntries(outside.differing),
    missing: outside.missing.filter(chosen),
  }
}
