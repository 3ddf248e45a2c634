/** All that can be asked of a copy without changing it. */
import { HotspareError, whatHappened } from '../errors.js'
import type { Extent, History, Position } from '../history/position.js'
import { positionOf } from '../history/position.js'
import type { ReadRequest, TreeEntry } from '../interfaces/tree-store.js'
import type { StoredBlobs } from './contents/blob-refs.js'
import { Contents } from './contents/replicated-state.js'
import type { LocalCopyOptions, StateSnapshot } from './contents/types.js'
import type { FileIndex } from './files/file-index.js'
import type { ReadFile, ReadHost } from './files/file-reads.js'
import { FileReads } from './files/file-reads.js'
import type { FileRecord, TransferAnswer } from './files/types.js'
import type { FactsTracker } from './journal/head.js'
import type { JournalReader } from './journal/reader.js'
import type { JournalPin } from './journal/types.js'
import type { LoadedCopy } from './open-copy.js'

export abstract class CopyView {
  /** What the journal may take, in bytes. */
  readonly journalBytesMax: number
  protected readonly contents: Contents
  readonly #reads: FileReads
  /** The parts that a switch replaces; undefined until the copy is open. */
  protected loaded: LoadedCopy | undefined

  protected constructor(options: LocalCopyOptions) {
    const { storage, policy, emit, limits } = options
    this.journalBytesMax = limits.journalBytesMax
    this.contents = new Contents({
      storage,
      policy,
      snapshotBytesMax: limits.snapshotBytesMax,
      emit,
      onApplied: () => this.whenApplied(),
      onApplyFailure: (error) => this.whenFailed(error),
      onOutside: (found) => this.whenOutside(found),
      isChangedOutside: (path) => this.isChangedOutside(path),
    })
    this.#reads = new FileReads(storage, this.contents, () => this.readHost)
  }

  /** How the copy stands for those who read files. */
  protected abstract get readHost(): ReadHost

  /** Changes of files reached the tree. */
  protected abstract whenApplied(): void

  /** Changes of files cannot reach the tree. */
  protected abstract whenFailed(error: HotspareError): void

  /** A file turned out to be changed by somebody else. */
  protected abstract whenOutside(found: TreeEntry): void

  /** Whether the file of the index's version is known to be other than in the history. */
  protected abstract isChangedOutside(path: string): boolean

  protected get parts(): LoadedCopy {
    if (this.loaded === undefined) throw new HotspareError('INTERNAL', 'the copy is not open')
    return this.loaded
  }

