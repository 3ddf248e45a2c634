/** Transactions: several writes as one change with one position, all or nothing on every node. */

import type { BlobRef, SingleChange } from '../../changes/change.js'
import { transactionChangesMax } from '../../changes/decode-change.js'
import { HotspareError } from '../../errors.js'
import { kindOf } from '../../policy/kinds/table.js'
import type { StoredContent } from '../../replication/content/blob-spool.js'
import type { ContentSource } from '../../replication/content/types.js'
import { noStateClass } from '../../replication/write/class-rules.js'
import { checkWriteOptions } from '../../replication/write/options.js'
import type { Receipt, WriteOptions } from '../../replication/write/types.js'
import { aborted, onAbort } from '../../util/abort.js'
import type { FileInfo } from './file-checks.js'
import { checkFileSize, checkMode, checkSize, claimOf, contentDurability } from './file-checks.js'
import type { FileReadOptions, FilesSource } from './files.js'
import { TransactionView } from './transaction-view.js'

/** The options of a write, for the commit; `signal` aborts the whole transaction. */
export type TransactionOptions = WriteOptions

/** The files inside a transaction. Calls are carried out one after the other in their order. */
export interface TransactionFiles {
  /**
   * Replaces or creates a file.
   *
   * @throws as `files.write`
   */
  write(path: string, content: ContentSource, options?: { readonly mode?: number }): Promise<void>
  /**
   * Appends to a file, which counts as a read of its size.
   *
   * @throws as `files.append`, `TX_CONFLICT`
   */
  append(path: string, content: ContentSource): Promise<void>
  /**
   * Writes at an offset.
   *
   * @throws as `files.patch`
   */
  patch(path: string, offset: number, content: ContentSource): Promise<void>
  /**
   * Sets the size of a file.
   *
   * @throws as `files.truncate`
   */
  truncate(path: string, size: number): Promise<void>
  /**
   * Removes a file.
   *
   * @throws as `files.remove`
   */
  remove(path: string): Promise<void>
  /**
   * Reads a file, including the transaction's own changes.
   *
   * @throws as `files.read`, `TX_CONFLICT`
   */
  read(path: string, options?: Omit<FileReadOptions, 'signal'>): Promise<Uint8Array>
  /**
   * Lists files that start with a text or match a glob, including the transaction's own changes.
   */
  list(pattern?: string): Promise<Pick<FileInfo, 'path' | 'size'>[]>
}

/**
 * The argument of the callback of `node.transaction`. It cannot be used after the callback has
 * returned.
 */
export interface Transaction {
  /** Reads and writes files within the transaction. */
  readonly files: TransactionFiles
  /**
   * Adds a change of application state, plain data as for `node.update`. It is applied with the
   * other changes at the commit. A value that is no plain data fails the commit with
   * `VALUE_INVALID`.
   */
  update(className: string, change: unknown): void
}

/** A committed transaction. */
export interface TransactionResult<Value> {
  /**
   * The receipt of the commit. Its `result` contains what `apply` returned for each change, in
   * order.
   */
  readonly receipt: Receipt
  /** The result of the callback. */
  readonly value: Value
}

/** The source of transactions; it may keep track of the open ones. */
export interface TransactionSource extends FilesSource {
  /**
   * Called when a transaction begins; the returned function is called at its end. `abort` ends the
   * transaction early with an error.
   */
  onTransaction?(abort: (error: HotspareError) => void): () => void
}

/** Inline bytes in one transaction; further content is stored in blobs. */
const inlineTotalMax = 4 * 1024 * 1024

/**
 * Runs a transaction. It has no effect before the callback and all calls that it made have ended.
 *
 * @throws `TX_CONFLICT` when something that was read has changed; `TX_CLOSED` for a use after the
 *   end
 * @throws `OPTION_INVALID` before the callback is called
 * @throws the error of the callback, without any effect; the errors of a write
 * @throws the first error of an `apply`; it undoes nothing, and the other changes have happened
 */
