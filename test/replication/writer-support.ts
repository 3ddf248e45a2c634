/** A copy without storage, whose durability a test controls, and a writer on it. */

import type { Change, FileChange } from '../../src/changes/change.js'
import { changesOf, type Entry, inSyncOf, lastSeqOf, singlesOf } from '../../src/changes/entry.js'
import type { UpdateResult } from '../../src/copy/contents/types.js'
import type { ReadFile } from '../../src/copy/files/copy-files.js'
import type { FileRecord } from '../../src/copy/files/types.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { WriteGate } from '../../src/node/writes/write-gate.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { neverSynced } from '../../src/policy/kinds/never-synced.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import type { WriterEvent } from '../../src/replication/in-sync/types.js'
import {
  type WriterCopy,
  type WriterFiles,
  type WriterOptions,
  writerLimits,
} from '../../src/replication/write/types.js'
import { Writer } from '../../src/replication/write/writer.js'
import { memory } from '../../src/storage/memory.js'
import { TestClock } from '../support/clock.js'

interface FakeFile {
  bytes: Uint8Array
  mode: number
  version: number
}

/** The files of a copy; what is blocked is up to the test. */
class FakeFiles extends Map<string, FakeFile> implements WriterFiles {
  /** Paths that were looked at, a list for each look. */
  readonly looks: (readonly string[])[] = []
  readonly blocked = new Map<string, HotspareError>()
  look: Promise<void> = Promise.resolve()

  stat(path: string): FileRecord | undefined {
    const file = this.get(path)
    if (file === undefined) return undefined
    return { size: file.bytes.length, mode: file.mode, version: file.version }
  }

  list(prefix = ''): string[] {
    return [...this.keys()].filter((path) => path.startsWith(prefix)).sort()
  }

  async findBlocked(paths: readonly string[]): Promise<ReadonlyMap<string, HotspareError>> {
    this.looks.push(paths)
    await this.look
    return new Map(this.blocked)
  }

  async read(path: string, offset = 0, length?: number): Promise<ReadFile> {
    const file = this.get(path)
    const record = this.stat(path)
    if (file === undefined || record === undefined) throw new HotspareError('FILE_NOT_FOUND')
    const end = length === undefined ? undefined : offset + length
    return { bytes: file.bytes.subarray(offset, end), record }
  }
}

/** Looks like a node's copy; what is durable is up to the test. */
export class FakeCopy implements WriterCopy {
  seq = 0
  ackedSeq = 0
  failed: HotspareError | undefined
  lastOrdinal = 0
  durableOrdinal = 0
  congested = false
  contentBytes = 0
  journalBytesMax = Number.POSITIVE_INFINITY
  /** Whether everything becomes durable in the microtask after it was appended. */
  prompt = true
  readonly entries: Entry[] = []
  readonly files = new FakeFiles()
  apply: (change: unknown) => UpdateResult = (value) => ({ ok: true, value })
  readonly #durable = new Set<(ordinal: number) => void>()
  readonly #failure = new Set<(error: HotspareError) => void>()
  #flushes: { ordinal: number; resolve: () => void; reject: (error: unknown) => void }[] = []
  #decongest: (() => void)[] = []

  append(entry: Entry): { ordinal: number; results: readonly UpdateResult[] | undefined } {
    if (this.failed !== undefined) throw this.failed
    if (entry.header.firstSeq !== this.seq + 1) throw new Error(`gap at ${entry.header.firstSeq}`)
    this.entries.push(entry)
    this.lastOrdinal += 1
    this.seq = lastSeqOf(entry.header)
    if (this.prompt) queueMicrotask(() => this.makeDurable())
    const ordinal = this.lastOrdinal
    if (entry.header.kind !== 'changes') return { ordinal, results: undefined }
    const results = changesOf(entry).map((change, at) =>
      this.#take(change, entry.header.firstSeq + at),
    )
    return { ordinal, results }
  }

