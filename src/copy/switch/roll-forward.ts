/**
 * Carries out the switch from the old copy to a staged one.
 *
 * Invariants:
 * - before the manifest is durable the old copy is not touched; from then on only `run` completes
 *   the switch;
 * - each step can be repeated, whole or in part, with the same result, and none needs what a later
 *   step removes; once the manifest is removed it is not carried out again;
 * - paths that no synced class of this node claims are not touched, whatever the manifest says, nor
 *   are files that it does not name.
 */

import { HotspareError } from '../../errors.js'
import type { FileStat, Obstacle, TreeOperation } from '../../interfaces/tree-store.js'
import { foldPath } from '../../util/fold-path.js'
import { inBatches } from '../../util/in-batches.js'
import type { CheckpointDocument } from '../checkpoint/checkpoint-document.js'
import { checkpointName, encodeCheckpoint } from '../checkpoint/checkpoint-document.js'
import { journalArea } from '../checkpoint/recovery.js'
import { encodeState, stateDocument } from '../contents/app-states.js'
import type { Contents } from '../contents/replicated-state.js'
import type { LocalCopyOptions } from '../contents/types.js'
import type { IndexLog } from '../files/index-log.js'
import { claimingClass, mayForce } from '../files/path-claims.js'
import type { VersionedPath } from '../files/types.js'
import type { JournalPlace } from '../journal/scan.js'
import { listSegments, loadSegmentHeader } from '../journal/scan.js'
import type { InstallFile, RestoreManifest } from './manifest.js'
import { manifestName } from './manifest.js'
import { stagedSnapshot } from './staged-snapshots.js'
import { clearAreas, keepOnly, placeOf } from './staging-areas.js'

export const nextArea = 'journal.next'

/** Operations in one call of the tree; more take further calls. */
const batchOperations = 512

/**
 * The record of a file that was removed by another program while the switch was unfinished. It gets
 * a record nevertheless, so that the scan of the next start finds it missing and it is repaired;
 * otherwise this copy could not be opened again.
 */
const noStat: FileStat = { size: 0, mtimeMs: 0, inode: 0, mode: 0 }

/** A file that the manifest moved into place, or found there. */
interface SettledFile {
  readonly path: string
  readonly version: number
  readonly stat: FileStat
}

export class RollForward {
  readonly #options: LocalCopyOptions
  readonly #manifest: RestoreManifest
  readonly #contents: Contents
  readonly #indexLog: IndexLog
  /** The blobs that the journal of the old copy names. */
  readonly #oldBlobs: readonly string[]
  /** The checkpoint of the new copy, once the manifest is carried out. */
  #checkpoint: CheckpointDocument | undefined

  /** `contents.index` is at the valid checkpoint, or at a later step of the same switch. */
  constructor(
    options: LocalCopyOptions,
    manifest: RestoreManifest,
    contents: Contents,
    indexLog: IndexLog,
  ) {
    this.#options = options
    this.#manifest = manifest
    this.#contents = contents
    this.#indexLog = indexLog
    this.#oldBlobs = [...contents.blobs.entries()].map(([id]) => id)
  }