export async function runTransaction<Value>(
  source: TransactionSource,
  work: (transaction: Transaction) => Promise<Value> | Value,
  options: TransactionOptions = {},
): Promise<TransactionResult<Value>> {
  checkWriteOptions(options)
  const { signal } = options
  const open = new OpenTransaction(source, options)
  let abort: (error: unknown) => void = () => undefined
  const given = new Promise<never>((_, reject) => {
    abort = (error) => {
      open.end(error)
      reject(error)
    }
  })
  given.catch(() => undefined)
  if (signal?.aborted === true) abort(aborted(signal))
  const unlisten = onAbort(signal, (by) => abort(aborted(by)))
  const leave = source.onTransaction?.(abort)
  let committed = false
  try {
    const value = await Promise.race([given, callback(open, work)])
    const intent = { kind: 'commit', ...open.close() } as const
    // From here on the writer owns the blobs, and the same signal ends its wait.
    committed = true
    const receipt = await source.gate.submit(intent, options)
    // A transaction without changes has nothing that could be lost.
    return { receipt: intent.changes.length === 0 ? { ...receipt, durable: true } : receipt, value }
  } finally {
    unlisten()
    leave?.()
    if (!committed) {
      open.end(undefined)
      void open.discard()
    }
  }
}

async function callback<Value>(
  open: OpenTransaction,
  work: (transaction: Transaction) => Promise<Value> | Value,
): Promise<Value> {
  open.require()
  const value = await work(open)
  await open.settled()
  return value
}

/**
 * The promise of a call within a transaction. It records whether the callback awaits it or handles
 * it otherwise; if not, its failure is that of the transaction and no unhandled rejection.
 */
class Call<Value> extends Promise<Value> {
  /** Derived promises are ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  isSeen = false

  constructor(executor: ConstructorParameters<typeof Promise<Value>>[0]) {
    super(executor)
    super.then(undefined, () => undefined)
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has to have it
  override then<Result1 = Value, Result2 = never>(
    onFulfilled?: ((value: Value) => Result1 | PromiseLike<Result1>) | null,
    onRejected?: ((reason: unknown) => Result2 | PromiseLike<Result2>) | null,
  ): Promise<Result1 | Result2> {
    this.isSeen = true
    return super.then(onFulfilled, onRejected)
  }
}

/** A transaction whose callback is running. */
class OpenTransaction implements Transaction {
  readonly files: TransactionFiles
  readonly #source: FilesSource
  readonly #options: TransactionOptions
  readonly #view: TransactionView
  readonly #blobs: BlobRef[] = []
  #inlineBytes = 0
  #changes = 0
  #last: Promise<unknown> = Promise.resolve()
  /** Failed calls that the callback did not look at when they failed. */
  readonly #failures: { readonly call: Call<unknown>; readonly error: unknown }[] = []
  #isReturned = false
  #pending = 0
  #ended = false
  #reason: unknown
  /** Aborts the reading of streamed content. */
  #reading: AbortController | undefined

  constructor(source: FilesSource, options: TransactionOptions) {
    this.#source = source
    this.#options = options
    const { gate } = source
    this.#view = new TransactionView(source.copy(), (blob, offset, length) =>
      gate.readBlob(blob, offset, length),
    )
    this.files = this.#makeFiles()
  }

  // A property, so that the callback can destructure its argument.
  readonly update = (className: string, change: unknown): void => {
    this.require()
    const declaration = this.#source.policy.get(className)
    if (declaration === undefined || !kindOf(declaration).takesUpdates) {
      const states = this.#source.policy.stateClasses().map(({ name }) => name)
      throw noStateClass(className, declaration?.kind, states)
    }
    this.#add({ kind: 'update', className, value: change })
  }

