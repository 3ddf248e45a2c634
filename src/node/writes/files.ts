/**
 * The files API of an application. Reads are answered from this node's copy on every node; writes
 * pass through the gate, which is open only on the active.
 */

import type { WriteIntent } from '../../changes/intent.js'
import { notFound, type ReadFile } from '../../copy/files/copy-files.js'
import { HotspareError } from '../../errors.js'
import { kindOf } from '../../policy/kinds/table.js'
import type { NamedFileClass, SyncPolicy } from '../../policy/sync-policy.js'
import type { StoredContent } from '../../replication/content/blob-spool.js'
import type { ContentSource } from '../../replication/content/types.js'
import { checkWriteOptions } from '../../replication/write/options.js'
import type { Receipt, WriteOptions } from '../../replication/write/types.js'
import { aborted, onAbort } from '../../util/abort.js'
import {
  checkFileSize,
  checkMode,
  checkSize,
  claimOf,
  contentDurability,
  type FileInfo,
  infoOf,
  inlineOf,
  listMatching,
} from './file-checks.js'
import type { ReadableCopy, ReadableFiles } from './readable-copy.js'
import type { WriteGate } from './write-gate.js'

/** Options of {@link FilesApi.write}. */
export interface FileWriteOptions extends WriteOptions {
  /** Permission bits, 0 to 0o777. Default: those of the existing file, 0o644 for a new one. */
  readonly mode?: number | undefined
}

/** Options of {@link FilesApi.read}. */
export interface FileReadOptions {
  /** Offset of the first byte. Default 0. */
  readonly offset?: number | undefined
  /** The maximal number of bytes. Default: up to the end. */
  readonly length?: number | undefined
  /** Aborts the call. */
  readonly signal?: AbortSignal | undefined
}

/** The bytes of a file with information about it. */
export interface FileContent extends FileInfo {
  /** The bytes; the other fields describe exactly the version that they are from. */
  readonly bytes: Uint8Array
}

/** The copy and the gate that the files API uses. */
export interface FilesSource {
  readonly policy: SyncPolicy
  readonly gate: WriteGate
  /**
   * The node's copy.
   *
   * @throws `NOT_STARTED` and similar errors while no copy can be read
   */
  copy(): ReadableCopy
  /** Whether the copy has every acknowledged change. Default: it has. */
  isCurrent?(): boolean
  /**
   * Called before each read.
   *
   * @throws `RESTORE_UNDER_WAY` while the copy is still empty
   */
  checkReadable?(): void
}

/** Bytes that a stream reads at a time. */
const streamBytes = 256 * 1024
const defaultMode = 0o644

/**
 * The replicated files of a node: `node.files`. Reads see every change of this node immediately;
 * the file in the folder follows an acknowledged write with a short delay, also on the active.
 *
 * @example
 * ```ts
 * const receipt = await node.files.write('messages/42.txt', 'hello')
 * await node.files.append('messages/42.txt', ' world')
 * const bytes = await node.files.read('messages/42.txt')
 * for (const { path, size } of await node.files.list('messages/')) console.log(path, size)
 * ```
 */
export class FilesApi {
  readonly #source: FilesSource

  /** @param source - the node's policy, copy and gate */
  constructor(source: FilesSource) {
    this.#source = source
  }

  /**
   * Replaces a file, or creates it. A reader sees the old bytes or the new ones, never a mixture.
   * Content of any size is stored with bounded memory; bytes are copied at once, and a stream is
   * read to its end first.
   *
   * @param path - relative, with `/` between the parts; claimed by a class of kind `synced`
   * @param content - bytes, text (stored as UTF-8), or a stream of bytes
   * @param options - mode, acknowledgement, durability, signal
   * @returns the receipt, with the level and durability that the write got
   * @throws `NOT_ACTIVE` on every node but the active one, naming it; `NOT_STARTED`, `STOPPED`
   * @throws `PATH_INVALID`, `PATH_UNCLAIMED`, `PATH_NEVER_SYNCED`, `PATH_CONFLICT` for the path
   * @throws `PATH_BLOCKED` when a path that is not synced, or a link, is in the way of a new file
   * @throws `WRITE_TOO_LARGE`, `STORAGE_FULL`, `STORAGE_FAILED` for the content, of which
   *   nothing is kept
   * @throws `QUEUE_FULL`, `OPTION_INVALID`
   * @throws `ABORTED`, `WRITES_BLOCKED` when the signal aborted; unless `retryable` is true the
   *   write has happened
   * @throws `OUTCOME_UNKNOWN` when the role was lost before the write was acknowledged
   * @throws the error of the stream; the write has not happened then
   */
  write(path: string, content: ContentSource, options: FileWriteOptions = {}): Promise<Receipt> {
    const make = ({ bytes, blob }: StoredContent, className: string): WriteIntent => {
      const mode = options.mode ?? this.#source.copy().files.stat(path)?.mode ?? defaultMode
      return { kind: 'put', className, path, mode: checkMode(mode), bytes, blob }
    }
    return this.#change(path, content, options, make, ['mode'])
  }