  #take(change: Change, seq: number): UpdateResult {
    const outcomes = singlesOf(change).map((single) => {
      if (single.kind === 'update') return this.apply(single.value)
      this.#takeFile(single, seq)
      return undefined
    })
    return change.kind === 'transaction' ? { ok: true, value: outcomes } : outcomes[0]
  }

  #takeFile(change: FileChange, seq: number): void {
    const before = this.files.get(change.path)
    if (change.kind === 'remove') {
      this.files.delete(change.path)
      return
    }
    const mode = change.kind === 'put' ? change.mode : (before?.mode ?? 0o644)
    const old = change.kind === 'put' ? Buffer.alloc(0) : Buffer.from(before?.bytes ?? [])
    if (change.kind === 'truncate') {
      const bytes = Buffer.alloc(change.size)
      bytes.set(old.subarray(0, change.size))
      this.files.set(change.path, { bytes, mode, version: seq })
      return
    }
    const content = change.bytes ?? Buffer.alloc(change.blob?.bytes ?? 0)
    const offset = change.kind === 'patch' ? change.offset : 0
    const bytes = Buffer.alloc(Math.max(old.length, offset + content.length))
    bytes.set(old)
    bytes.set(content, offset)
    this.files.set(change.path, { bytes, mode, version: seq })
  }

  /** Makes everything up to this ordinal durable; by default everything. */
  makeDurable(ordinal = this.lastOrdinal): void {
    if (ordinal <= this.durableOrdinal) return
    this.durableOrdinal = ordinal
    for (const listener of this.#durable) listener(ordinal)
    const done = this.#flushes.filter((flush) => flush.ordinal <= ordinal)
    this.#flushes = this.#flushes.filter((flush) => flush.ordinal > ordinal)
    for (const flush of done) flush.resolve()
  }

  /** Makes the copy fail, but not its journal. */
  failBeside(error = new HotspareError('STORAGE_FULL')): void {
    this.failed = error
    for (const listener of this.#failure) listener(error)
  }

  fail(error = new HotspareError('STORAGE_FULL')): void {
    this.failBeside(error)
    for (const flush of this.#flushes.splice(0)) flush.reject(error)
  }

  onDurable(listener: (ordinal: number) => void): () => void {
    this.#durable.add(listener)
    return () => this.#durable.delete(listener)
  }

  onFailure(listener: (error: HotspareError) => void): () => void {
    this.#failure.add(listener)
    return () => this.#failure.delete(listener)
  }

  decongested(): Promise<void> {
    return new Promise((resolve) => this.#decongest.push(resolve))
  }

  decongest(): void {
    this.congested = false
    for (const resolve of this.#decongest.splice(0)) resolve()
  }

  flush(): Promise<void> {
    if (this.durableOrdinal >= this.lastOrdinal) return Promise.resolve()
    const ordinal = this.lastOrdinal
    return new Promise((resolve, reject) => this.#flushes.push({ ordinal, resolve, reject }))
  }

  /** The in-sync sets in the journal, in order. */
  sets(): string[][] {
    return this.entries.filter((entry) => entry.header.kind === 'inSync').map(inSyncOf)
  }

  /** The changes in the journal, a list for each batch. */
  batches(): Change[][] {
    return this.entries.filter((entry) => entry.header.kind === 'changes').map(changesOf)
  }
}

export const term = { epoch: 3, nodeId: 'alpha', bootId: 'boot' }

export const policy = new SyncPolicy({
  state: appState<unknown, unknown>({ snapshot: () => [], restore: () => {}, apply: () => 0 }),
  volatile: appState<unknown, unknown>(
    { snapshot: () => [], restore: () => {}, apply: () => 0 },
    { durability: 'memory' },
  ),
  local: appState<unknown, unknown>(
    { snapshot: () => [], restore: () => {}, apply: () => 0 },
    { ack: 'local' },
  ),
  files: synced('files/**'),
  strict: synced('strict/**', { ack: 'all' }),
  own: neverSynced('own/**', { reason: 'differs' }),
})

/** A seeded source of names. */
export function counting(): { bytes(count: number): Uint8Array; number(): number } {
  let next = 1
  return {
    bytes: (count) => {
      const bytes = Buffer.alloc(count)
      bytes.writeUInt32LE(next, 0)
      next += 1
      return bytes
    },
    number: () => 0.5,
  }
}

export interface Bench {
  readonly copy: FakeCopy
  readonly clock: TestClock
  readonly events: WriterEvent[]
  readonly storage: OpenStorage
  readonly writer: Writer
  /** Set to make the tenure doubtful. */
  tenure: { doubtful: boolean }
}

/** Opens a writer on a fake copy; three members, alpha writes. */
export async function openWriter(
  options: Partial<WriterOptions> = {},
  copy: FakeCopy = new FakeCopy(),
): Promise<Bench> {
  const clock = new TestClock()
  const events: WriterEvent[] = []
  const storage = await memory().open({ nodeId: 'alpha', bootId: 'boot' })
  const tenure = { doubtful: false }
  const writer = await Writer.open({
    copy,
    policy,
    clock,
    random: counting(),
    storage,
    term,
    nodeId: 'alpha',
    members: ['alpha', 'beta', 'gamma'].map((id) => ({ id, promotable: true })),
    degradeAfterMs: 2000,
    onNoStandby: 'degrade',
    flowControl: 'redundancy',
    limits: writerLimits,
    degraded: false,
    blobs: { distribute: async () => {}, withdraw: () => {} },
    emit: (event) => events.push(event),
    tenure: { mayAct: () => !tenure.doubtful },
    ...options,
  })
  return { copy, clock, events, storage, writer, tenure }
}

/** The gate of a node that is active with this writer. */
export function gateTo(writer: Writer, { objects }: OpenStorage): WriteGate {
  const refusal = (): HotspareError => new HotspareError('NOT_ACTIVE')
  return new WriteGate({ writer, objects, ended: undefined, hold: () => undefined, refusal })
}

/** Adds a follower that is in sync at once and holds everything so far. */
export function inSync(bench: Bench, id: string): ReturnType<Writer['addFollower']> {
  const follower = bench.writer.addFollower(id, { promotable: true })
  follower.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
  follower.caughtUp()
  bench.copy.makeDurable()
  return follower
}

/** Runs everything that is ready, for several turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** The state of a promise. */
export async function stateOf(
  promise: Promise<unknown>,
): Promise<'pending' | 'resolved' | 'rejected'> {
  await settle()
  return Promise.race([
    promise.then(
      () => 'resolved' as const,
      () => 'rejected' as const,
    ),
    new Promise<'pending'>((resolve) => setImmediate(() => resolve('pending'))),
  ])
}

/** The error code with which a promise rejects. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return HotspareError.is(error) ? error.code : String(error)
  }
}
