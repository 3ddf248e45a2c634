/**
 * Local copies for tests: a seeded random, a policy with one class of each kind, a model of what a
 * copy holds.
 */

import type { Change, SingleChange } from '../../src/changes/change.js'
import type { Entry } from '../../src/changes/entry.js'
import { encodeChanges, encodeInSync, encodeTerm } from '../../src/changes/entry.js'
import type { CopyEvent, CopyLimits } from '../../src/copy/contents/types.js'
import { copyLimits } from '../../src/copy/contents/types.js'
import { isNothing } from '../../src/copy/files/tree-scan.js'
import { LocalCopy } from '../../src/copy/local-copy.js'
import type { Term } from '../../src/history/position.js'
import type { ObjectStore } from '../../src/interfaces/object-store.js'
import type { Random } from '../../src/interfaces/random.js'
import type { Log, LogStore, OpenStorage } from '../../src/interfaces/storage.js'
import type { TreeStore } from '../../src/interfaces/tree-store.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { neverSynced } from '../../src/policy/kinds/never-synced.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { TestClock } from '../support/clock.js'

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const untext = (value: Uint8Array): string => new TextDecoder().decode(value)

/** State of the application in a test; it counts how often its hooks are called. */
export class TestState {
  values = new Map<string, number>()
  applied: number[] = []
  restores = 0

  readonly declaration = appState<{ key: string; add: number }, number>({
    snapshot: () => [...this.values],
    restore: (snapshot) => {
      this.restores += 1
      this.values = new Map(snapshot as [string, number][])
    },
    apply: ({ key, add }, position) => {
      this.applied.push(position.seq)
      if (key === 'bad') throw new Error('bad key')
      const value = (this.values.get(key) ?? 0) + add
      this.values.set(key, value)
      return value
    },
  })
}

export interface TestNode {
  readonly storage: MemoryStorage
  readonly state: TestState
  readonly policy: SyncPolicy
  readonly events: CopyEvent[]
  copy: LocalCopy
  /** Puts an object into the area of blobs. */
  store(id: string, bytes: number): Promise<void>
  /** Names of all blobs. */
  stored(): Promise<string[]>
}

export const smallLimits: CopyLimits = {
  ...copyLimits,
  segmentBytes: 4096,
  tailBytesMax: 2048,
  journalBytesMax: 64 * 1024,
}

export function testPolicy(state: TestState): SyncPolicy {
  return new SyncPolicy({
    docs: synced('docs/**'),
    config: synced('config/**'),
    local: neverSynced('local/**', { reason: 'differs per machine' }),
    kv: state.declaration,
  }) as unknown as SyncPolicy
}

export interface OpenOptions {
  readonly limits?: CopyLimits
  readonly random?: Random
  readonly events?: CopyEvent[]
  readonly clock?: TestClock
}

export async function openCopy(
  storage: OpenStorage,
  policy: SyncPolicy,
  options: OpenOptions = {},
): Promise<LocalCopy> {
  return LocalCopy.open({
    storage,
    policy,
    clock: options.clock ?? new TestClock(),
    random: options.random ?? new SeededRandom(1),
    limits: options.limits ?? smallLimits,
    emit: (event) => options.events?.push(event),
  })
}

let boots = 0

export function owner(nodeId: string = 'alpha'): { nodeId: string; bootId: string } {
  boots += 1
  return { nodeId, bootId: `b${boots}` }
}

/** A node on storage in memory, new or the given one. */
export async function startNode(
  storage: MemoryStorage = memory(),
  options: OpenOptions = {},
): Promise<TestNode> {
  const state = new TestState()
  const policy = testPolicy(state)
  const events = options.events ?? []
  const open = await storage.open(owner())
  const copy = await openCopy(open, policy, { ...options, events })
  const store = async (id: string, bytes: number): Promise<void> => {
    const slice = { name: id, offset: 0, start: 0, length: bytes }
    await open.objects.write('blobs', new Uint8Array(bytes).fill(97), [slice])
    await open.objects.sync('blobs', [id])
  }
  const stored = async (): Promise<string[]> =>
    (await open.objects.list('blobs')).map(({ name }) => name)
  return { storage, state, policy, events, copy, store, stored }
}

