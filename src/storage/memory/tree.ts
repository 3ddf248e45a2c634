/** The application's files in an open memory storage. */

import { HotspareError } from '../../errors.js'
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
import { blockBytes } from '../../util/zero-runs.js'
import { storageFailed } from '../failure.js'
import { applyBytesMax, checkCount, checkLimit, itemsMax, readBytesMax } from '../limits.js'
import { checkObjectName, checkTreePath } from '../names.js'
import { pick } from './bytes.js'
import type { Content } from './content.js'
import type { Runner } from './runner.js'
import { carryOut, needsRoom } from './tree-operations.js'

/** Files in one batch of a scan. */
const batchFiles = 1000
/** Fills returned buffers. */
const spoiledByte = 0xdd

export class MemoryTree implements TreeStore {
  readonly #content: Content
  readonly #runner: Runner

  constructor(content: Content, runner: Runner) {
    this.#content = content
    this.#runner = runner
  }

  get foldsCase(): boolean {
    return this.#content.tree.foldsCase
  }

  async *scan(_skipped: (path: string, why: string) => void): AsyncIterable<TreeEntry[]> {
    const { tree } = this.#content
    const paths = tree.paths()
    for (let start = 0; start < paths.length; start += batchFiles) {
      const effect = (): TreeEntry[] =>
        paths.slice(start, start + batchFiles).flatMap((path) => tree.entry(path) ?? [])
      const entries = await this.#runner.run({ operation: 'tree.scan', channel: 'scan', effect })
      if (entries.length > 0) yield entries
    }
    this.#runner.check()
  }

