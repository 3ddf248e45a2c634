/**
 * One node's copy on its storage: journal, version index, files, application state. No network.
 *
 * Invariants:
 * - entries are taken in order, one at a time, and each is on its way to the journal before
 *   `append` returns;
 * - application state is changed at once, files only after their entry is durable here;
 * - after a failure nothing is taken until `reopen()`, and nothing that was taken is forgotten;
 * - `complete` is false while the copy is no consistent state, and it is then neither served nor
 *   promoted.
 */

import type { BatchPart, Entry } from '../changes/entry.js'
import { partsOf } from '../changes/entry.js'
import { HotspareError } from '../errors.js'
import type { FileStat, TreeEntry } from '../interfaces/tree-store.js'
import { Listeners } from '../util/listeners.js'
import { Congestion } from './congestion.js'
import type { LocalCopyOptions, UpdateResult } from './contents/types.js'
import { CopyView } from './copy-view.js'
import { isNotOnDisk } from './files/file-index.js'
import type { ReadHost } from './files/file-reads.js'
import { nothingSkipped, type SkippedReport } from './files/skipped-paths.js'
import { nothingOutside, scanTree } from './files/tree-scan.js'
import type { OutsideReport } from './files/types.js'
import { asFailure } from './journal/errors.js'
import type { LoadedCopy, LoadOptions } from './open-copy.js'
import { openCopy } from './open-copy.js'
import { RestoreSwitch } from './restore-switch.js'

export class LocalCopy extends CopyView {
  readonly #options: LocalCopyOptions
  /** The new journal of a restore, and the switch to what it brought. */
  readonly restoreSwitch: RestoreSwitch
  readonly #durable = new Listeners<[ordinal: number]>()
  readonly #appended = new Listeners<[entry: Entry, ordinal: number]>()
  readonly #outsideFound = new Listeners<[found: OutsideReport]>()
  readonly #failures = new Listeners<[error: HotspareError]>()
  readonly #congestion: Congestion
  #outside: OutsideReport = nothingOutside
  #skipped: SkippedReport = nothingSkipped
  #refused: HotspareError | undefined
  /**
   * What the scan found other than the index has it, with the version that the history has of it.
   */
  readonly #unsettled = new Map<string, number>()
  #isClosed = false
  /** The failure that was told last, until it is over. */
  #told: string | undefined