/** Makes entries in order, as an active would. */
export class EntryMaker {
  term: Term
  seq: number
  ackedSeq = 0

  constructor(term: Term = { epoch: 1, nodeId: 'alpha', bootId: 'boot' }, seq = 0) {
    this.term = term
    this.seq = seq
  }

  open(): Entry {
    return encodeTerm(this.term, this.seq + 1, this.ackedSeq)
  }

  inSync(members: readonly string[]): Entry {
    return encodeInSync(this.term, this.seq + 1, this.ackedSeq, members)
  }

  batch(...changes: readonly Change[]): Entry {
    const entry = encodeChanges(this.term, this.seq + 1, this.ackedSeq, changes)
    this.seq += changes.length
    return entry
  }
}

export const put = (path: string, content: string, className: string = 'docs'): SingleChange => ({
  kind: 'put',
  className,
  path,
  mode: 0o644,
  bytes: text(content),
  blob: undefined,
})

export const patch = (path: string, offset: number, content: string): SingleChange => ({
  kind: 'patch',
  className: 'docs',
  path,
  offset,
  bytes: text(content),
  blob: undefined,
})

export const truncate = (path: string, size: number): SingleChange => ({
  kind: 'truncate',
  className: 'docs',
  path,
  size,
})

export const remove = (path: string): SingleChange => ({ kind: 'remove', className: 'docs', path })

export const update = (key: string, add: number): SingleChange => ({
  kind: 'update',
  className: 'kv',
  value: { key, add },
})

/** What a copy holds after some changes. */
export class Model {
  files = new Map<string, Uint8Array>()
  values = new Map<string, number>()

  static after(changes: readonly Change[]): Model {
    const model = new Model()
    for (const change of changes) model.apply(change)
    return model
  }

  apply(change: Change): void {
    if (change.kind === 'transaction') for (const one of change.changes) this.#single(one)
    else this.#single(change)
  }

  #single(change: SingleChange): void {
    switch (change.kind) {
      case 'update': {
        const { key, add } = change.value as { key: string; add: number }
        if (key !== 'bad') this.values.set(key, (this.values.get(key) ?? 0) + add)
        return
      }
      case 'put':
        this.files.set(change.path, change.bytes ?? new Uint8Array(0))
        return
      case 'patch': {
        const bytes = change.bytes ?? new Uint8Array(0)
        const size = Math.max(this.#size(change.path), change.offset + bytes.length)
        this.#resize(change.path, size).set(bytes, change.offset)
        return
      }
      case 'truncate':
        this.#resize(change.path, change.size)
        return
      case 'remove':
        this.files.delete(change.path)
    }
  }

  #size(path: string): number {
    return this.files.get(path)?.length ?? 0
  }

  #resize(path: string, size: number): Uint8Array {
    const next = new Uint8Array(size)
    next.set((this.files.get(path) ?? new Uint8Array(0)).subarray(0, size))
    this.files.set(path, next)
    return next
  }

  /** Whether the path may hold a file: none of its folders is one, and it is no folder. */
  admits(path: string): boolean {
    for (const other of this.files.keys()) {
      if (other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) return false
    }
    return true
  }

  plain(): { files: Record<string, string>; values: Record<string, number> } {
    const files = [...this.files].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      files: Object.fromEntries(files.map(([path, bytes]) => [path, untext(bytes)])),
      values: Object.fromEntries([...this.values].sort(([a], [b]) => (a < b ? -1 : 1))),
    }
  }
}

const paths = ['docs/a', 'docs/a/b', 'docs/c', 'docs/d/e', 'docs/d/f', 'docs/d', 'docs/g/h/i']

