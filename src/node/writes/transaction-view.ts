/**
 * The files as a transaction sees them: those of the copy with its own changes, and a record of its
 * reads, which must still be valid at the commit.
 *
 * Invariant: a path is read from the copy in one version only; when a later read finds another
 * version, the transaction ends with TX_CONFLICT.
 */

import type { BlobRef, FileChange, SingleChange } from '../../changes/change.js'
import type { ListExpectation, ReadExpectation } from '../../changes/intent.js'
import { notFound } from '../../copy/files/copy-files.js'
import { HotspareError } from '../../errors.js'
import { listMatching } from './file-checks.js'
import type { ReadableCopy, ReadableFiles } from './readable-copy.js'

/**
 * Times that a file which changes during its read is read again, before the transaction ends with
 * `TX_CONFLICT`.
 */
const readAttemptsMax = 3

/** A file as the transaction sees it. */
export interface SeenFile {
  readonly size: number
  readonly mode: number | undefined
}

/** Reads blobs of the transaction itself. */
export type BlobReader = (blob: BlobRef, offset: number, length: number) => Promise<Uint8Array>

export class TransactionView {
  readonly #files: ReadableFiles
  readonly #readBlob: BlobReader
  readonly #changes: SingleChange[] = []
  /** The transaction's changes by path, in order. */
  readonly #own = new Map<string, FileChange[]>()
  readonly #reads = new Map<string, number>()
  readonly #lists: ListExpectation[] = []

  constructor(copy: ReadableCopy, readBlob: BlobReader) {
    this.#files = copy.files
    this.#readBlob = readBlob
  }

  get changes(): readonly SingleChange[] {
    return this.#changes
  }

  get reads(): ReadExpectation[] {
    return [...this.#reads].map(([path, version]) => ({ path, version }))
  }

  get lists(): readonly ListExpectation[] {
    return this.#lists
  }

  /** Adds a change, which later reads see. */
  add(change: SingleChange): void {
    this.#changes.push(change)
    if (change.kind === 'update') return
    const own = this.#own.get(change.path)
    if (own === undefined) this.#own.set(change.path, [change])
    else own.push(change)
  }

  /** The file; undefined when there is none. If the copy was asked, that counts as a read. */
  stat(path: string): SeenFile | undefined {
    const own = this.#own.get(path) ?? []
    const from = lastWhole(own)
    let seen = from >= 0 ? undefined : this.#known(path)
    for (const change of own.slice(Math.max(0, from))) seen = after(change, seen)
    return seen
  }

  /** The mode that new content of this file keeps. It does not count as a read. */
  modeOf(path: string): number | undefined {
    const own = this.#own.get(path) ?? []
    let mode = this.#files.stat(path)?.mode
    for (const change of own) {
      if (change.kind === 'put') mode = change.mode
      else if (change.kind === 'remove') mode = undefined
    }
    return mode
  }

  /** @throws `FILE_NOT_FOUND`, `TX_CONFLICT` */
  async read(path: string, offset: number, length: number | undefined): Promise<Uint8Array> {
    const own = this.#own.get(path) ?? []
    if (own.length === 0) return this.#readCopy(path, offset, length)
    const seen = this.stat(path)
    if (seen === undefined) throw notFound(path)
    const end = Math.min(seen.size, offset + (length ?? seen.size))
    const bytes = Buffer.alloc(Math.max(0, end - offset))
    const from = lastWhole(own)
    if (from < 0 && this.#known(path) !== undefined) {
      bytes.set(await this.#readCopy(path, offset, bytes.length))
    }
    for (const change of own.slice(Math.max(0, from))) await this.#lay(change, bytes, offset)
    return bytes
  }

  /** The paths that start with a text, or match a glob, sorted. */
  list(pattern: string): string[] {
    const prefix = pattern.slice(0, literalLength(pattern))
    const all = this.#files.list(prefix)
    if (!this.#lists.some((list) => list.prefix === prefix))
      this.#lists.push({ prefix, paths: all })
    const paths = new Set(all)
    for (const path of this.#own.keys()) {
      if (this.stat(path) === undefined) paths.delete(path)
      else if (path.startsWith(prefix)) paths.add(path)
    }
    const merged = [...paths].sort()
    return listMatching({ list: () => merged }, pattern)
  }

  #known(path: string): SeenFile | undefined {
    const known = this.#files.stat(path)
    this.#expect(path, known?.version ?? 0)
    return known
  }

  #expect(path: string, version: number): void {
    const expected = this.#reads.get(path)
    if (expected !== undefined && expected !== version) throw changed(path)
    this.#reads.set(path, version)
  }

  async #readCopy(path: string, offset: number, length: number | undefined): Promise<Uint8Array> {
    for (let attempt = 0; attempt < readAttemptsMax; attempt += 1) {
      const before = this.#files.stat(path)
      this.#expect(path, before?.version ?? 0)
      if (before === undefined) throw notFound(path)
      const { bytes } = await this.#files.read(path, offset, length)
      if (this.#files.stat(path)?.version === before.version) return bytes
    }
    throw changed(path)
  }

  /** Applies a change of the file to a range of its bytes. */
  async #lay(change: FileChange, bytes: Buffer, offset: number): Promise<void> {
    switch (change.kind) {
      case 'remove':
        bytes.fill(0)
        return
      case 'truncate':
        if (change.size < offset + bytes.length) bytes.fill(0, Math.max(0, change.size - offset))
        return
      case 'put':
        bytes.fill(0)
        return this.#copyInto(bytes, offset, 0, change)
      case 'patch':
        return this.#copyInto(bytes, offset, change.offset, change)
    }
  }

  /** Copies content at the offset `at` of the file into a range that starts at `offset`. */
  async #copyInto(
    bytes: Buffer,
    offset: number,
    at: number,
    content: { readonly bytes: Uint8Array | undefined; readonly blob: BlobRef | undefined },
  ): Promise<void> {
    const size = content.blob?.bytes ?? content.bytes?.length ?? 0
    const from = Math.max(offset, at)
    const to = Math.min(offset + bytes.length, at + size)
    if (from >= to) return
    const part =
      content.blob === undefined
        ? content.bytes?.subarray(from - at, to - at)
        : await this.#readBlob(content.blob, from - at, to - from)
    if (part !== undefined) bytes.set(part, from - offset)
  }
}

/** The index of the last change that does not depend on earlier content; -1 when all do. */
function lastWhole(own: readonly FileChange[]): number {
  return own.findLastIndex(({ kind }) => kind === 'put' || kind === 'remove')
}

function after(change: FileChange, before: SeenFile | undefined): SeenFile | undefined {
  if (change.kind === 'remove') return undefined
  if (change.kind === 'truncate') return { size: change.size, mode: before?.mode }
  const length = change.blob?.bytes ?? change.bytes?.length ?? 0
  if (change.kind === 'put') return { size: length, mode: change.mode }
  return { size: Math.max(before?.size ?? 0, change.offset + length), mode: before?.mode }
}

/** The length of the prefix that a pattern shares with everything it matches. */
function literalLength(pattern: string): number {
  const wildcard = pattern.search(/[*?[\]{}!()]/)
  return wildcard < 0 ? pattern.length : pattern.lastIndexOf('/', wildcard) + 1
}

function changed(path: string): HotspareError {
  return new HotspareError('TX_CONFLICT', `'${path}' was changed while the transaction read it`, {
    details: { path },
  })
}