  private constructor(options: LocalCopyOptions) {
    super(options)
    this.#options = options
    this.#congestion = new Congestion(
      options.limits.pendingBytesMax,
      () => Math.max(this.loaded?.journal.undurableBytes ?? 0, this.contents.unappliedBytes),
      () => this.#isClosed || this.failed !== undefined,
    )
    this.restoreSwitch = new RestoreSwitch(this.#loadOptions, {
      current: () => this.parts,
      replace: (loaded) => {
        this.settleOutside()
        this.#refused = undefined
        this.#use(loaded)
      },
      fail: (error) => this.whenFailed(error),
    })
  }

  /**
   * Opens the copy that the storage holds: finishes a switch that was under way, repeats what the
   * journal has beyond the last checkpoint, and compares the tree with the index. The `restore`
   * hook of a state class is called once, with its stored snapshot, when there is one; then its
   * `apply` with what the journal has after that.
   *
   * @throws `STORAGE_FULL` and the like when what the journal holds cannot be carried out; try
   *   again later
   * @throws `STORAGE_FORMAT` when a newer version wrote the storage
   * @throws `OPTION_INVALID` when the policy allows paths that the storage does not tell apart
   */
  static async open(options: LocalCopyOptions): Promise<LocalCopy> {
    requireCase(options)
    const copy = new LocalCopy(options)
    copy.#use(await openCopy(copy.#loadOptions))
    const { outside, skipped } = await scanTree(options, copy)
    copy.#outside = outside
    copy.#skipped = skipped
    const { differing, missing } = outside
    for (const path of [...differing.map((found) => found.path), ...missing]) {
      const record = copy.index.get(path)
      if (record !== undefined) copy.#unsettled.set(path, record.version)
    }
    return copy
  }

  get #loadOptions(): LoadOptions {
    const onFailure = (error: HotspareError): void => this.whenFailed(error)
    return { copy: this.#options, contents: this.contents, onFailure }
  }

  protected override get readHost(): ReadHost {
    return {
      seq: this.seq,
      switches: this.restoreSwitch.switches,
      settled: () => this.restoreSwitch.settled(),
      isChangedOutside: (path) => this.#isReadOutside(path),
      foundOutside: (path, stat) => this.#foundOutside(path, stat),
    }
  }

  protected override isChangedOutside(path: string): boolean {
    const record = this.index.get(path)
    if (record === undefined) return false
    return isNotOnDisk(record) || this.#unsettled.get(path) === record.version
  }

  /** Whether whoever reads the file now would read what is of no history. */
  #isReadOutside(path: string): boolean {
    const pending = this.contents.overlay.get(path)
    const isReplaced = pending !== undefined && pending.base >= pending.head
    return !isReplaced && this.isChangedOutside(path)
  }

  #use(loaded: LoadedCopy): void {
    this.loaded = loaded
    loaded.journal.onDurable((ordinal) => this.#whenDurable(ordinal))
    this.#congestion.check()
  }

  /**
   * False while the copy is no consistent state: a damaged journal, a switch under way, a lost
   * state.
   */
  get complete(): boolean {
    const { damage } = this.parts
    const isWhole = damage === undefined && this.contents.conflict === undefined
    return isWhole && !this.restoreSwitch.isPending && this.stateNeedsRestore.length === 0
  }

  /** Classes of which the copy lacks changes; a restore has to bring them. */
  get stateNeedsRestore(): string[] {
    const { states, lacking } = this.contents
    return [...states.lost, ...lacking]
  }

  /** True when files differ from the index, or classes lack changes: a restore has to mend them. */
  get needsRepair(): boolean {
    const { unknown, differing, missing } = this.#outside
    return unknown.length + differing.length + missing.length + this.stateNeedsRestore.length > 0
  }

  /** Why nothing can be appended now. */
  get failed(): HotspareError | undefined {
    const { journal, checkpointer } = this.loaded ?? {}
    const { applier } = this.contents
    return this.restoreSwitch.failed ?? journal?.failed ?? applier.failed ?? checkpointer?.failed
  }

  /** What was found changed in the tree, when the copy was opened and since, and is not settled. */
  get outside(): OutsideReport {
    return this.#outside
  }

  /** What of the tree cannot be synced, as it was found when the copy was opened. */
  get skipped(): SkippedReport {
    return this.#skipped
  }

  /** Whether the file is a mixture of what somebody else left there and of changes in place. */
  isMixed(path: string): boolean {
    const record = this.index.get(path)
    return record !== undefined && isNotOnDisk(record)
  }

  /** What was found is in the history now, or the history's version is back; `left` is not. */
  settleOutside(left: OutsideReport = nothingOutside): void {
    this.#outside = left
    const paths = new Set([...left.differing.map(({ path }) => path), ...left.missing])
    for (const path of [...this.#unsettled.keys()]) {
      if (!paths.has(path)) this.#unsettled.delete(path)
    }
  }

  /**
   * Takes the next entry. Its updates of application state are applied now; its changes of files
   * follow when it is durable. `parts` are those of the entry, where the caller has read them;
   * their results are answered then. `found` names paths where the tree has already what the entry
   * makes of them, so that nothing is done to it.
   *
   * @throws `PROTOCOL_VIOLATION` for an entry that is not the next one or is malformed; nothing has
   *   changed then
   * @throws the failure, while there is one
   */
  append(
    entry: Entry,
    parts?: readonly BatchPart[],
    found?: ReadonlyMap<string, FileStat | null>,
  ): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    return this.#append(entry, parts, parts !== undefined, found)
  }

  /** As {@link LocalCopy.append}, for an entry of another node that was read already. */
  appendRead(entry: Entry, parts: readonly BatchPart[] | undefined): void {
    if (parts !== undefined) this.#requireDistinct(parts)
    this.#append(entry, parts, false)
  }

  #append(
    entry: Entry,
    parts: readonly BatchPart[] | undefined,
    wantsResults: boolean,
    found?: ReadonlyMap<string, FileStat | null>,
  ): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    this.#refuse()
    const { journal, checkpointer } = this.parts
    journal.facts.requireNext(entry)
    const isBatch = entry.header.kind === 'changes'
    const read = isBatch ? (parts ?? partsOf(entry)) : undefined
    const ordinal = journal.append(entry)
    let results: readonly UpdateResult[] | undefined
    if (read !== undefined) {
      results = this.contents.take(entry, read, { ordinal, wantsResults, filesSeq: 0, found })
    }
    checkpointer.note(entry.bytes.length)
    this.#appended.call(entry, ordinal)
    return { ordinal, results }
  }

  /** @throws `PATH_CONFLICT` for changes that would put two files in one place of this storage */
  #requireDistinct(parts: readonly BatchPart[]): void {
    try {
      this.contents.requireDistinct(parts)
    } catch (error) {
      this.#refused = asFailure(error)
      throw error
    }
  }

  /**
   * Why the journal of the active cannot be followed change by change on this storage: a restore
   * may pass over it.
   */
  get conflict(): HotspareError | undefined {
    return this.contents.conflict ?? this.#refused
  }

  #refuse(): void {
    if (this.#isClosed) throw new HotspareError('STOPPED', 'the copy was closed')
    if (this.restoreSwitch.isPending) {
      throw this.failed ?? new HotspareError('RESTORE_FAILED', 'a restore is being switched to')
    }
    const { failed } = this
    if (failed !== undefined) throw failed
  }

  /** Called, synchronously, whenever `durableOrdinal` moves. */
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
    // Whoever waits for the journal hears of it before the tree gets its work.
    this.#durable.call(ordinal)
    this.contents.applier.release(ordinal)
    this.#congestion.check()
  }

  protected override whenApplied(): void {
    this.#congestion.check()
  }

  protected override whenFailed(error: HotspareError): void {
    // It is tried again and again: the same failure is told once.
    if (this.#told !== error.message) this.#options.emit({ name: 'storageFailed', error })
    this.#told = error.message
    this.#congestion.check()
    this.#failures.call(error)
  }

  /**
   * Called when a change or a read met a file that somebody else had changed or removed, once for
   * each file.
   */
  onOutside(listener: (found: OutsideReport) => void): () => void {
    return this.#outsideFound.add(listener)
  }

  protected override whenOutside(found: TreeEntry): void {
    const { differing } = this.#outside
    if (differing.some(({ path }) => path === found.path)) return
    this.#outside = { ...this.#outside, differing: [...differing, found] }
    this.#outsideFound.call({ ...nothingOutside, differing: [found] })
  }

  /** A read met what somebody else left, or found nothing where a file should be. */
  #foundOutside(path: string, stat: FileStat | undefined): void {
    const record = this.index.get(path)
    if (record !== undefined) this.#unsettled.set(path, record.version)
    if (stat !== undefined) return this.whenOutside({ path, ...stat })
    const { missing } = this.#outside
    if (missing.includes(path)) return
    this.#outside = { ...this.#outside, missing: [...missing, path] }
    this.#outsideFound.call({ ...nothingOutside, missing: [path] })
  }

  /** More is pending than the limit: callers stop appending. */
  get congested(): boolean {
    return this.#congestion.isHigh
  }

  /** Resolves when it is not any more, or the copy failed. */
  decongested(): Promise<void> {
    return this.#congestion.relieved()
  }

  /** Resolves when everything appended is durable; rejects when the storage failed. */
  flush(): Promise<void> {
    return this.parts.journal.flushed()
  }

  /** Resolves when everything appended is durable and in the tree. */
  async settle(): Promise<void> {
    const { seq } = this
    await this.flush()
    await this.contents.applier.applied(seq)
  }

  /** The lowest position of a known member: trimming beyond it is reported as `historyLost`. */
  setLowestPeerSeq(seq: number): void {
    this.restoreSwitch.lowestPeerSeq = seq
    this.parts.checkpointer.lowestPeerSeq = seq
  }

  checkpoint(): Promise<void> {
    return this.parts.checkpointer.run(false)
  }

  /** After a failure: tries again what failed. Rejects when it fails again. */
  async reopen(): Promise<void> {
    if (this.#isClosed) throw new HotspareError('STOPPED', 'the copy was closed')
    await this.restoreSwitch.retry()
    const { journal } = this.parts
    await journal.reopen()
    await journal.flushed()
    this.contents.applier.retry()
    await this.contents.applier.settled()
    const { checkpointer } = this.parts
    if (checkpointer.failed !== undefined) await checkpointer.run(false)
    this.#told = undefined
  }

  /**
   * Makes everything durable, and a last checkpoint, where the storage lets it; then closes all
   * files. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A last checkpoint of the copy that goes would take the place of that of the one that comes.
    await this.restoreSwitch.end()
    const { journal, checkpointer, indexLog } = this.parts
    try {
      if (this.failed === undefined) {
        await this.settle()
        await checkpointer.run(true)
      }
    } catch {
      // Reported by `onFailure`; the journal has what is not in the checkpoint.
    }
    await checkpointer.stop()
    await this.restoreSwitch.close()
    await journal.close()
    await indexLog.close()
    this.#congestion.check()
  }
}

function requireCase({ policy, storage }: LocalCopyOptions): void {
  if (policy.namesDifferingByCase !== 'allow' || storage.tree.foldsCase !== true) return
  throw new HotspareError(
    'OPTION_INVALID',
    "the policy says namesDifferingByCase: 'allow', and the storage of this node takes names that differ only in case for one",
    { details: { option: 'namesDifferingByCase' } },
  )
}
