/**
 * The copy of one node on its storage: journal, version index, files and application state. It does
 * not use the network.
 *
 * Invariants:
 * - entries are taken in order, one at a time, and each is on its way to the journal before
 *   `append` returns;
 * - application state is changed at once, files only after their entry is durable here;
 * - after a failure nothing is accepted until `reopen()`, and nothing that was accepted is dropped;
 * - `complete` is false while the copy is not consistent, and it is then neither served nor
 *   promoted.
 */

import { type BatchPart, type Entry, partsOf } from '../changes/entry.js'
import { HotspareError } from '../errors.js'
import type { Extent, History } from '../history/position.js'
import type { FileStat } from '../interfaces/tree-store.js'
import { Listeners } from '../util/listeners.js'
import { Congestion } from './congestion.js'
import type { AppStates } from './contents/app-states.js'
import type { StoredBlobs } from './contents/blob-refs.js'
import { Contents } from './contents/replicated-state.js'
import type { LocalCopyOptions, StateSnapshot, UpdateResult } from './contents/types.js'
import { CopyFiles } from './files/copy-files.js'
import type { FileIndex } from './files/file-index.js'
import type { OutsideChanges } from './files/outside-changes.js'
import { nothingSkipped, type SkippedReport } from './files/skipped-paths.js'
import type { NameRules } from './files/spellings.js'
import { scanTree } from './files/tree-scan.js'
import type { JournalFacts } from './journal/head.js'
import type { JournalReader } from './journal/reader.js'
import type { JournalPin } from './journal/types.js'
import { type LoadedCopy, type LoadOptions, openCopy } from './open-copy.js'
import { RestoreSwitch } from './restore-switch.js'

export class LocalCopy {
  readonly #loadOptions: LoadOptions
  readonly #contents: Contents
  /** The files after the last appended change. */
  readonly files: CopyFiles
  /** The versions of all files. */
  readonly index: FileIndex
  /** The spellings of paths that the storage or the policy treats as the same. */
  readonly names: NameRules
  /** The outside changes to files. */
  readonly outside: OutsideChanges
  /** The stored blobs that the journal names. */
  readonly blobs: StoredBlobs
  /** The application state of each class. */
  readonly states: AppStates
  /** The size limit of the journal, in bytes. */
  readonly journalBytesMax: number
  /** The new journal of a restore, and the switch to the restored copy. */
  readonly restoreSwitch: RestoreSwitch
  /** The parts that a switch replaces; undefined until the copy is open. */
  #loaded: LoadedCopy | undefined
  readonly #durable = new Listeners<[ordinal: number]>()
  readonly #appended = new Listeners<[entry: Entry, ordinal: number]>()
  readonly #failures = new Listeners<[error: HotspareError]>()
  readonly #congestion: Congestion
  #skipped: SkippedReport = nothingSkipped
  #isClosed = false
  /** The last reported failure, until it is over. */
  #told: string | undefined

