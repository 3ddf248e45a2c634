/**
 * Carries out durable changes of files on the tree in batches, and updates the index.
 *
 * Invariants:
 * - operations of a path reach the tree in the order of their changes, and only after their entry
 *   is durable;
 * - so do operations of different paths, except those that recovery postpones because their path is
 *   blocked;
 * - work leaves the queue when the tree has it; after a failure it stays there for `retry()`;
 * - a merged operation was superseded within the same batch, so a crash can only require the whole
 *   batch again.
 */
import { HotspareError } from '../../errors.js'
import type { AppliedStat, FileStat, TreeEntry, TreeStore } from '../../interfaces/tree-store.js'
import { Fifo } from '../../util/fifo.js'
import { asStorageError } from '../journal/errors.js'
import { ApplyBatch, isAbsolute } from './apply-batch.js'
import { type FileIndex, noFile } from './file-index.js'
import { sizeAfter } from './layers.js'
import type { OutsideChanges } from './outside-changes.js'
import type { FileOperation, Overlay, PendingOperation } from './overlay.js'

/** The file changes of one entry. */
export interface ApplyWork {
  readonly ordinal: number
  /** Memory that the entry uses until it is applied. */
  readonly bytes: number
  readonly operations: readonly PendingOperation[]
}

export interface ApplierOptions {
  readonly tree: TreeStore
  readonly index: FileIndex
  readonly overlay: Overlay
  /** Whether the object at `at`, which blocks the path, may be removed. */
  readonly mayForce: (path: string, at: string) => Promise<boolean>
  /** Work of this many bytes has left the queue. */
  readonly onApplied: (bytes: number) => void
  readonly onFailure: (error: HotspareError, path: string | undefined) => void
  /** Receives files whose size differs from the result of the earlier changes. */
  readonly outside: OutsideChanges
}

/** Operations in one call of the tree; more take further calls. */
const batchOperationsMax = 512
/**
 * Bytes in one call of the tree, at least one operation: what an adapter can transfer in reusable
 * memory. More take further calls.
 */
const batchBytesMax = 448 * 1024

export class Applier {
  readonly #options: ApplierOptions
  readonly #queue = new Fifo<ApplyWork>()
  /** The number of operations of the first work that are in the tree. */
  #done = 0
  #released = 0
  #isRunning = false
  #isStopped = false
  #holds = 0
  readonly #waiting: (() => void)[] = []
  failed: HotspareError | undefined
  /** The last change that may have been carried out before, so that files may be newer. */
  #repeatedSeq = 0
  /**
   * Whether recovery is running. The tree may then be newer than the changes, so a change whose
   * path is blocked by a later folder is postponed until it is superseded.
   */
  isReplaying = false
  /** The postponed operations of each path in order, with the error. */
  readonly #blocked = new Map<string, { error: HotspareError; operations: PendingOperation[] }>()

  constructor(options: ApplierOptions) {
    this.#options = options
  }

  /** The oldest change that is not in the tree; undefined when all are. */
  get oldestSeq(): number | undefined {
    return this.#queue.first?.operations[this.#done]?.seq
  }

  /** The newest change that was passed to the tree, finished or not. */
  startedSeq = 0

  push(work: ApplyWork): void {
    this.#queue.push(work)
  }

