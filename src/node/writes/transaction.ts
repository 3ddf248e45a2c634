/** Several writes as one change: all or nothing, at one position, on every node. */

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

/** Options of a transaction: those of a write, for the commit; `signal` gives up the whole. */
export type TransactionOptions = WriteOptions

/**
 * The files inside a transaction. Calls are carried out one after the other, in the order they were
 * made.
 */
export interface TransactionFiles {
  /** Replaces or creates a file. @throws as `files.write` */
  write(path: string, content: ContentSource, options?: { readonly mode?: number }): Promise<void>
  /**
   * Adds to the end of a file, which counts as reading its size. @throws as `files.append`,
   * `TX_CONFLICT`
   */
  append(path: string, content: ContentSource): Promise<void>
  /** Writes at an offset. @throws as `files.patch` */
  patch(path: string, offset: number, content: ContentSource): Promise<void>
  /** Gives a file a size. @throws as `files.truncate` */
  truncate(path: string, size: number): Promise<void>
  /** Removes a file. @throws as `files.remove` */
  remove(path: string): Promise<void>
  /** Reads a file with the transaction's own changes. @throws as `files.read`, `TX_CONFLICT` */
  read(path: string, options?: Omit<FileReadOptions, 'signal'>): Promise<Uint8Array>
  /** Files that begin with a text or match a glob, with the transaction's own changes. */
  list(pattern?: string): Promise<Pick<FileInfo, 'path' | 'size'>[]>
}

/**
 * What the callback of `node.transaction` gets. It is of no use after the callback has returned.
 */
export interface Transaction {
  /** Reads and writes of files, within the transaction. */
  readonly files: TransactionFiles
  /**
   * Adds a change of application state, plain data as for `node.update`; it is applied with the
   * rest, when the transaction commits. One that is no plain data fails the commit with
   * `VALUE_INVALID`.
   */
  update(className: string, change: unknown): void
}

/** A committed transaction. */
export interface TransactionResult<Value> {
  /**
   * What the commit really got; its `result` holds what `apply` returned, for each change in order.
   */
  readonly receipt: Receipt
  /** What the callback returned. */
  readonly value: Value
}

/** Where transactions live; a source may keep account of the open ones. */
export interface TransactionSource extends FilesSource {
  /**
   * Called when a transaction begins; returns what is called at its end. `abort` ends it early,
   * with an error.
   */
  onTransaction?(abort: (error: HotspareError) => void): () => void
}

/** Inline bytes in one transaction; content beyond goes into blobs. */
const inlineTotalMax = 4 * 1024 * 1024

/**
 * Runs a transaction. Nothing happens before the callback has returned and everything it began has
 * ended.
 *
 * @throws `TX_CONFLICT` when what was read has changed; `TX_CLOSED` for a use after the end
 * @throws `OPTION_INVALID` before the callback is called
 * @throws what the callback threw, and then nothing has happened; what a write throws
 * @throws what the first failing `apply` threw; a throw undoes nothing, and the rest has happened
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
    // From here on the writer has the blobs, and ends the wait by the same signal.
    committed = true
    const receipt = await source.gate.submit(intent, options)
    // Of a transaction without changes there is nothing that could be lost.
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

/** A transaction whose callback runs. */
class OpenTransaction implements Transaction {
  readonly files: TransactionFiles
  readonly #source: FilesSource
  readonly #options: TransactionOptions
  readonly #view: TransactionView
  readonly #blobs: BlobRef[] = []
  #inlineBytes = 0
  #changes = 0
  #last: Promise<unknown> = Promise.resolve()
  #failure: unknown
  #pending = 0
  #ended = false
  #reason: unknown
  /** Ends the reading of content that comes in pieces. */
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

  // A property, so that the callback may take it out of its argument.
  readonly update = (className: string, change: unknown): void => {
    this.require()
    const declaration = this.#source.policy.get(className)
    if (declaration === undefined || !kindOf(declaration).takesUpdates) {
      const states = this.#source.policy.stateClasses().map(({ name }) => name)
      throw noStateClass(className, declaration?.kind, states)
    }
    this.#add({ kind: 'update', className, value: change })
  }

  /** @throws `TX_CLOSED`, or what ended it */
  require(): void {
    if (!this.#ended) return
    throw this.#reason ?? new HotspareError('TX_CLOSED')
  }

  /**
   * Waits for calls that the callback did not wait for; one of them failing is a failure of the
   * whole.
   */
  async settled(): Promise<void> {
    while (this.#pending > 0) {
      await this.#last
      if (this.#failure !== undefined) throw this.#failure
    }
  }

  /** Ends it and says what it is to be. */
  close(): Pick<TransactionView, 'changes' | 'reads' | 'lists'> {
    this.require()
    this.#ended = true
    const { changes, reads, lists } = this.#view
    return { changes, reads, lists }
  }

  /** Nothing more is taken; `reason` is what later calls get. */
  end(reason: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#reason = reason
    this.#reading?.abort(reason)
  }

  /** Removes what it had stored. Never rejects, as the gate does not. */
  async discard(): Promise<void> {
    await this.#last
    if (this.#blobs.length > 0) await this.#source.gate.discard(this.#blobs)
  }

  /** Carries out calls in the order they were made, whether the caller waits for them or not. */
  #inTurn<Value>(operation: () => Promise<Value> | Value): Promise<Value> {
    this.#pending += 1
    const turn = this.#last.then(async () => {
      this.require()
      return await operation()
    })
    // A call that nobody waits for any more when the callback has returned is a failure of the
    // whole.
    this.#last = turn.then(
      () => {
        this.#pending -= 1
        this.#failure = undefined
      },
      (error: unknown) => {
        this.#pending -= 1
        this.#failure = error
      },
    )
    return turn
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
    // Bytes are copied now, because the caller may use its buffer again before the call has its
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
   * A source may hang for longer than the transaction lasts; whatever ends that, the caller's
   * signal too, ends the reading.
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