  private constructor(options: LocalCopyOptions) {
    const { storage, policy, emit, limits } = options
    const onFailure = (error: HotspareError): void => this.#whenFailed(error)
    this.#contents = new Contents({
      storage,
      policy,
      snapshotBytesMax: limits.snapshotBytesMax,
      emit,
      onApplied: () => this.#congestion.check(),
      onApplyFailure: onFailure,
    })
    this.#loadOptions = { copy: options, contents: this.#contents, onFailure }
    this.index = this.#contents.index
    this.names = this.#contents.names
    this.outside = this.#contents.outside
    this.blobs = this.#contents.blobs
    this.states = this.#contents.states
    this.journalBytesMax = limits.journalBytesMax
    this.#congestion = new Congestion(
      limits.pendingBytesMax,
      () => Math.max(this.#loaded?.journal.undurableBytes ?? 0, this.#contents.unappliedBytes),
      () => this.#isClosed || this.failed !== undefined,
    )
    this.restoreSwitch = new RestoreSwitch(this.#loadOptions, {
      current: () => this.#parts,
      replace: (loaded) => {
        this.outside.settle()
        this.#use(loaded)
      },
      fail: onFailure,
    })
    this.files = new CopyFiles(options, this.#contents, this.restoreSwitch, () => this.seq)
  }

  /**
   * Opens the copy in the storage: finishes a switch in progress, replays the journal after the
   * last checkpoint, and compares the tree with the index. The `restore` hook of a state class is
   * called once with its stored snapshot, if there is one, and then `apply` with the changes after
   * it.
   *
   * @throws `STORAGE_FULL` and similar errors when the replay cannot be carried out; try again
   *   later
   * @throws `STORAGE_FORMAT` when a newer version wrote the storage
   * @throws `OPTION_INVALID` when the policy allows paths that the storage treats as one
   */
  static async open(options: LocalCopyOptions): Promise<LocalCopy> {
    const copy = new LocalCopy(options)
    copy.#use(await openCopy(copy.#loadOptions))
    const { outside, skipped } = await scanTree(options, copy)
    copy.outside.begin(outside)
    copy.#skipped = skipped
    return copy
  }

  get #parts(): LoadedCopy {
    if (this.#loaded === undefined) throw new HotspareError('INTERNAL', 'the copy is not open')
    return this.#loaded
  }

  #use(loaded: LoadedCopy): void {
    this.#loaded = loaded
    loaded.journal.onDurable((ordinal) => this.#whenDurable(ordinal))
    this.#congestion.check()
  }

  /**
   * False while the copy is not consistent: a damaged journal, a switch in progress, a lost state.
   */
  get complete(): boolean {
    const { damage } = this.#parts
    const isWhole = damage === undefined && this.#contents.conflict === undefined
    return isWhole && !this.restoreSwitch.isPending && this.stateNeedsRestore.length === 0
  }

  /** Classes whose changes are missing, so that they need a restore. */
  get stateNeedsRestore(): string[] {
    return [...this.states.lost, ...this.#contents.lacking]
  }

  /** Why nothing can be appended now; undefined when it can. */
  get failed(): HotspareError | undefined {
    const { journal, checkpointer } = this.#loaded ?? {}
    const { applier } = this.#contents
    return this.restoreSwitch.failed ?? journal?.failed ?? applier.failed ?? checkpointer?.failed
  }

  /** The paths that cannot be synced, as found when the copy was opened. */
  get skipped(): SkippedReport {
    return this.#skipped
  }

  /** The total bytes that a restore of this copy transfers: files, and states as last stored. */
  get contentBytes(): number {
    let bytes = this.index.bytes
    for (const { snapshotBytes } of this.states.slots) bytes += snapshotBytes
    return bytes
  }

  get history(): History {
    return this.#parts.journal.facts.history
  }

  /** The last change appended. */
  get seq(): number {
    return this.#loaded?.journal.facts.seq ?? 0
  }

  get extent(): Extent {
    return { history: this.history, seq: this.seq }
  }

  /** The last change that is durable in the journal. */
  get durableSeq(): number {
    return this.#parts.journal.durableSeq
  }

  /** The facts of the journal up to there. */
  get durableFacts(): JournalFacts {
    return this.#parts.journal.durablePlace().facts
  }

  /** The last change up to which everything is in the tree. */
  get appliedSeq(): number {
    const oldest = this.#contents.applier.oldestSeq
    return oldest === undefined ? this.durableSeq : Math.min(oldest - 1, this.durableSeq)
  }

  /** The highest acknowledged position that any entry records. */
  get ackedSeq(): number {
    return this.#parts.journal.facts.ackedSeq
  }

  /** The last journaled in-sync set. */
  get inSync(): readonly string[] | undefined {
    return this.#parts.journal.facts.inSync
  }

  /** The oldest change in the journal; one after the last when it is empty. */
  get firstSeq(): number {
    return this.#parts.journal.firstSeq
  }

  get lastOrdinal(): number {
    return this.#parts.journal.lastOrdinal
  }

  get durableOrdinal(): number {
    return this.#parts.journal.durableOrdinal
  }

  /**
   * A reader of the entries after `afterSeq`, in order, durable or not.
   *
   * @throws `JOURNAL_TRIMMED` when the journal starts later
   */
  reader(afterSeq: number, isCut?: boolean): JournalReader {
    return this.#parts.journal.reader(afterSeq, isCut)
  }

  /** Keeps the entries after `afterSeq` in the journal, up to twice its limit. */
  pin(afterSeq: number): JournalPin {
    return this.#parts.journal.pin(afterSeq)
  }

  /**
   * A snapshot of the state of a class, with the last change in it, which may not be durable yet.
   *
   * @throws `CLASS_UNKNOWN`, `SNAPSHOT_FAILED`
   */
  async stateSnapshot(className: string): Promise<StateSnapshot> {
    return this.states.snapshot(className, this.seq)
  }

  /**
   * Appends the next entry. Its updates of application state are applied immediately, its changes
   * of files once it is durable. `parts`: the decoded parts of the entry, if the caller has them;
   * their results are returned then. `found`: paths where the tree already has the result, so that
   * it is not written.
   *
   * @throws `PROTOCOL_VIOLATION` for an entry that is malformed or not the next one; nothing has
   *   changed then
   * @throws the failure of the copy, while there is one
   */
  append(
    entry: Entry,
    parts?: readonly BatchPart[],
    found?: ReadonlyMap<string, FileStat | null>,
  ): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    return this.#append(entry, parts, parts !== undefined, found)
  }

  /** Like {@link LocalCopy.append}, for an entry of another node that has been decoded. */
  appendRead(entry: Entry, parts: readonly BatchPart[] | undefined): void {
    if (parts !== undefined) this.#contents.requireDistinct(parts)
    this.#append(entry, parts, false)
  }

  #append(
    entry: Entry,
    parts: readonly BatchPart[] | undefined,
    wantsResults: boolean,
    found?: ReadonlyMap<string, FileStat | null>,
  ): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    this.#refuse()
    const { journal, checkpointer } = this.#parts
    journal.facts.requireNext(entry)
    const isBatch = entry.header.kind === 'changes'
    const read = isBatch ? (parts ?? partsOf(entry)) : undefined
    const ordinal = journal.append(entry)
    const options = { ordinal, wantsResults, filesSeq: 0, found }
    const results = read && this.#contents.take(entry, read, options)
    checkpointer.note(entry.bytes.length)
    this.#appended.call(entry, ordinal)
    return { ordinal, results }
  }

  /**
   * Why this storage cannot apply the journal of the active change by change, so that a restore has
   * to skip the change.
   */
  get conflict(): HotspareError | undefined {
    return this.#contents.conflict ?? this.#contents.refused
  }

  #refuse(): void {
    if (this.#isClosed) throw new HotspareError('STOPPED', 'the copy was closed')
    if (this.failed !== undefined) throw this.failed
    if (!this.restoreSwitch.isPending) return
    throw new HotspareError('RESTORE_FAILED', 'a restore is being switched to')
  }

  /** The listener is called synchronously whenever `durableOrdinal` rises. */
  onDurable(listener: (durableOrdinal: number) => void): () => void {
    return this.#durable.add(listener)
  }

  onAppend(listener: (entry: Entry, ordinal: number) => void): () => void {
    return this.#appended.add(listener)
  }

  onFailure(listener: (error: HotspareError) => void): () => void {
    return this.#failures.add(listener)
  }

  #whenDurable(ordinal: number): void {
    // Listeners for the journal are called before the tree gets its work.
    this.#durable.call(ordinal)
    this.#contents.applier.release(ordinal)
    this.#congestion.check()
  }

  #whenFailed(error: HotspareError): void {
    // Attempts are repeated, so the same failure is reported once.
    if (this.#told !== error.message) this.#loadOptions.copy.emit({ name: 'storageFailed', error })
    this.#told = error.message
    this.#congestion.check()
    this.#failures.call(error)
  }

  /** Whether more than the limit is pending, so that callers have to stop appending. */
  get congested(): boolean {
    return this.#congestion.isHigh
  }

  /** Resolves when that is over, or the copy failed. */
  decongested(): Promise<void> {
    return this.#congestion.relieved()
  }

  /** Resolves when everything appended is durable. Rejects when the storage failed. */
  flush(): Promise<void> {
    return this.#parts.journal.flushed()
  }

  /** Resolves when everything appended is durable and in the tree. */
  async settle(): Promise<void> {
    const { seq } = this
    await this.flush()
    await this.#contents.applier.applied(seq)
  }

  /**
   * Sets the lowest position of a known member; trimming beyond it is reported as `historyLost`.
   */
  setLowestPeerSeq(seq: number): void {
    this.restoreSwitch.lowestPeerSeq = seq
    this.#parts.checkpointer.lowestPeerSeq = seq
  }

  checkpoint(): Promise<void> {
    return this.#parts.checkpointer.run(false)
  }

  /** Repeats what failed. Rejects when it fails again. */
  async reopen(): Promise<void> {
    if (this.#isClosed) throw new HotspareError('STOPPED', 'the copy was closed')
    await this.restoreSwitch.retry()
    const { journal } = this.#parts
    await journal.reopen()
    await journal.flushed()
    this.#contents.applier.retry()
    await this.#contents.applier.settled()
    const { checkpointer } = this.#parts
    if (checkpointer.failed !== undefined) await checkpointer.run(false)
    this.#told = undefined
  }

  /**
   * Makes everything durable and writes a last checkpoint, as far as the storage allows; then
   * closes all files. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A last checkpoint of the old copy would replace the one of the new copy.
    await this.restoreSwitch.end()
    const { journal, checkpointer, indexLog } = this.#parts
    try {
      if (this.failed === undefined) {
        await this.settle()
        await checkpointer.run(true)
      }
    } catch {
      // The failure is reported by `onFailure`, and the journal has what the checkpoint lacks.
    }
    await checkpointer.stop()
    await this.restoreSwitch.close()
    await journal.close()
    await indexLog.close()
    this.#congestion.check()
  }
}