  async stat(paths: readonly string[]): Promise<(FileStat | undefined)[]> {
    checkLimit(paths.length, itemsMax, 'the paths of one stat')
    for (const path of paths) checkTreePath(path)
    const effect = (): (FileStat | undefined)[] =>
      paths.map((path) => this.#content.tree.stat(path))
    return await this.#runner.run({ operation: 'tree.stat', channel: 'tree.read', effect })
  }

  async obstacles(paths: readonly string[]): Promise<(Obstacle | undefined)[]> {
    checkLimit(paths.length, itemsMax, 'the paths of one look for obstacles')
    for (const path of paths) checkTreePath(path)
    const effect = (): (Obstacle | undefined)[] =>
      paths.map((path) => this.#content.tree.obstacleTo(path))
    return await this.#runner.run({ operation: 'tree.obstacles', channel: 'tree.read', effect })
  }

  async read(requests: readonly ReadRequest[], lend: boolean = false): Promise<ReadAnswer> {
    checkLimit(requests.length, itemsMax, 'the requests of one read')
    let bytes = 0
    for (const { path, offset, length } of requests) {
      checkTreePath(path)
      checkCount(offset, 'the offset')
      checkCount(length, 'the length')
      bytes += length
    }
    checkLimit(bytes, readBytesMax, 'the read of files, in bytes')
    const effect = (): ReadAnswer => this.#readAll(requests)
    const answer = await this.#runner.run({ operation: 'tree.read', channel: 'tree.read', effect })
    // Overwritten, so that a use after the return is noticed.
    return lend ? { ...answer, release: () => answer.buffer.fill(spoiledByte) } : answer
  }

  async apply(operations: readonly TreeOperation[]): Promise<(AppliedStat | undefined)[]> {
    checkLimit(operations.length, itemsMax, 'the operations of one apply')
    let bytes = 0
    for (const operation of operations) {
      checkOperation(operation)
      if ('bytes' in operation) bytes += operation.bytes.byteLength
    }
    checkLimit(bytes, applyBytesMax, 'the bytes of one apply')
    // Copied for a call that waits, because the caller may change the bytes meanwhile.
    const own = this.#runner.immediate ? operations : operations.map(withOwnBytes)
    return await this.#runner.run({
      operation: 'tree.apply',
      channel: 'tree.apply',
      effect: () => own.map((operation) => this.#carryOut(operation)),
      partial: (random) => {
        try {
          for (const operation of own.slice(0, pick(random, own.length))) this.#carryOut(operation)
        } catch {
          // Ignored: the process crashed before it got the error.
        }
      },
    })
  }

  async takeIn(): Promise<void> {
    const move = (name: string): string[] => {
      const mode = this.#content.modes.get(name) ?? 0o644
      const install = {
        kind: 'install',
        path: name,
        area: 'incoming',
        name,
        mode,
        move: true,
      } as const
      try {
        this.#carryOut(install)
        return [name]
      } catch (error) {
        if (HotspareError.is(error, 'PATH_BLOCKED')) return []
        throw error
      }
    }
    await this.#runner.run({
      operation: 'tree.takeIn',
      channel: 'tree.apply',
      effect: () => {
        const moved = this.#content.incoming().flatMap(move)
        this.#content.checkSync()
        for (const path of moved) this.#content.tree.sync(path)
      },
      partial: (random) => {
        const all = this.#content.incoming()
        for (const name of all.slice(0, pick(random, all.length))) move(name)
      },
    })
  }

  async sync(paths: readonly string[] | 'all'): Promise<void> {
    if (paths !== 'all') for (const path of paths) checkTreePath(path)
    const { tree } = this.#content
    const effect = (): void => {
      const bad = [...tree.failed].find((path) => paths === 'all' || paths.includes(path))
      if (bad !== undefined) throw storageFailed(`an earlier sync of ${bad} failed`, bad)
      const sync = (): void => {
        if (paths === 'all') tree.syncAll()
        else for (const path of paths) tree.sync(path)
      }
      this.#content.syncOrLose(sync, (isLost) => {
        for (const path of paths === 'all' ? tree.paths() : paths) {
          tree.failed.add(path)
          if (isLost) tree.drop(path)
        }
      })
    }
    await this.#runner.run({ operation: 'tree.sync', channel: 'tree.sync', effect })
  }

  #carryOut(operation: TreeOperation): AppliedStat | undefined {
    this.#content.checkChange(needsRoom(operation))
    if (!isInPlace(operation)) return carryOut(this.#content, operation)
    const sizeBefore = this.#content.tree.stat(operation.path)?.size ?? 0
    const stat = carryOut(this.#content, operation)
    return stat === undefined ? undefined : { ...stat, sizeBefore }
  }

  #readAll(requests: readonly ReadRequest[]): ReadAnswer {
    const { tree } = this.#content
    const parts: Uint8Array[] = []
    let start = 0
    const results = requests.map(({ path, offset, length }): ReadResult | 'missing' => {
      const stat = tree.stat(path)
      const part = tree.get(path)?.bytes.view(offset, offset + length)
      if (stat === undefined || part === undefined) return 'missing'
      parts.push(part)
      start += part.byteLength
      // Memory has no holes. Any file of at least a block is reported as sparse, so that
      // simulations exercise that path.
      const isSparse = stat.size >= blockBytes
      return { start: start - part.byteLength, length: part.byteLength, stat, isSparse }
    })
    const buffer = new Uint8Array(start)
    let end = 0
    for (const part of parts) {
      buffer.set(part, end)
      end += part.byteLength
    }
    return { buffer, results }
  }
}

function checkOperation(operation: TreeOperation): void {
  checkTreePath(operation.path)
  if ('offset' in operation) checkCount(operation.offset, 'the offset')
  if ('size' in operation) checkCount(operation.size, 'the size')
  if ('mode' in operation) checkCount(operation.mode, 'the mode')
  if ('area' in operation) checkObjectName(operation.area, operation.name)
}

function withOwnBytes(operation: TreeOperation): TreeOperation {
  return 'bytes' in operation ? { ...operation, bytes: new Uint8Array(operation.bytes) } : operation
}

function isInPlace({ kind }: TreeOperation): boolean {
  return kind === 'patch' || kind === 'patchObject' || kind === 'truncate'
}