  /** Releases the entries up to this ordinal, which are durable. */
  release(ordinal: number): void {
    this.#released = ordinal
    if (!this.#isRunning) this.#run()
  }

  /** Resolves when all released work is done; rejects with the failure, if there is one. */
  async settled(): Promise<void> {
    while (this.failed === undefined && (this.#isRunning || this.#hasWork())) await this.#changed()
    if (this.failed !== undefined) throw this.failed
  }

  /** Resolves when all changes up to `seq` are in the tree. */
  async applied(seq: number): Promise<void> {
    while ((this.oldestSeq ?? Number.POSITIVE_INFINITY) <= seq) {
      if (this.failed !== undefined) throw this.failed
      await this.#changed()
    }
  }

  /** Runs `read` while nothing is written to the tree. */
  async hold<T>(read: () => Promise<T>): Promise<T> {
    this.#holds += 1
    try {
      while (this.#isRunning) await this.#changed()
      return await read()
    } finally {
      this.#holds -= 1
      if (!this.#isRunning) this.#run()
      this.#notify()
    }
  }

  /** Stops, after the work in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true
    while (this.#isRunning) await this.#changed()
  }

  /** Continues after a failure. */
  retry(): void {
    this.failed = undefined
    if (!this.#isRunning) this.#run()
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  #notify(): void {
    if (this.#waiting.length > 0) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #hasWork(): boolean {
    const work = this.#queue.first
    return work !== undefined && work.ordinal <= this.#released
  }

  #run(): void {
    if (this.failed !== undefined || this.#isStopped) return
    if (this.#holds > 0 || !this.#hasWork()) return
    const batch = this.#nextBatch()
    this.#isRunning = true
    this.startedSeq = Math.max(this.startedSeq, batch.lastSeq)
    if (this.#blocked.size > 0 && batch.all.some(({ operation }) => this.#mustWait(operation))) {
      void this.#carryOutAlone(batch)
      return
    }
    this.#options.tree.apply(batch.operations()).then(
      (stats) => this.#finish(batch, stats),
      (error: unknown) => {
        void this.#afterFailure(batch, asStorageError(error))
      },
    )
  }

  /** The next batch within the limits. It stays in the queue. */
  #nextBatch(): ApplyBatch {
    const batch = new ApplyBatch(this.#options.overlay)
    let { length } = this.#queue
    for (let at = 0; at < length; at += 1) {
      const work = this.#queue.at(at)
      if (work === undefined || work.ordinal > this.#released) break
      for (let from = at === 0 ? this.#done : 0; from < work.operations.length; from += 1) {
        const pending = work.operations[from]
        if (pending !== undefined) batch.add(pending)
        if (batch.length >= batchOperationsMax || batch.bytes >= batchBytesMax) {
          length = 0
          break
        }
      }
    }
    return batch
  }

  #finish(batch: ApplyBatch, stats: readonly (AppliedStat | undefined)[]): void {
    const outside: TreeEntry[] = []
    batch.forEachResult(stats, (first, last, stat) => {
      const isOutside = stat !== undefined && this.#isOutside(first, stat)
      if (isOutside) outside.push({ path: last.operation.path, ...stat })
      this.#record(last, stat, isOutside || this.#buildsOnOutside(first))
    })
    for (const { operation } of batch.all) this.#unblock(operation)
    this.#leave(batch)
    for (const found of outside) this.#options.outside.changeMet(found)
  }

  /** Records the result of the last operation of a path in the index. */
  #record(last: PendingOperation, stat: FileStat | undefined, isMixed: boolean): void {
    const { index } = this.#options
    const { path } = last.operation
    if (stat === undefined) index.remove(path, last.seq)
    else index.set(path, isMixed ? mixedRecordOf(last, stat) : recordOf(last, stat))
  }

  /**
   * The tree and the index have the batch, so its work leaves the queue and the next batch begins.
   */
  #leave(batch: ApplyBatch): void {
    for (const { operation } of batch.all) this.#options.overlay.applied(operation.path)
    this.#advance(batch.all.length)
    this.#isRunning = false
    this.#run()
    this.#notify()
  }

  /** Whether the file had another size before the operation because of an outside change. */
  #isOutside(first: PendingOperation, { sizeBefore }: AppliedStat): boolean {
    if (sizeBefore === undefined || sizeBefore === first.sizeBefore) return false
    return !this.isReplaying && first.seq > this.#repeatedSeq
  }

  /** Whether the file remains a mixture of outside changes and changes in place. */
  #buildsOnOutside({ operation, found }: PendingOperation): boolean {
    if (found !== undefined || isAbsolute(operation)) return false
    return this.#options.outside.isChanged(operation.path)
  }

  /**
   * Drops postponed operations that are superseded by one that does not depend on earlier content.
   */
  #unblock(operation: FileOperation): void {
    if (this.#blocked.size > 0 && isAbsolute(operation)) this.#blocked.delete(operation.path)
  }

  /** Whether it depends on a postponed operation, which would overwrite it later. */
  #mustWait(operation: FileOperation): boolean {
    return this.#blocked.has(operation.path) && !isAbsolute(operation)
  }

  /** Removes finished operations from the queue. */
  #advance(operations: number): void {
    let left = operations
    while (left > 0) {
      const work = this.#queue.first
      if (work === undefined) break
      const rest = work.operations.length - this.#done
      if (left < rest) {
        this.#done += left
        break
      }
      left -= rest
      this.#done = 0
      this.#queue.drop()
      this.#options.onApplied(work.bytes)
    }
  }

  /** Finds the operation that failed in a batch, and carries out the others. */
  async #afterFailure(batch: ApplyBatch, error: HotspareError): Promise<void> {
    this.#repeatedSeq = this.startedSeq
    if (!isOfOne(error)) {
      this.#fail(error, undefined)
      return
    }
    await this.#carryOutAlone(batch)
  }

