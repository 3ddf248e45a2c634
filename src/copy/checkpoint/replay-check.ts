/**
 * Finds files that another program changed while the copy was closed, before the journal is
 * replayed over them.
 *
 * A node that died may have carried out any part of the changes after its last checkpoint. So a
 * file may validly be as the checkpoint has it, as any of these changes leaves it, or torn in
 * between. Any other state is from another program: the file is left as it is, and the index gets a
 * record that does not match it, so that the comparison of the tree with the index finds it like
 * any other outside change. A file with a possible state counts as the node's own, even if it is
 * not, because neither its bytes nor its times show who wrote it.
 */

import type { FileChange } from '../../changes/change.js'
import type { BatchPart } from '../../changes/entry.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { inBatches } from '../../util/in-batches.js'
import { operationOf } from '../contents/replicated-state.js'
import { type FileIndex, type IndexRecord, noFile } from '../files/file-index.js'
import { sizeAfter } from '../files/layers.js'
import { claimingClass } from '../files/path-claims.js'

/** Files that are examined in one call; more take further calls. */
const statPaths = 512
/** The mode of a file that a change in place creates. */
const createdMode = 0o644
const noBytes = new Uint8Array(0)

/** What the replay will find in the tree. */
export interface ReplayFindings {
  /**
   * For each path that another program changed: the final state in the history, as a record that
   * matches no file.
   */
  readonly found: ReadonlyMap<string, FileStat | null>
  /**
   * Files that changes in place create. Existing files at these paths are removed first, whoever
   * wrote them.
   */
  readonly begun: readonly string[]
}

/** Collects the changes that will be replayed, and finds where they must not be. */
export class ReplayCheck {
  readonly #policy: SyncPolicy
  readonly #index: FileIndex
  readonly #filesSeq: number
  readonly #paths = new Map<string, PossibleStates>()

  /**
   * The index is at the checkpoint, whose last change is `filesSeq`; it may contain some later
   * changes.
   */
  constructor(policy: SyncPolicy, index: FileIndex, filesSeq: number) {
    this.#policy = policy
    this.#index = index
    this.#filesSeq = filesSeq
  }

  /** Processes the next entry after the checkpoint. */
  take(parts: readonly BatchPart[]): void {
    for (const part of parts) {
      if (part.kind === 'updateRun' || part.kind === 'update') continue
      if (part.kind !== 'transaction') this.#take(part)
      else for (const change of part.changes) if (change.kind !== 'update') this.#take(change)
    }
  }

  #take(change: FileChange): void {
    const { path } = change
    let states = this.#paths.get(path)
    if (states === undefined) {
      const record = this.#index.get(path)
      // The paths of the change are checked, whatever its origin.
      const isOurs = claimingClass(this.#policy, path, 'takesFileChanges') !== undefined
      if (record === undefined && !isOurs) return
      const version = record?.version ?? this.#index.tombstone(path) ?? 0
      states = new PossibleStates(record, version <= this.#filesSeq)
      this.#paths.set(path, states)
    }
    states.take(change)
  }

  async find(storage: OpenStorage): Promise<ReplayFindings> {
    const found = new Map<string, FileStat | null>()
    const begun: string[] = []
    const paths = [...this.#paths.keys()]
    for (const batch of inBatches(paths, statPaths)) {
      const stats = await storage.tree.stat(batch)
      for (const [position, path] of batch.entries()) {
        const states = this.#paths.get(path)
        const stat = stats[position]
        if (states === undefined) continue
        if (!states.explain(stat)) found.set(path, states.end)
        else if (stat !== undefined && states.isBegun) begun.push(path)
      }
    }
    return { found, begun }
  }
}

/**
 * The states in which a node that died can have left a file, also during a replay, when changes in
 * place were repeated on a file that was ahead of them.
 */
class PossibleStates {
  readonly #base: IndexRecord | undefined
  /**
   * Whether the disk has at least the state of the index. It may not have what the index learned
   * during the checkpoint.
   */
  readonly #isDurable: boolean
  /**
   * The smallest size of the checkpoint's file during changes in place, and the largest size of all
   * states.
   */
  #least: number
  #most: number
  #isPut = false
  #isChanged = false
  #isRemoved = false
  /** The first change, if it is a change in place. */
  #first: FileChange | undefined
  #exists: boolean
  #size: number
  #mode: number

  constructor(base: IndexRecord | undefined, isDurable: boolean) {
    this.#base = base
    this.#isDurable = isDurable
    this.#exists = base !== undefined
    this.#size = base?.size ?? 0
    this.#mode = base?.mode ?? createdMode
    this.#least = this.#size
    this.#most = this.#size
  }

  take(change: FileChange): void {
    const { kind } = change
    const isFirst = !this.#isPut && !this.#isRemoved && !this.#isChanged
    if (isFirst && kind !== 'put' && kind !== 'remove') this.#first = change
    const isStored = kind === 'put' || kind === 'patch'
    const blobBytes = isStored ? (change.blob?.bytes ?? 0) : 0
    const bytes = isStored && change.blob === undefined ? (change.bytes ?? noBytes) : undefined
    this.#size = sizeAfter({ operation: operationOf(change, bytes), blobBytes }, this.#size)
    if (kind === 'put') this.#mode = change.mode
    else if (!this.#exists) this.#mode = createdMode
    this.#exists = kind !== 'remove'
    if (kind === 'remove') this.#isRemoved = true
    else if (kind === 'put') this.#isPut = true
    else this.#isChanged = true
    this.#most = Math.max(this.#most, this.#size)
    if (!this.#isPut && !this.#isRemoved) this.#least = Math.min(this.#least, this.#size)
  }

  /**
   * Whether a new file can have replaced the one of the checkpoint. A power cut may have torn it.
   */
  get #canBeNew(): boolean {
    return this.#isPut || (this.#isChanged && (this.#isRemoved || this.#base === undefined))
  }

  /** Whether the node itself can have left this state; undefined stands for no file. */
  explain(stat: FileStat | undefined): boolean {
    const base = this.#base
    if (stat === undefined) return base === undefined || this.#isRemoved || this.#mayBeLost
    if (this.#canBeNew && (stat.size <= this.#most || !this.#isDurable)) return true
    if (base === undefined) return !this.#canBeNew
    if (stat.inode !== base.inode) return false
    return !this.#isDurable || (stat.size >= this.#least && stat.size <= this.#most)
  }

  /** Whether the checkpoint has no file here and a change in place creates one. */
  get isBegun(): boolean {
    return this.#base === undefined && this.#isDurable && this.#first !== undefined
  }

  /**
   * Whether the index has a file that was created after the checkpoint, which a power cut may have
   * removed.
   */
  get #mayBeLost(): boolean {
    if (this.#isDurable) return false
    return this.#first?.kind !== 'patch' || this.#first.offset === 0
  }

  get end(): FileStat | null {
    if (!this.#exists) return null
    return { size: this.#size, mode: this.#mode, ...noFile }
  }
}
