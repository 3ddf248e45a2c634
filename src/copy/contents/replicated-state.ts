/**
 * The result of the journal: files with their index, application state, blobs. Entries are
 * processed in order, by a running node and by recovery alike.
 *
 * Invariant: each change is processed once. Its effect on application state is complete when `take`
 * returns; its effect on files is in the overlay then, and in the tree after its entry is durable.
 */

import type { FileChange, SingleChange } from '../../changes/change.js'
import type { BatchPart, Entry } from '../../changes/entry.js'
import { entryHeaderBytes } from '../../changes/entry.js'
import type { UpdateRun } from '../../changes/update-run.js'
import type { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { Applier } from '../files/applier.js'
import { FileIndex } from '../files/file-index.js'
import { OutsideChanges } from '../files/outside-changes.js'
import type { FileOperation, PendingOperation } from '../files/overlay.js'
import { Overlay } from '../files/overlay.js'
import { claimingClass, mayForce } from '../files/path-claims.js'
import { DistinctPaths, NameRules, spelledAlike } from '../files/spellings.js'
import { AppStates, ownResult } from './app-states.js'
import { BlobRefs } from './blob-refs.js'
import type { CopyEvent, UpdateResult } from './types.js'

export interface ContentsOptions {
  readonly storage: OpenStorage
  readonly policy: SyncPolicy
  readonly snapshotBytesMax: number
  readonly emit: (event: CopyEvent) => void
  readonly onApplied: () => void
  readonly onApplyFailure: (error: HotspareError) => void
}

/** How `take` processes an entry. */
export interface TakeOptions {
  readonly ordinal: number
  readonly wantsResults: boolean
  /** The change that files already have; 0 to carry out all changes. */
  readonly filesSeq: number
  /** Paths where the tree already has the result of the entry; see `PendingOperation.found`. */
  readonly found?: ReadonlyMap<string, FileStat | null> | undefined
}

export class Contents {
  readonly #options: ContentsOptions
  readonly index: FileIndex = new FileIndex()
  readonly overlay: Overlay = new Overlay(this.index)
  readonly outside: OutsideChanges = new OutsideChanges(this.index, this.overlay)
  readonly names: NameRules
  readonly blobs: BlobRefs = new BlobRefs()
  readonly states: AppStates
  /** Classes with journaled changes that this node's policy does not have. */
  readonly strangers: Set<string> = new Set()
  /** Classes for which a warning was emitted. */
  readonly #reported = new Set<string>()
  /**
   * The error of a change that was journaled and not carried out, because another file has its
   * place on this storage. A restore has to repair it.
   */
  conflict: HotspareError | undefined
  /** The error with which a change of another node was refused for the same reason. */
  refused: HotspareError | undefined
  applier: Applier
  /** Bytes of entries that are not in the tree yet. */
  unappliedBytes = 0
  // The position in the payload of the present entry.
  #payloadAt = 0
  #operations: PendingOperation[] = []
  #found: TakeOptions['found']

  /** The reported reason why files could not be written; undefined once a write has succeeded. */
  #told: string | undefined

  constructor(options: ContentsOptions) {
    this.#options = options
    const { policy, storage } = options
    this.names = new NameRules(this.overlay, policy, storage.tree)
    this.states = new AppStates(options.policy, options.snapshotBytesMax, options.emit)
    this.applier = this.#newApplier()
  }

  /**
   * Classes of files that this node's policy has now, with changes that were journaled before it
   * had them.
   */
  get lacking(): string[] {
    return [...this.strangers].filter((name) => this.#options.policy.get(name) !== undefined)
  }

  /**
   * Refuses changes that would give two files one place on this storage, before they are journaled.
   *
   * @throws `PATH_CONFLICT`
   */
  requireDistinct(parts: readonly BatchPart[]): void {
    if (!this.names.foldsCase) return
    const gone = new Set<string>()
    const fresh = new DistinctPaths()
    for (const { kind, path } of parts.flatMap(fileChangesOf)) {
      if (kind === 'remove') {
        gone.add(path)
        fresh.remove(path)
      } else if (gone.has(path) || this.overlay.stat(path) === undefined) {
        const others = this.overlay.spelledOtherwise(path)
        const other = others.find((one) => this.#isLeft(one, gone)) ?? fresh.add(path)
        if (other !== undefined) throw this.#refuse(path, other)
        gone.delete(path)
      }
    }
  }

  #refuse(path: string, other: string): HotspareError {
    this.refused = spelledAlike(path, other)
    return this.refused
  }

  /** Whether there is a file at or below the path that is not among the removed ones. */
  #isLeft(path: string, gone: ReadonlySet<string>): boolean {
    if (this.overlay.stat(path) !== undefined) return !gone.has(path)
    const below = [...this.index.paths(), ...[...this.overlay.paths()].map(([one]) => one)]
    const isThere = (one: string): boolean => this.overlay.stat(one) !== undefined && !gone.has(one)
    return below.some((one) => one.startsWith(`${path}/`) && isThere(one))
  }

  #newApplier(): Applier {
    const { storage, policy, emit, onApplied, onApplyFailure } = this.#options
    return new Applier({
      tree: storage.tree,
      index: this.index,
      overlay: this.overlay,
      mayForce: (path, at) => {
        const isKnown = this.index.get(path) !== undefined
        return mayForce(storage.tree, policy, path, { at, isKnown })
      },
      onApplied: (bytes) => {
        this.unappliedBytes -= bytes
        this.#told = undefined
        onApplied()
      },
      outside: this.outside,
      onFailure: (error, path) => {
        const again = error.message === this.#told
        this.#told = error.message
        if (path !== undefined && !again) emit({ name: 'applyFailed', path, error })
        onApplyFailure(error)
      },
    })
  }

  /**
   * Drops everything except the index, which the caller has moved to the beginning of the journal.
   */
  restart(): void {
    this.overlay.reset()
    this.blobs.clear()
    this.strangers.clear()
    this.conflict = undefined
    this.refused = undefined
    this.unappliedBytes = 0
    this.applier = this.#newApplier()
  }

  /**
   * Processes the parts of the next entry, as decoded by `partsOf`. There is one result for each
   * change, including those in runs.
   */
  take(
    entry: Entry,
    parts: readonly BatchPart[],
    options: TakeOptions,
  ): UpdateResult[] | undefined {
    const { firstSeq, count, epoch, metaBytes } = entry.header
    const results: UpdateResult[] | undefined = options.wantsResults ? [] : undefined
    const bytesEach = entry.bytes.length / count
    this.#payloadAt = entryHeaderBytes + metaBytes
    this.#found = options.found
    let seq = firstSeq
    for (const part of parts) {
      if (part.kind === 'updateRun') {
        this.#run(part, epoch, seq, bytesEach, results)
        seq += part.count
        continue
      }
      let result: UpdateResult
      if (part.kind === 'update') {
        result = this.#update(part.className, part.value, epoch, seq, bytesEach)
      } else if (part.kind === 'transaction') {
        result = this.#transaction(part.changes, entry, seq, bytesEach, options.filesSeq)
      } else this.#file(part, entry, seq, options.filesSeq)
      results?.push(ownResult(result))
      seq += 1
    }
    if (this.#operations.length > 0) this.#queue(entry, options.ordinal)
    return results
  }

  #queue(entry: Entry, ordinal: number): void {
    const bytes = entry.bytes.length
    this.unappliedBytes += bytes
    this.applier.push({ ordinal, bytes, operations: this.#operations })
    this.#operations = []
  }

  #run(
    run: UpdateRun,
    epoch: number,
    firstSeq: number,
    bytesEach: number,
    results: UpdateResult[] | undefined,
  ): void {
    this.#payloadAt += run.bytes
    if (this.states.applyRun(run, epoch, firstSeq, bytesEach, results)) return
    this.#stranger(run.className, undefined)
    if (results !== undefined) results.length += run.count
  }

  #update(
    className: string,
    value: unknown,
    epoch: number,
    seq: number,
    bytes: number,
  ): UpdateResult {
    const result = this.states.apply(className, value, { epoch, seq }, bytes)
    if (result !== 'unknown') return result
    this.#stranger(className, undefined)
    return undefined
  }

  /** The results of the updates of a transaction, or its first error. */
  #transaction(
    changes: readonly SingleChange[],
    entry: Entry,
    seq: number,
    bytes: number,
    filesSeq: number,
  ): UpdateResult {
    const values: unknown[] = []
    let failure: UpdateResult
    let updates = 0
    for (const change of changes) {
      if (change.kind !== 'update') {
        this.#file(change, entry, seq, filesSeq)
        values.push(undefined)
        continue
      }
      updates += 1
      const result = this.#update(change.className, change.value, entry.header.epoch, seq, bytes)
      if (result?.ok === false) failure ??= result
      values.push(result?.ok === true ? result.value : undefined)
    }
    if (updates === 0) return undefined
    return failure ?? { ok: true, value: values }
  }

  #file(change: FileChange, entry: Entry, seq: number, filesSeq: number): void {
    const { className, path } = change
    let bytes: Uint8Array | undefined
    let blobBytes = 0
    if (change.kind === 'put' || change.kind === 'patch') {
      if (change.blob === undefined) {
        const end = this.#payloadAt + (change.bytes?.length ?? 0)
        bytes = entry.bytes.subarray(this.#payloadAt, end)
        this.#payloadAt = end
      } else {
        blobBytes = change.blob.bytes
        this.blobs.refer(change.blob.id, seq, blobBytes)
      }
    }
    if (seq <= filesSeq) return
    const own = this.#classOf(path, className)
    if (own === undefined) {
      this.#stranger(className, path)
      return
    }
    if (this.#isTakenForAnother(change)) return
    const found = this.#found?.get(path)
    const pending: PendingOperation = {
      seq,
      className: own,
      operation: operationOf(change, bytes),
      blobBytes,
      sizeBefore: 0,
      ...(found === undefined ? {} : { found }),
    }
    this.overlay.push(pending)
    this.#operations.push(pending)
  }

  /**
   * The class of a path according to this node's own policy, because a peer's statement is not
   * trusted, and the class may have been renamed since the change.
   */
  #classOf(path: string, className: string): string | undefined {
    // The paths in the index have been checked.
    if (this.index.get(path)?.className === className) return className
    return claimingClass(this.#options.policy, path, 'takesFileChanges')
  }

  /** Whether the tree would apply the change to another file than its path names. */
  #isTakenForAnother({ kind, path }: FileChange): boolean {
    const other = this.names.standsFor(path)
    if (other === undefined) return false
    if (kind !== 'remove') this.conflict ??= spelledAlike(path, other)
    return true
  }

  #stranger(className: string, path: string | undefined): void {
    if (this.#reported.has(className)) return
    this.#reported.add(className)
    if (this.#options.policy.get(className) === undefined) this.strangers.add(className)
    this.#options.emit({ name: 'strangerClass', className, path })
  }
}

function fileChangesOf(part: BatchPart): FileChange[] {
  if (part.kind === 'update' || part.kind === 'updateRun') return []
  if (part.kind !== 'transaction') return [part]
  return part.changes.filter((change) => change.kind !== 'update')
}

/** The tree operation of a change; `bytes` is the payload if it is no blob. */
export function operationOf(change: FileChange, bytes: Uint8Array | undefined): FileOperation {
  const { path } = change
  switch (change.kind) {
    case 'put': {
      const { mode, blob } = change
      if (bytes !== undefined) return { kind: 'put', path, bytes, mode }
      return { kind: 'install', path, area: 'blobs', name: blob?.id ?? '', mode, move: false }
    }
    case 'patch': {
      const { offset, blob } = change
      if (bytes !== undefined) return { kind: 'patch', path, offset, bytes }
      return { kind: 'patchObject', path, offset, area: 'blobs', name: blob?.id ?? '' }
    }
    case 'truncate':
      return { kind: 'truncate', path, size: change.size }
    case 'remove':
      return { kind: 'remove', path }
  }
}