  /**
   * Carries out the operations individually. After a failure the whole batch stays in the queue.
   */
  async #carryOutAlone(batch: ApplyBatch): Promise<void> {
    const results: { last: PendingOperation; stat: FileStat | undefined }[] = []
    for (const pending of batch.all) {
      const { operation } = pending
      const before = this.#blocked.get(operation.path)
      if (before !== undefined && this.#mustWait(operation)) {
        before.operations.push(pending)
        continue
      }
      try {
        const [stat] = await this.#applyAlone(pending)
        results.push({ last: pending, stat })
        this.#unblock(operation)
      } catch (cause) {
        const error = asStorageError(cause)
        // Only a blocked path can be resolved by a later operation.
        if (error.code !== 'PATH_BLOCKED') {
          this.#failAlone(error, operation.path)
          return
        }
        // An operation that depends on a postponed one does not get here, so this one replaces all
        // before it.
        this.#blocked.set(operation.path, { error, operations: [pending] })
      }
    }
    const [first] = this.#blocked
    if (first !== undefined && !this.isReplaying) this.#failAlone(first[1].error, first[0])
    else {
      for (const { last, stat } of results) this.#record(last, stat, this.#buildsOnOutside(last))
      this.#leave(batch)
    }
  }

  #failAlone(error: HotspareError, path: string): void {
    // Everything is repeated by `retry()` or by the next recovery.
    this.#blocked.clear()
    this.#fail(error, path)
  }

  async #applyAlone(pending: PendingOperation): Promise<(FileStat | undefined)[]> {
    const { tree, mayForce } = this.#options
    const { operation, found } = pending
    if (found !== undefined) return [found ?? undefined]
    try {
      return await tree.apply([operation])
    } catch (error) {
      const at = HotspareError.is(error, 'PATH_BLOCKED') ? error.details.obstacle : undefined
      if (operation.kind === 'remove' || typeof at !== 'string') throw error
      if (!(await mayForce(operation.path, at))) throw error
      return await tree.apply([{ ...operation, force: true }])
    }
  }

  #fail(error: HotspareError, path: string | undefined): void {
    this.failed = error
    this.#isRunning = false
    this.#notify()
    this.#options.onFailure(error, path)
  }

  /** Ends recovery. Postponed operations that were never superseded come first, and have failed. */
  endReplay(): void {
    this.isReplaying = false
    this.#repeatedSeq = this.startedSeq
    if (this.#blocked.size === 0) return
    const left = [...this.#blocked.values()]
    const operations = left.flatMap((one) => one.operations).sort((a, b) => a.seq - b.seq)
    const first = left.find((one) => one.operations[0] === operations[0])
    this.#blocked.clear()
    for (const pending of operations) this.#options.overlay.push(pending)
    const behind = this.#queue.takeAll()
    this.#queue.push({ ordinal: 0, bytes: 0, operations })
    for (const work of behind) this.#queue.push(work)
    this.#done = 0
    if (first !== undefined) this.#fail(first.error, operations[0]?.operation.path)
  }
}

/** Whether the failure may concern one operation and not the whole storage. */
function isOfOne({ code }: HotspareError): boolean {
  return code === 'STORAGE_FAILED' || code === 'PATH_BLOCKED'
}

function recordOf(
  pending: PendingOperation,
  stat: FileStat,
): FileStat & { className: string; version: number } {
  const { size, mode, mtimeMs, inode } = stat
  return { className: pending.className, version: pending.seq, size, mode, mtimeMs, inode }
}

/**
 * The record has the size of the history, from which the next change in place gets its offset on
 * every node.
 */
function mixedRecordOf(
  last: PendingOperation,
  { mode }: FileStat,
): FileStat & { className: string; version: number } {
  const { className, seq: version, sizeBefore } = last
  return { className, version, size: sizeAfter(last, sizeBefore), mode, ...noFile }
}