  /**
   * Appends bytes to the end that the file has when the write gets its position; a missing file is
   * created. Parameters and errors are those of {@link FilesApi.write}.
   */
  append(path: string, content: ContentSource, options: WriteOptions = {}): Promise<Receipt> {
    return this.#change(path, content, options, ({ bytes, blob }, className) => {
      return { kind: 'append', className, path, bytes, blob }
    })
  }

  /**
   * Writes bytes at an offset, in place; a missing file is created, a gap is filled with zeros.
   * Other parameters and errors are those of {@link FilesApi.write}.
   *
   * @param offset - of the first byte, 0 or more
   */
  patch(
    path: string,
    offset: number,
    content: ContentSource,
    options: WriteOptions = {},
  ): Promise<Receipt> {
    return this.#change(path, content, options, ({ bytes, blob }, className) => {
      const at = checkFileSize(path, offset, 'offset')
      return { kind: 'patch', className, path, offset: at, bytes, blob }
    })
  }

  /**
   * Sets the size of a file, which is cut or filled with zeros; a missing file is created.
   *
   * @param size - in bytes, 0 or more
   */
  truncate(path: string, size: number, options: WriteOptions = {}): Promise<Receipt> {
    return this.#change(path, nothing, options, (_, className) => {
      return { kind: 'truncate', className, path, size: checkFileSize(path, size, 'size') }
    })
  }

  /** Removes a file. Removing one that does not exist is no error. */
  remove(path: string, options: WriteOptions = {}): Promise<Receipt> {
    return this.#change(path, nothing, options, (_, className) => {
      return { kind: 'remove', className, path }
    })
  }

  /**
   * Reads a file, or a range of it, in its latest version on this node. A standby may be behind the
   * active.
   *
   * @returns the bytes; fewer than asked for only at the end of the file
   * @throws `FILE_NOT_FOUND`, `PATH_INVALID`, `PATH_UNCLAIMED`, `PATH_NEVER_SYNCED`, `ABORTED`
   * @throws `RESTORE_UNDER_WAY` while a restore takes longer than 10 s to move its files into
   *   place, and while an empty node gets its first copy
   * @throws `CHANGED_OUTSIDE` when another program has changed the file, until the library has
   *   adopted or undone that
   * @throws `NOT_STARTED`, `STOPPED`, `STORAGE_FAILED`
   */
  async read(path: string, options: FileReadOptions = {}): Promise<Uint8Array> {
    return (await this.#read(path, options)).bytes
  }

  /**
   * Like {@link FilesApi.read}, with information about the version that was read: its size, its
   * version number, and whether it may be stale.
   *
   * @throws as {@link FilesApi.read}
   * @example
   * ```ts
   * const { bytes, version, stale } = await node.files.readWithInfo('messages/42.txt')
   * console.log(bytes.length, version, stale ? 'as this standby has it' : 'as the active has it')
   * ```
   */
  async readWithInfo(path: string, options: FileReadOptions = {}): Promise<FileContent> {
    const { name } = claimOf(this.#source.policy, path)
    const wasCurrent = this.#isCurrent
    const { bytes, record } = await this.#read(path, options)
    const { size, mode, version } = record
    const stale = !(wasCurrent && this.#isCurrent)
    return { path, size, mode, className: name, version, stale, bytes }
  }

  /** The files of the copy, for reading. */
  #readable(): ReadableFiles {
    const { files } = this.#source.copy()
    this.#source.checkReadable?.()
    return files
  }

  get #isCurrent(): boolean {
    return this.#source.isCurrent?.() ?? true
  }

  async #read(path: string, options: FileReadOptions): Promise<ReadFile> {
    const { signal } = options
    throwIfAborted(signal)
    const offset = checkSize(options.offset ?? 0, 'offset')
    const length = options.length === undefined ? undefined : checkSize(options.length, 'length')
    claimOf(this.#source.policy, path)
    const answer = await unlessAborted(this.#readable().read(path, offset, length), signal)
    throwIfAborted(signal)
    return answer
  }

  /**
   * Reads a file in pieces, with bounded memory, up to the size that it has at the beginning. Later
   * pieces may contain changes made meanwhile; a restore to another state ends the read.
   *
   * @throws as {@link FilesApi.read}; `RESTORE_UNDER_WAY` when a restore replaced files since the
   *   first piece
   */
  async *readStream(path: string, options: FileReadOptions = {}): AsyncGenerator<Uint8Array> {
    claimOf(this.#source.policy, path)
    const files = this.#readable()
    await files.whenWhole?.()
    const { switches } = files
    const known = files.stat(path)
    if (known === undefined) throw notFound(path)
    let at = checkSize(options.offset ?? 0, 'offset')
    const end = Math.min(known.size, at + checkSize(options.length ?? known.size, 'length'))
    while (at < end) {
      const length = Math.min(streamBytes, end - at)
      const bytes = await this.read(path, { offset: at, length, signal: options.signal })
      if (files.switches !== switches) {
        throw new HotspareError('RESTORE_UNDER_WAY', 'a restore replaced files meanwhile')
      }
      if (bytes.length === 0) return
      at += bytes.length
      yield bytes
    }
  }

  /**
   * Information about a file without its content; undefined when there is none.
   *
   * @throws `PATH_INVALID`, `PATH_UNCLAIMED`, `PATH_NEVER_SYNCED`, `RESTORE_UNDER_WAY`,
   *   `NOT_STARTED`, `STOPPED`
   */
  async stat(path: string): Promise<FileInfo | undefined> {
    const claimed = claimOf(this.#source.policy, path)
    const files = this.#readable()
    await files.whenWhole?.()
    return infoOf(files, claimed, path, !this.#isCurrent)
  }

  /**
   * Lists files, sorted by path.
   *
   * @param pattern - a prefix of their paths (default: all), or a glob such as `messages/*.txt`
   * @throws `OPTION_INVALID` for an invalid glob
   * @throws `RESTORE_UNDER_WAY`, `NOT_STARTED`, `STOPPED`
   */
  async list(pattern = ''): Promise<FileInfo[]> {
    const { policy } = this.#source
    const files = this.#readable()
    await files.whenWhole?.()
    const stale = !this.#isCurrent
    const found: FileInfo[] = []
    for (const path of listMatching(files, pattern)) {
      const claimed = policy.classOf(path)
      if (claimed === undefined || !kindOf(claimed.declaration).isReplicated) continue
      const info = infoOf(files, { name: claimed.name }, path, stale)
      if (info !== undefined) found.push(info)
    }
    return found
  }

  /**
   * Stores the content, waits until writes are accepted, and submits. Errors are always returned as
   * rejections.
   */
  #change(
    path: string,
    content: ContentSource,
    options: WriteOptions,
    make: (content: StoredContent, className: string) => WriteIntent,
    moreOptions: readonly string[] = [],
  ): Promise<Receipt> {
    try {
      checkWriteOptions(options, moreOptions)
      const claimed = claimOf(this.#source.policy, path)
      const { name } = claimed
      const { gate } = this.#source
      const inline = inlineOf(content, gate.inlineBytesMax)
      if (inline !== undefined) {
        return gate.submitInTurn(make({ bytes: inline, blob: undefined }, name), options)
      }
      // The other arguments are checked before the stream is read.
      make({ bytes: nothing, blob: undefined }, name)
      // Long content is stored in pieces, while the caller may reuse its buffer.
      const own = content instanceof Uint8Array ? Buffer.from(content) : content
      return this.#store(own, claimed, options, (stored) => make(stored, name))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #store(
    source: ContentSource,
    claimed: NamedFileClass,
    options: WriteOptions,
    make: (content: StoredContent) => WriteIntent,
  ): Promise<Receipt> {
    const { gate } = this.#source
    const durability = contentDurability(claimed, options)
    const content = await gate.store(source, { durability, signal: options.signal })
    return await gate.submitInTurn(make(content), options)
  }
}

const nothing = new Uint8Array(0)

/** The promise, or a rejection as soon as the signal aborts. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(aborted(signal))
    const unlisten = onAbort(signal, () => reject(aborted(signal)))
    promise.then(resolve, reject).finally(unlisten)
  })
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal)
}
