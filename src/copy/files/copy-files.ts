/**
 * The files of a copy after the last appended change: the tree with the pending changes on top.
 *
 * Invariant: a read returns one state of the file, the newest appended one. A change that reaches
 * the tree during a read would mix two states, so the read is repeated, and finally done while the
 * applier is held. While a restore moves files into place, and for files with outside changes,
 * there is no such state: reads wait or are refused.
 */
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat, ReadRequest, ReadResult } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import type { Applier } from './applier.js'
import type { FileIndex, IndexRecord } from './file-index.js'
import { lay, pieceBytes } from './layers.js'
import type { OutsideChanges } from './outside-changes.js'
import type { Overlay, PendingOperation } from './overlay.js'
import { findBlocked } from './path-claims.js'
import type { FileRecord, TransferAnswer } from './types.js'

/** Times that a read is tried while its file changes; the last time the applier is held. */
const triesMax = 3
/** Switches to a restore that one read waits for; then it is refused with `RESTORE_UNDER_WAY`. */
const switchesMax = 3

/** The data for a read, captured at its beginning. */
interface Capture {
  readonly from: number
  readonly length: number
  readonly record: FileRecord
  readonly seq: number
  /** The pending operations; the first is absolute when nothing of the tree is needed. */
  readonly operations: readonly PendingOperation[]
  readonly needsTree: boolean
}

/**
 * A range of the file, composed of the tree and the pending changes, and the file of the tree as it
 * was found.
 */
interface Composed {
  readonly bytes: Uint8Array
  readonly stat: FileStat | undefined
}

/** The bytes that were read, and the version that they are from. */
export interface ReadFile {
  readonly bytes: Uint8Array
  readonly record: FileRecord
}

/** The switches to restores, during which files have no consistent state. */
export interface FileSwitches {
  /** The number of switches that have begun. */
  readonly switches: number
  /** Resolves when no switch moves files; undefined while none does. */
  settled(): Promise<void> | undefined
}

/** The parts that a copy's files are made of. */
export interface FileParts {
  readonly index: FileIndex
  readonly overlay: Overlay
  readonly applier: Applier
  readonly outside: OutsideChanges
}

export class CopyFiles {
  readonly #storage: OpenStorage
  readonly #policy: SyncPolicy
  readonly #parts: FileParts
  readonly #switches: FileSwitches
  readonly #lastSeq: () => number

  /** @param lastSeq - the last appended change */
  constructor(
    { storage, policy }: { readonly storage: OpenStorage; readonly policy: SyncPolicy },
    parts: FileParts,
    switches: FileSwitches,
    lastSeq: () => number,
  ) {
    this.#storage = storage
    this.#policy = policy
    this.#parts = parts
    this.#switches = switches
    this.#lastSeq = lastSeq
  }

  /** The number of switches since the copy was opened, including one in progress. */
  get switches(): number {
    return this.#switches.switches
  }

  /** The part that carries out changes on the disk. */
  get applier(): Pick<Applier, 'startedSeq' | 'isReplaying'> {
    return this.#parts.applier
  }

  stat(path: string): FileRecord | undefined {
    return this.#parts.overlay.stat(path)
  }

  /** Whether there are files below this path. */
  hasBelow(path: string): boolean {
    return this.#parts.overlay.folders.has(path)
  }

  /** The new files whose paths are blocked, with the reason. */
  findBlocked(paths: readonly string[]): Promise<ReadonlyMap<string, HotspareError>> {
    return findBlocked(this.#storage.tree, this.#policy, paths)
  }

  /** @throws `FILE_NOT_FOUND`, `CHANGED_OUTSIDE`, `RESTORE_UNDER_WAY` */
  async read(
    path: string,
    offset: number = 0,
    length: number = Number.MAX_SAFE_INTEGER,
  ): Promise<ReadFile> {
    for (let tries = 0; tries < switchesMax; tries += 1) {
      await this.whenWhole()
      const { switches } = this
      try {
        const read = await this.#readOnce(path, offset, length)
        if (switches === this.switches) return read
      } catch (error) {
        // A switch that began meanwhile has removed the file.
        if (switches === this.switches) throw error
      }
    }
    throw underWay()
  }

  /**
   * Resolves when the information about files is of one state: immediately, unless a restore is
   * moving files into place.
   *
   * @throws `RESTORE_UNDER_WAY`
   */
  async whenWhole(): Promise<void> {
    for (;;) {
      const settled = this.#switches.settled()
      if (settled === undefined) return
      await settled
    }
  }

  async #readOnce(path: string, offset: number, length: number): Promise<ReadFile> {
    if (this.#parts.outside.isUnreadable(path)) throw changedOutside(path)
    for (let tries = 0; tries < triesMax; tries += 1) {
      const capture = this.#capture(path, offset, length)
      const composed = await this.#compose(path, capture)
      if (!capture.needsTree || this.#isStill(path, capture))
        return this.#whole(path, capture, composed)
    }
    return this.#parts.applier.hold(async () => {
      const capture = this.#capture(path, offset, length)
      return this.#whole(path, capture, await this.#compose(path, capture))
    })
  }