  /** @throws `TX_CLOSED`, or the error that ended the transaction */
  require(): void {
    if (!this.#ended) return
    throw this.#reason ?? new HotspareError('TX_CLOSED')
  }

  /**
   * Waits for calls that were still running when the callback returned. If one of them fails, or
   * one failed before and the callback never looked at it, the transaction fails.
   */
  async settled(): Promise<void> {
    this.#isReturned = true
    const running = this.#failures.length
    while (this.#pending > 0) await this.#last
    const failure = this.#failures.find(({ call }, at) => at >= running || !call.isSeen)
    if (failure !== undefined) throw failure.error
  }

  /** Closes the transaction and returns its content. */
  close(): Pick<TransactionView, 'changes' | 'reads' | 'lists'> {
    this.require()
    this.#ended = true
    const { changes, reads, lists } = this.#view
    return { changes, reads, lists }
  }

  /** Refuses all further calls with `reason`. */
  end(reason: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#reason = reason
    this.#reading?.abort(reason)
  }

  /** Removes the stored content. Never rejects, like the gate. */
  async discard(): Promise<void> {
    await this.#last
    if (this.#blobs.length > 0) await this.#source.gate.discard(this.#blobs)
  }

  /** Carries out calls in their order, whether the caller awaits them or not. */
  #inTurn<Value>(operation: () => Promise<Value> | Value): Promise<Value> {
    this.#pending += 1
    const turn = this.#last.then(async () => {
      this.require()
      return await operation()
    })
    const call = new Call<Value>((resolve) => resolve(turn))
    this.#last = turn.then(
      () => {
        this.#pending -= 1
      },
      (error: unknown) => {
        this.#pending -= 1
        if (this.#isReturned || !call.isSeen) this.#failures.push({ call, error })
      },
    )
    return call
  }

  #makeFiles(): TransactionFiles {
    const view = this.#view
    const { policy } = this.#source
    return {
      write: (path, content, options) =>
        this.#write(path, content, (className, stored) => {
          const mode = checkMode(options?.mode ?? view.modeOf(path) ?? 0o644)
          return { kind: 'put', className, path, mode, ...stored }
        }),
      append: (path, content) =>
        this.#write(path, content, (className, stored) => {
          const offset = view.stat(path)?.size ?? 0
          return { kind: 'patch', className, path, offset, ...stored }
        }),
      patch: (path, offset, content) =>
        this.#write(path, content, (className, stored) => {
          const at = checkFileSize(path, offset, 'offset')
          return { kind: 'patch', className, path, offset: at, ...stored }
        }),
      truncate: (path, size) =>
        this.#inTurn(() => {
          const { name } = claimOf(policy, path)
          const bytes = checkFileSize(path, size, 'size')
          this.#add({ kind: 'truncate', className: name, path, size: bytes })
        }),
      remove: (path) =>
        this.#inTurn(() => {
          const { name } = claimOf(policy, path)
          this.#add({ kind: 'remove', className: name, path })
        }),
      read: (path, { offset = 0, length } = {}) =>
        this.#inTurn(() => {
          claimOf(policy, path)
          const most = length === undefined ? undefined : checkSize(length, 'length')
          return view.read(path, checkSize(offset, 'offset'), most)
        }),
      list: (pattern = '') =>
        this.#inTurn(() =>
          view.list(pattern).map((path) => ({ path, size: view.stat(path)?.size ?? 0 })),
        ),
    }
  }

  #write(
    path: string,
    source: ContentSource,
    make: (className: string, stored: StoredContent) => SingleChange,
  ): Promise<void> {
    // Bytes are copied immediately, because the caller may reuse its buffer before the call has its
    // turn.
    const content = source instanceof Uint8Array ? Buffer.from(source) : source
    return this.#inTurn(async () => {
      const claimed = claimOf(this.#source.policy, path)
      const { gate } = this.#source
      const stored = await gate.store(content, {
        durability: contentDurability(claimed, this.#options),
        signal: this.#signalFor(content),
        inlineBytesMax: Math.max(
          0,
          Math.min(gate.inlineBytesMax, inlineTotalMax - this.#inlineBytes),
        ),
      })
      if (stored.blob !== undefined) this.#blobs.push(stored.blob)
      this.#inlineBytes += stored.bytes?.length ?? 0
      this.require()
      this.#add(make(claimed.name, stored))
    })
  }

  /**
   * A source may hang for longer than the transaction lasts. Whatever ends the transaction,
   * including the caller's signal, ends the reading.
   */
  #signalFor(content: ContentSource): AbortSignal | undefined {
    if (typeof content === 'string' || content instanceof Uint8Array) return this.#options.signal
    this.#reading ??= new AbortController()
    return this.#reading.signal
  }

  #add(change: SingleChange): void {
    if (this.#changes === transactionChangesMax) {
      const limit = transactionChangesMax
      throw new HotspareError('WRITE_TOO_LARGE', `a transaction holds at most ${limit} changes`, {
        details: { limit },
        whatToDo: 'Make several transactions of it; the limit is a fixed one.',
      })
    }
    this.#changes += 1
    this.#view.add(change)
  }
}