  /**
   * Carries out the manifest, then removes it and what the old copy and the restore leave behind.
   * The new journal is then the journal, and recovery continues from the result. May be called
   * again after a failure.
   */
  async run(): Promise<CheckpointDocument> {
    this.#checkpoint ??= await this.#carryOut()
    await this.#indexLog.removeStale()
    await clearAreas(this.#options.storage.objects)
    return this.#checkpoint
  }

  /** Removes the blobs that only the old journal names; the new journal has been read before. */
  async removeOldBlobs(): Promise<void> {
    const gone = this.#oldBlobs.filter((id) => !this.#contents.blobs.has(id))
    if (gone.length === 0) return
    // The copy is open, so what cannot be removed now is removed at the next start.
    await this.#options.storage.objects.remove('blobs', gone).catch(() => undefined)
  }

  async #carryOut(): Promise<CheckpointDocument> {
    const { storage } = this.#options
    const { complete, keep = [] } = this.#manifest
    const gone = this.#manifest.remove
      .map(({ path }) => path)
      .filter((path) => this.#classOf(path) !== undefined)
    await this.#removeFiles(this.#ownFiles(gone))
    // Done before files are moved into place: where a file replaces a folder, a crash must not
    // bring back both.
    if (gone.length > 0) await storage.tree.sync(gone)
    const installed = await this.#installFiles()
    const settled = [...installed, ...(await this.#keptFiles())]
    // The old journal is removed. If it is damaged, it is unknown which removals, and which bytes
    // of kept files, are not durable yet; the same holds for files from before the library.
    if (complete || keep.length > 0) await storage.tree.sync('all')
    await this.#storeStates()
    this.#updateIndex(settled)
    if (complete) await this.#indexLog.close()
    const dirty = this.#contents.index.takeDirty()
    const written = await this.#indexLog.write(this.#contents.index, dirty)
    await storage.logs.replace(nextArea, journalArea)
    const document: CheckpointDocument = {
      place: await this.#journalStart(),
      index: { log: written.log, bytes: written.bytes },
      tombstoneFloor: this.#contents.index.tombstoneFloor,
      states: this.#coveredStates(),
      strangers: [],
      blobs: [],
    }
    await storage.documents.write(checkpointName, encodeCheckpoint(document))
    await storage.documents.remove(manifestName)
    return document
  }

  #classOf(path: string): string | undefined {
    return claimingClass(this.#options.policy, path, 'isReplicated')
  }

  /**
   * The paths without those that this copy does not have and that the storage treats as others
   * which it has.
   */
  #ownFiles(paths: readonly string[]): readonly string[] {
    const { names, index } = this.#contents
    if (!names.foldsCase) return paths
    const there = new Set(index.paths().map(foldPath))
    return paths.filter((path) => index.get(path) !== undefined || !there.has(foldPath(path)))
  }

  async #removeFiles(paths: readonly string[]): Promise<void> {
    for (const batch of inBatches(paths, batchOperations)) {
      await this.#options.storage.tree.apply(batch.map((path) => ({ kind: 'remove', path })))
    }
  }

  /**
   * Moves all files together unless a path is blocked, the rest individually; durable when it
   * resolves.
   */
  async #installFiles(): Promise<SettledFile[]> {
    const { storage } = this.#options
    const install = this.#manifest.install.filter(({ path }) => this.#classOf(path) !== undefined)
    const incoming = new Set<string>()
    for (const { path, object } of install) if (object === undefined) incoming.add(path)
    // Everything in `incoming` is moved into the tree, and a crash may have brought back what was
    // removed before.
    await keepOnly(storage.objects, 'incoming', (path) => incoming.has(path))
    await storage.tree.takeIn()
    const left = new Set((await storage.objects.list('incoming')).map(({ name }) => name))
    const single = install.filter(({ path, object }) => object !== undefined || left.has(path))
    const settled = await this.#installSingly(single)
    if (settled.length > 0) await storage.tree.sync(settled.map(({ path }) => path))
    const moved = install.filter(({ path, object }) => object === undefined && !left.has(path))
    settled.push(...(await this.#found(moved)))
    return settled
  }

  async #installSingly(install: readonly InstallFile[]): Promise<SettledFile[]> {
    const { storage } = this.#options
    const settled: SettledFile[] = []
    for (const batch of inBatches(install, batchOperations)) {
      const obstacles = await storage.tree.obstacles(batch.map(({ path }) => path))
      const operations: TreeOperation[] = []
      for (const [index, file] of batch.entries()) {
        const { path, mode } = file
        const operation = { kind: 'install', path, ...placeOf(file), mode } as const
        const force = await this.#mayForce(path, obstacles[index])
        operations.push({ ...operation, move: true, ...(force ? { force } : {}) })
      }
      const stats = await storage.tree.apply(operations)
      for (const [index, file] of batch.entries()) {
        const { path, version } = file
        settled.push({ path, version, stat: stats[index] ?? noStat })
      }
    }
    return settled
  }

  async #mayForce(path: string, obstacle: Obstacle | undefined): Promise<boolean> {
    if (obstacle === undefined) return false
    const { storage, policy } = this.#options
    const isKnown = this.#contents.index.get(path) !== undefined
    return await mayForce(storage.tree, policy, path, { at: obstacle.path, isKnown })
  }

  /** The kept files as they are in the tree. */
  #keptFiles(): Promise<SettledFile[]> {
    const keep = (this.#manifest.keep ?? []).filter(({ path }) => this.#classOf(path) !== undefined)
    return this.#found(keep)
  }

  /** Files as they are in the tree; a missing one has no size, time or inode. */
  async #found(files: readonly VersionedPath[]): Promise<SettledFile[]> {
    const settled: SettledFile[] = []
    for (const batch of inBatches(files, batchOperations)) {
      const stats = await this.#options.storage.tree.stat(batch.map(({ path }) => path))
      for (const [index, { path, version }] of batch.entries()) {
        settled.push({ path, version, stat: stats[index] ?? noStat })
      }
    }
    return settled
  }

  #updateIndex(settled: readonly SettledFile[]): void {
    const { index } = this.#contents
    const manifest = this.#manifest
    if (manifest.complete) index.clear()
    const remove = [...manifest.remove].sort((left, right) => left.version - right.version)
    for (const { path, version } of remove) {
      if (this.#classOf(path) !== undefined) index.remove(path, version)
    }
    for (const { path, version, stat } of settled) {
      const className = this.#classOf(path)
      if (className === undefined) continue
      const { size, mode, mtimeMs, inode } = stat
      index.set(path, { className, version, size, mode, mtimeMs, inode })
    }
    index.raiseFloor(manifest.tombstoneFloor)
  }

  async #storeStates(): Promise<void> {
    const { storage } = this.#options
    for (const { className, object, seq } of this.#manifest.states) {
      const bytes = await stagedSnapshot(storage.objects, object)
      if (bytes === undefined) {
        const { restoreId } = this.#manifest
        throw new HotspareError('RESTORE_FAILED', `restore ${restoreId} has lost its '${object}'`)
      }
      await storage.documents.write(stateDocument(className), encodeState({ bytes, seq }))
    }
    for (const { name } of this.#options.policy.stateClasses()) {
      if (this.#manifest.states.some(({ className }) => className === name)) continue
      // The source has no such class, so no state of the old history may return.
      await storage.documents.remove(stateDocument(name))
    }
  }

  #coveredStates(): Map<string, number> {
    return new Map(this.#manifest.states.map(({ className, seq }) => [className, seq]))
  }

  async #journalStart(): Promise<JournalPlace> {
    const { logs } = this.#options.storage
    const first = (await listSegments(logs, journalArea))[0]
    if (first === undefined) throw new HotspareError('RESTORE_FAILED', 'the new journal is missing')
    const log = await logs.open(journalArea, first.name)
    try {
      const header = await loadSegmentHeader(log)
      if (header === undefined) throw new HotspareError('JOURNAL_CORRUPT', first.name)
      return { segment: first.name, offset: header.bytes, facts: header.facts }
    } finally {
      await log.close()
    }
  }
}