/** A change that the model admits; it is applied to the model. */
export function randomChange(random: SeededRandom, model: Model): Change {
  const change = random.number() < 0.15 ? randomTransaction(random, model) : single(random, model)
  return change
}

function randomTransaction(random: SeededRandom, model: Model): Change {
  const changes: SingleChange[] = []
  for (let at = random.below(3) + 1; at > 0; at -= 1) changes.push(single(random, model))
  return { kind: 'transaction', changes }
}

function single(random: SeededRandom, model: Model): SingleChange {
  const change = propose(random, model)
  model.apply(change)
  return change
}

function propose(random: SeededRandom, model: Model): SingleChange {
  const path = random.pick(paths)
  const content = 'abcdefghij'[random.below(10)]?.repeat(random.below(40)) ?? ''
  const kind = random.number()
  if (kind < 0.25) return update(random.pick(['x', 'y', 'bad']), random.below(10))
  if (kind < 0.5 && model.files.size > 0) return remove(random.pick([...model.files.keys()]))
  if (!model.admits(path)) return update('z', 1)
  if (kind < 0.7) return put(path, content)
  if (kind < 0.9) return patch(path, random.below(60), content)
  return truncate(path, random.below(60))
}

/** What the copy answers, file by file. */
export async function contentOf(
  node: Pick<TestNode, 'copy' | 'state'>,
): Promise<ReturnType<Model['plain']>> {
  const files: Record<string, string> = {}
  for (const path of node.copy.files.list()) files[path] = untext(await bytesOf(node.copy, path))
  const values = [...node.state.values].sort(([a], [b]) => (a < b ? -1 : 1))
  return { files, values: Object.fromEntries(values) }
}

/** What another program sees in the folder, of paths that match. */
export function treeOf(storage: MemoryStorage, prefix: string = 'docs/'): Record<string, string> {
  const found = storage.outside.list().filter((path) => path.startsWith(prefix))
  return Object.fromEntries(
    found.map((path) => [path, untext(storage.outside.read(path) ?? new Uint8Array(0))]),
  )
}

/** Calls `before` ahead of every call of an open storage, with what it is. */
export function watched(storage: OpenStorage, before: (what: string) => void): OpenStorage {
  const wrap = <T extends object>(name: string, target: T, open?: (log: Log) => Log): T =>
    new Proxy(target, {
      get(object, key) {
        const value: unknown = Reflect.get(object, key, object)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          before(`${name}.${String(key)}`)
          const result: unknown = Reflect.apply(value, object, args)
          if (open === undefined || key !== 'open') return result
          return (result as Promise<Log>).then(open)
        }
      },
    })
  return {
    documents: wrap('documents', storage.documents),
    logs: wrap<LogStore>('logs', storage.logs, (log) => wrap('log', log)),
    objects: wrap<ObjectStore>('objects', storage.objects),
    tree: wrap<TreeStore>('tree', storage.tree),
    close: () => storage.close(),
  }
}

/** Holds calls of logs and the tree with this name back until `gate` resolves. */
export function gated(storage: OpenStorage, name: string, gate: () => Promise<void>): OpenStorage {
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, key) {
        const value: unknown = Reflect.get(object, key, object)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(value, object, args)
          if (key === name) return gate().then(call)
          return key === 'open' ? (call() as Promise<Log>).then((log) => wrap(log)) : call()
        }
      },
    })
  const { documents, objects } = storage
  const [logs, tree] = [wrap(storage.logs), wrap(storage.tree)]
  return { documents, objects, logs, tree, close: () => storage.close() }
}

/** What a read of the file gives. */
export async function bytesOf(
  copy: LocalCopy,
  path: string,
  offset?: number,
  length?: number,
): Promise<Uint8Array> {
  return (await copy.files.read(path, offset, length)).bytes
}

/** Whether files differ from the index, or classes lack changes: a restore has to mend them. */
export function needsRepair({ outside, stateNeedsRestore }: LocalCopy): boolean {
  return !isNothing(outside.report) || stateNeedsRestore.length > 0
}
