/**
 * The application's files, on the main thread: checks arguments, then passes the work to a lane.
 */

import type {
  AppliedStat,
  FileStat,
  Obstacle,
  ReadAnswer,
  ReadRequest,
  ReadResult,
  TreeEntry,
  TreeOperation,
  TreeStore,
} from '../../interfaces/tree-store.js'
import { applyBytesMax, checkCount, checkLimit, itemsMax, readBytesMax } from '../limits.js'
import { checkObjectName, checkTreePath } from '../names.js'
import type { CallGate } from './base/call-gate.js'
import type { Room } from './base/room.js'
import type { SharedBuffers } from './base/shared-buffers.js'
import type { Lane } from './engine/lane.js'
import {
  readNumbers,
  type ScanBatch,
  statNumbers,
  unpackApplied,
  unpackStat,
  unpackStats,
} from './engine/work.js'
import type { Syncer } from './syncer.js'

/** The parts that the tree uses. */
export interface TreeParts {
  /** The lane for changes. */
  readonly changes: Lane
  /** The lane for reads. */
  readonly bulk: Lane
  readonly syncer: Syncer
  readonly gate: CallGate
  readonly buffers: SharedBuffers
  readonly room: Room
  /** Whether paths that differ only in case are one file in this folder. */
  readonly foldsCase: boolean
}

/** The tree of one open directory. */
export class DirectoryTree implements TreeStore {
  readonly #parts: TreeParts
  #lastScan = 0

  constructor(parts: TreeParts) {
    this.#parts = parts
  }

  get foldsCase(): boolean {
    return this.#parts.foldsCase
  }

  async *scan(skipped: (path: string, why: string) => void): AsyncIterable<TreeEntry[]> {
    const { bulk, gate } = this.#parts
    this.#lastScan += 1
    const scan = this.#lastScan
    const fetch = (begins: boolean): Promise<ScanBatch> =>
      gate.run(() => bulk.call('scan', { scan, begins }))
    let ended = false
    try {
      let coming = fetch(true)
      while (!ended) {
        const batch = await coming
        ended = batch.done
        if (!ended) {
          // The next batch is read while the caller processes this one; awaiting it above reports
          // its failure.
          coming = fetch(false)
          coming.catch(() => undefined)
        }
        for (const [path, why] of batch.skipped) skipped(path, why)
        if (batch.paths.length > 0) yield entriesOf(batch)
      }
    } finally {
      if (!ended) await gate.run(() => bulk.call('scanEnd', { scan })).catch(() => undefined)
    }
  }

  stat(paths: readonly string[]): Promise<(FileStat | undefined)[]> {
    const { bulk, gate } = this.#parts
    return gate.run(async () => {
      checkLimit(paths.length, itemsMax, 'the paths of one stat')
      for (const path of paths) checkTreePath(path)
      return unpackStats(await bulk.call('stat', { paths }))
    })
  }

  obstacles(paths: readonly string[]): Promise<(Obstacle | undefined)[]> {
    const { bulk, gate } = this.#parts
    return gate.run(() => {
      checkLimit(paths.length, itemsMax, 'the paths of one look for obstacles')
      for (const path of paths) checkTreePath(path)
      return bulk.call('obstacles', { paths })
    })
  }

  read(requests: readonly ReadRequest[], lend: boolean = false): Promise<ReadAnswer> {
    const { bulk, gate, buffers } = this.#parts
    return gate.run(async () => {
      checkLimit(requests.length, itemsMax, 'the requests of one read')
      let bytes = 0
      for (const request of requests) {
        checkTreePath(request.path)
        checkCount(request.offset, 'the offset')
        checkCount(request.length, 'the length')
        bytes += request.length
      }
      checkLimit(bytes, readBytesMax, 'the read of files, in bytes')
      const into = buffers.take(bytes)
      const results = unpackResults(await bulk.call('read', { requests, into }))
      const filled = into.subarray(0, filledBytes(results))
      const release = (): void => buffers.give(into)
      if (lend) return { buffer: filled, results, release }
      const buffer = Buffer.from(filled)
      release()
      return { buffer, results }
    })
  }