  /** A file with another size than in the history is of no version, and neither is a part of it. */
  #whole(path: string, { record, needsTree, operations }: Capture, composed: Composed): ReadFile {
    const { bytes, stat } = composed
    if (needsTree && operations.length === 0 && stat?.size !== record.size) {
      this.#parts.outside.readMet(path, stat)
      throw changedOutside(path)
    }
    return { bytes, record }
  }

  #capture(path: string, offset: number, length: number): Capture {
    const { overlay } = this.#parts
    const stat = overlay.stat(path)
    if (stat === undefined) throw notFound(path)
    const pending = overlay.get(path)
    const from = Math.min(offset, stat.size)
    const first = Math.max(pending?.head ?? 0, pending?.base ?? 0)
    return {
      from,
      length: Math.max(0, Math.min(length, stat.size - from)),
      record: stat,
      seq: this.#lastSeq(),
      operations: pending?.operations.slice(first) ?? [],
      needsTree: pending === undefined || pending.base < pending.head,
    }
  }

  /** Whether nothing newer than the captured state can have reached the tree. */
  #isStill(path: string, capture: Capture): boolean {
    const { overlay, applier } = this.#parts
    return (
      applier.startedSeq <= capture.seq || overlay.stat(path)?.version === capture.record.version
    )
  }

  async #compose(path: string, capture: Capture): Promise<Composed> {
    const { from, length, operations } = capture
    const tree = capture.needsTree ? await this.#readTree(path, from, length) : undefined
    if (operations.length === 0) return tree ?? { bytes: new Uint8Array(0), stat: undefined }
    const bytes = new Uint8Array(length)
    if (tree !== undefined) bytes.set(tree.bytes)
    for (const pending of operations) await lay(this.#storage.objects, bytes, from, pending)
    return { bytes, stat: tree?.stat }
  }

  async #readTree(path: string, offset: number, length: number): Promise<Composed | undefined> {
    const pieces: Uint8Array[] = []
    let stat: FileStat | undefined
    let done = 0
    do {
      const wanted = Math.min(pieceBytes, length - done)
      const request = { path, offset: offset + done, length: wanted }
      const { buffer, results } = await this.#storage.tree.read([request])
      const [result] = results
      if (result === undefined || result === 'missing') return undefined
      stat = result.stat
      pieces.push(buffer.subarray(result.start, result.start + result.length))
      // An outside change has shortened the file.
      if (result.length < wanted) break
      done += wanted
    } while (done < length)
    const [only = new Uint8Array(0)] = pieces
    return { bytes: pieces.length === 1 ? only : Buffer.concat(pieces), stat }
  }

  /** All paths with the prefix, sorted. */
  list(prefix: string = ''): string[] {
    const { index, overlay } = this.#parts
    const paths: string[] = []
    for (const path of index.paths(prefix)) {
      if (overlay.get(path)?.exists !== false) paths.push(path)
    }
    for (const [path, pending] of overlay.paths()) {
      const isNew = pending.exists && index.get(path) === undefined
      if (isNew && path.startsWith(prefix)) paths.push(path)
    }
    return paths.sort()
  }

  /**
   * Bytes from the tree, each with a version that they are at least as new as.
   *
   * @throws `CHANGED_OUTSIDE` when the version of the history cannot be read here
   */
  async readForTransfer(requests: readonly ReadRequest[]): Promise<TransferAnswer> {
    const { index } = this.#parts
    const known = requests.filter(({ path }) => this.#parts.outside.isUnreadable(path))
    if (known.length > 0) throw cannotGive(known.map(({ path }) => path))
    const records = requests.map(({ path }) => index.get(path))
    const answer = await this.#storage.tree.read(requests, true)
    try {
      await this.#requireOwn(requests, records, answer.results)
    } catch (error) {
      answer.release?.()
      throw error
    }
    return { ...answer, versions: records.map((record) => record?.version ?? 0) }
  }

  /**
   * Checks that a file that is missing or has another size is so because of a later change, and not
   * of an outside one.
   */
  async #requireOwn(
    requests: readonly ReadRequest[],
    records: readonly (IndexRecord | undefined)[],
    results: readonly (ReadResult | 'missing')[],
  ): Promise<void> {
    const statOf = (at: number): FileStat | undefined => {
      const result = results[at]
      return result === undefined || result === 'missing' ? undefined : result.stat
    }
    const other = [...requests.keys()].filter(
      (at) => records[at] !== undefined && statOf(at)?.size !== records[at].size,
    )
    if (other.length === 0) return
    const { index, applier } = this.#parts
    await applier.applied(this.#lastSeq())
    const foreign = new Map<string, FileStat | undefined>()
    for (const at of other) {
      const path = requests[at]?.path ?? ''
      if (index.get(path) === records[at]) foreign.set(path, statOf(at))
    }
    for (const [path, stat] of foreign) this.#parts.outside.readMet(path, stat)
    if (foreign.size > 0) throw cannotGive([...foreign.keys()])
  }
}

function underWay(): HotspareError {
  return new HotspareError('RESTORE_UNDER_WAY', 'the files of a restore are not in their places')
}

function changedOutside(path: string): HotspareError {
  const what = `'${path}' on the disk is not what the history has`
  return new HotspareError('CHANGED_OUTSIDE', what, { details: { path } })
}

/** The error for a standby that requests such files. */
function cannotGive(paths: readonly string[]): HotspareError {
  const [path = ''] = paths
  const more = paths.length > 1 ? `, and ${paths.length - 1} more files,` : ''
  const what = `'${path}'${more} on the disk of the source is not what the history has, since somebody else changed or removed it: on the active, write it anew or remove it through the library; where a full vault keeps it from being adopted, make room there`
  return new HotspareError('CHANGED_OUTSIDE', what, { details: { path, files: paths.length } })
}

/** The error for a missing file. */
export function notFound(path: string): HotspareError {
  return new HotspareError('FILE_NOT_FOUND', `there is no file '${path}'`, { details: { path } })
}