  get #facts(): FactsTracker {
    return this.parts.journal.facts
  }

  /** The versions of all files. */
  get index(): FileIndex {
    return this.contents.index
  }

  /**
   * Bytes of everything that a restore of this copy brings: files, and states as they were stored
   * last.
   */
  get contentBytes(): number {
    let bytes = this.index.bytes
    for (const { snapshotBytes } of this.contents.states.slots) bytes += snapshotBytes
    return bytes
  }

  get history(): History {
    return this.#facts.history
  }

  /** The last change appended. */
  get seq(): number {
    return this.loaded?.journal.facts.seq ?? 0
  }

  /** The last change that is durable in the journal. */
  get durableSeq(): number {
    return this.parts.journal.durableSeq
  }

  /** All changes up to this one are in the tree. */
  get appliedSeq(): number {
    const oldest = this.contents.applier.oldestSeq
    return oldest === undefined ? this.durableSeq : Math.min(oldest - 1, this.durableSeq)
  }

  get position(): Position | undefined {
    return positionOf(this.#facts)
  }

  get extent(): Extent {
    return { history: this.history, seq: this.seq }
  }

  /** The highest acknowledged-up-to mark in any entry. */
  get ackedSeq(): number {
    return this.#facts.ackedSeq
  }

  /** The last journaled in-sync set. */
  get inSync(): readonly string[] | undefined {
    return this.#facts.inSync
  }

  /** The blobs that the journal names, which are stored here. */
  get blobs(): StoredBlobs {
    return this.contents.blobs
  }

  /** The oldest change still in the journal; one after the last when there is none. */
  get firstSeq(): number {
    return this.parts.journal.firstSeq
  }

  get lastOrdinal(): number {
    return this.parts.journal.lastOrdinal
  }

  get durableOrdinal(): number {
    return this.parts.journal.durableOrdinal
  }

  /**
   * Entries that begin after `afterSeq`, in order, durable or not.
   * @throws `JOURNAL_TRIMMED` when the journal begins later
   */
  reader(afterSeq: number, isCut?: boolean): JournalReader {
    return this.parts.journal.reader(afterSeq, isCut)
  }

  /** Keeps what comes after `afterSeq` in the journal, up to twice its limit. */
  pin(afterSeq: number): JournalPin {
    return this.parts.journal.pin(afterSeq)
  }

  /**
   * The file as the last appended change has it.
   * @throws `FILE_NOT_FOUND`, `CHANGED_OUTSIDE`, `RESTORE_UNDER_WAY`
   */
  async readFile(path: string, offset?: number, length?: number): Promise<Uint8Array> {
    return (await this.readVersion(path, offset, length)).bytes
  }

  /** As {@link CopyView.readFile}, with what is known of the version that was read. */
  readVersion(
    path: string,
    offset: number = 0,
    length: number = Number.MAX_SAFE_INTEGER,
  ): Promise<ReadFile> {
    return this.#reads.read(path, offset, length)
  }

  /**
   * Resolves when what is known of files is of one state: at once, unless a restore puts its files
   * in their places.
   * @throws `RESTORE_UNDER_WAY`
   */
  whenWhole(): Promise<void> {
    return this.#reads.whenWhole()
  }

  /**
   * How many restores were switched to since the copy was opened, one that is under way included.
   */
  get switches(): number {
    return this.readHost.switches
  }

  /** The file as the last appended change has it. */
  statFile(path: string): FileRecord | undefined {
    return this.contents.overlay.stat(path)
  }

  /** Which new files cannot come to stand at their paths, and why. */
  findBlocked(paths: readonly string[]): Promise<ReadonlyMap<string, HotspareError>> {
    return this.contents.findBlocked(paths)
  }

  /** Whether files lie below this path, as the last appended change has it. */
  hasFilesBelow(path: string): boolean {
    return this.contents.overlay.folders.has(path)
  }

  /** Whether the storage takes names that differ only in case for one. */
  get foldsCase(): boolean {
    return this.contents.foldsCase
  }

  /**
   * Whether the storage takes a path that is not there for another file, or for one in another
   * folder.
   */
  isTakenForAnother(path: string): boolean {
    return this.contents.standsFor(path) !== undefined
  }

  /**
   * Files and folders that differ only in case from a new path, or from a new folder above it;
   * undefined where that is no reason to refuse it.
   */
  spelledOtherwise(path: string): readonly string[] | undefined {
    return this.contents.refusesSpellings ? this.contents.overlay.spelledOtherwise(path) : undefined
  }

  /** All files whose paths begin with the prefix, sorted. */
  listFiles(prefix: string = ''): string[] {
    return this.#reads.list(prefix)
  }

  /**
   * Bytes of the tree, which may be behind the last changes, with versions that they are at least
   * as new as; lent.
   */
  readForTransfer(requests: readonly ReadRequest[]): Promise<TransferAnswer> {
    return this.#reads.readForTransfer(requests)
  }

  /**
   * The state of a class with the last change in it; that change may not be durable yet.
   * @throws `CLASS_UNKNOWN`, `SNAPSHOT_FAILED`
   */
  async stateSnapshot(className: string): Promise<StateSnapshot> {
    return this.contents.states.snapshot(className, this.seq)
  }

  /** Classes whose snapshot failed when it was last tried. */
  get snapshotFailures(): { readonly className: string; readonly reason: string }[] {
    return [...this.contents.states.slots].flatMap(({ name, failure }) =>
      failure === undefined ? [] : [{ className: name, reason: whatHappened(failure.error) }],
    )
  }
}