  apply(operations: readonly TreeOperation[]): Promise<(AppliedStat | undefined)[]> {
    const { gate, syncer, room } = this.#parts
    return gate.run(async () => {
      checkLimit(operations.length, itemsMax, 'the operations of one apply')
      let bytes = 0
      for (const operation of operations) {
        checkOperation(operation)
        if ('bytes' in operation) bytes += operation.bytes.byteLength
      }
      checkLimit(bytes, applyBytesMax, 'the bytes of one apply')
      // `use` may carry the operations out twice, which is safe because each is idempotent.
      const stats = await room.use(() => this.#carryOut(operations, bytes))
      for (const operation of operations) {
        // The path has a new file, so a failed sync of the old one no longer counts.
        if (replaces(operation)) syncer.renewed('tree', operation.path)
      }
      return unpackApplied(stats)
    })
  }

  async #carryOut(operations: readonly TreeOperation[], bytes: number): Promise<Float64Array> {
    const { changes, buffers } = this.#parts
    const shared = buffers.take(bytes)
    try {
      return await changes.call('apply', { operations: packInto(shared, operations) })
    } finally {
      buffers.give(shared)
    }
  }

  takeIn(): Promise<void> {
    const { changes, gate, syncer } = this.#parts
    return gate.run(async () => {
      const { folders, replaced } = await changes.call('takeIn', undefined)
      for (const path of replaced) syncer.renewed('tree', path)
      await syncer.sync('tree', folders)
    })
  }

  sync(paths: readonly string[] | 'all'): Promise<void> {
    const { gate, syncer } = this.#parts
    return gate.run(async () => {
      if (paths === 'all') {
        await syncer.syncAll('tree', () => this.#allPaths())
      } else {
        for (const path of paths) checkTreePath(path)
        await syncer.sync('tree', paths)
      }
    })
  }

  async *#allPaths(): AsyncIterable<string[]> {
    for await (const entries of this.scan(() => undefined)) {
      yield entries.map((entry) => entry.path)
    }
  }
}

function entriesOf(batch: ScanBatch): TreeEntry[] {
  const { paths, stats } = batch
  return paths.map((path, index) => {
    const at = index * statNumbers
    return {
      path,
      size: stats[at]!,
      mtimeMs: stats[at + 1]!,
      inode: stats[at + 2]!,
      mode: stats[at + 3]!,
    }
  })
}

function unpackResults(packed: Float64Array): (ReadResult | 'missing')[] {
  const results: (ReadResult | 'missing')[] = []
  for (let at = 0; at < packed.length; at += readNumbers) {
    const stat = unpackStat(packed, at + 2)
    if (stat === undefined) {
      results.push('missing')
      continue
    }
    const result = { start: packed[at]!, length: packed[at + 1]!, stat }
    results.push(packed[at + 2 + statNumbers] === 1 ? { ...result, isSparse: true } : result)
  }
  return results
}

function filledBytes(results: readonly (ReadResult | 'missing')[]): number {
  const last = results.findLast((result) => result !== 'missing')
  return last === undefined ? 0 : last.start + last.length
}

function checkOperation(operation: TreeOperation): void {
  checkTreePath(operation.path)
  if ('offset' in operation) checkCount(operation.offset, 'the offset')
  if ('size' in operation) checkCount(operation.size, 'the size')
  if ('mode' in operation) checkCount(operation.mode, 'the mode')
  if ('area' in operation) checkObjectName(operation.area, operation.name)
}

/** Copies the bytes of the operations into memory that the worker thread shares. */
function packInto(shared: Uint8Array, operations: readonly TreeOperation[]): TreeOperation[] {
  let end = 0
  return operations.map((operation) => {
    if (!('bytes' in operation)) return operation
    const start = end
    shared.set(operation.bytes, start)
    end += operation.bytes.byteLength
    return { ...operation, bytes: shared.subarray(start, end) }
  })
}

function replaces(operation: TreeOperation): boolean {
  const { kind } = operation
  return (
    kind === 'put' ||
    kind === 'install' ||
    kind === 'remove' ||
    (kind === 'keep' && !operation.copy)
  )
}
