import { describe, expect, test } from 'vitest'
import type { CopyEvent, CopyLimits } from '../../src/copy/contents/types.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import type { StatePosition } from '../../src/policy/kinds/app-state.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  EntryMaker,
  gated,
  openCopy,
  owner,
  put,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  update,
  watched,
} from './support.js'

/** An application that stores its state itself, with the position, whenever it is told to. */
class Persistent {
  stored: { sum: number; position: StatePosition | undefined } = { sum: 0, position: undefined }
  sum = 0
  at: StatePosition | undefined
  restores = 0
  applied: number[] = []
  givesSnapshots = true

  /** The process starts: what is in memory is what was stored. */
  start(): Record<string, unknown> {
    this.sum = this.stored.sum
    this.at = this.stored.position
    this.applied = []
    this.restores = 0
    return {
      docs: synced('docs/**'),
      kv: appState<{ add: number }, number>({
        snapshot: () => {
          if (!this.givesSnapshots) throw new Error('there is no snapshot to be had now')
          return this.sum
        },
        restore: (snapshot) => {
          this.restores += 1
          this.sum = snapshot as number
        },
        apply: ({ add }, position) => {
          this.applied.push(position.seq)
          this.sum += add
          this.at = position
          return this.sum
        },
        position: () => this.stored.position,
      }),
    }
  }

  store(): void {
    this.stored = { sum: this.sum, position: this.at }
  }
}

const startLimits: CopyLimits = {
  ...smallLimits,
  checkpointBytes: 4000,
  journalBytesMax: 12_000,
}

async function start(
  storage: MemoryStorage,
  classes: Record<string, unknown>,
  events: CopyEvent[] = [],
  changed: Partial<CopyLimits> = {},
): Promise<LocalCopy> {
  const policy = new SyncPolicy(classes as never) as unknown as SyncPolicy
  const limits = { ...startLimits, ...changed }
  return openCopy(await storage.open(owner()), policy, { events, limits })
}

/**
 * Takes the stored snapshot of the class away, as on a disk that an earlier version left, or that
 * lost it.
 */
async function removeSnapshot(storage: MemoryStorage): Promise<void> {
  const open = await storage.open(owner())
  await open.documents.remove('state/kv')
  await open.close()
}

describe('classes of application state', () => {
  test('a state is rebuilt from its snapshot and the journal, once each', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    node.copy.append(maker.batch(update('x', 1)))
    await node.copy.close()
    const second = await startNode(crashed(node.storage))
    second.copy.append(maker.batch(update('x', 10)))
    await second.copy.flush()
    const third = await startNode(crashed(node.storage))
    expect(third.state.restores).toBe(1)
    expect(third.state.applied).toEqual([2])
    expect(third.state.values.get('x')).toBe(11)
    await third.copy.close()
  })

  test('small changes of a large state do not store it again at every checkpoint', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    for (let at = 0; at < 5; at += 1) {
      node.copy.append(maker.batch(update('x', 1)))
      await node.copy.checkpoint()
    }
    const second = await startNode(crashed(node.storage))
    expect(second.state.restores).toBe(0)
    expect(second.state.applied).toEqual([1, 2, 3, 4, 5])
    await second.copy.close()
  })

  test('with its own position, changes up to it are skipped', async () => {
    const app = new Persistent()
    const storage = memory()
    const copy = await start(storage, app.start())
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1), put('docs/a', 'a'), update('x', 2)))
    app.store()
    copy.append(maker.batch(update('x', 4)))
    await copy.settle()
    const again = await start(crashed(storage), app.start())
    expect(app.applied).toEqual([4])
    expect(app.restores).toBe(0)
    expect(app.sum).toBe(7)
    expect(again.complete).toBe(true)
    await again.close()
  })

  test('an application that lost its own store gets every change again, also those that it had stored', async () => {
    for (const isStored of [false, true]) {
      const app = new Persistent()
      const storage = memory()
      const maker = new EntryMaker()
      const first = await start(storage, app.start(), [], { checkpointBytes: isStored ? 1 : 4000 })
      first.append(maker.open())
      first.append(maker.batch(update('x', 1)))
      await first.checkpoint()
      await first.close()
      const second = await start(crashed(storage), app.start())
      second.append(maker.batch(update('x', 2)))
      app.store()
      await second.close()
      // It goes on from its own position, and the checkpoint that follows must not count that as
      // stored here.
      const third = await start(crashed(storage), app.start())
      third.append(maker.batch(put('docs/a', 'a'), update('x', 4)))
      await third.checkpoint()
      await third.close()
      app.stored = { sum: 0, position: undefined }
      const again = await start(crashed(storage), app.start())
      expect([app.restores, app.sum]).toEqual([1, 7])
      await again.close()
    }
  })

  test('a restore() that throws is named with its class, at a start', async () => {
    const first = await startNode()
    const maker = new EntryMaker()
    first.copy.append(maker.open())
    first.copy.append(maker.batch(update('a', 1)))
    await first.copy.settle()
    await first.copy.close()
    const failing = new SyncPolicy({
      kv: appState({
        snapshot: () => null,
        restore: () => {
          throw new TypeError('cannot read x of undefined')
        },
        apply: () => undefined,
      }),
    }) as unknown as SyncPolicy
    const opening = openCopy(await crashed(first.storage).open(owner()), failing)
    await expect(opening).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: expect.stringContaining(
        "restore() of the class 'kv' threw: TypeError: cannot read x",
      ),
      details: { className: 'kv' },
    })
  })

  test('a position that is not in the journal falls back to the state that the application began with', async () => {
    for (const position of [
      { epoch: 1, seq: 7 },
      { epoch: 2, seq: 1 },
    ]) {
      const app = new Persistent()
      const storage = memory()
      const copy = await start(storage, app.start())
      const maker = new EntryMaker()
      copy.append(maker.open())
      copy.append(maker.batch(update('x', 1)))
      await copy.flush()
      // The application stored changes that the journal lost in the crash.
      app.stored = { sum: 9, position }
      const again = await start(crashed(storage), app.start())
      expect(again.stateNeedsRestore).toEqual([])
      expect(app.restores).toBe(1)
      expect([app.sum, app.applied]).toEqual([1, [1]])
      await again.close()
    }
  })

  test('an application whose state is older than the node is kept from where it stands at the first start', async () => {
    const app = new Persistent()
    const storage = memory()
    const copy = await start(storage, app.start())
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1), update('x', 2)))
    app.store()
    await copy.close()
    // As an earlier version left it.
    const old = crashed(storage)
    await removeSnapshot(old)
    const second = await start(old, app.start())
    second.append(maker.batch(update('x', 4)))
    await second.flush()
    app.stored = { sum: 99, position: { epoch: 1, seq: 9 } }
    const again = await start(crashed(storage), app.start())
    expect([app.sum, app.applied]).toEqual([7, [3]])
    await again.close()
  })

  test('a first snapshot that could not be taken at the start is stored by the next checkpoint', async () => {
    const app = new Persistent()
    const storage = memory()
    const events: CopyEvent[] = []
    app.givesSnapshots = false
    const copy = await start(storage, app.start(), events)
    expect(events).toContainEqual(expect.objectContaining({ name: 'snapshotFailed' }))
    app.givesSnapshots = true
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    await copy.checkpoint()
    app.stored = { sum: 9, position: { epoch: 1, seq: 7 } }
    const again = await start(crashed(storage), app.start())
    expect([app.restores, app.sum]).toEqual([1, 1])
    await again.close()
  })

  test('a position beyond the journal, without a snapshot, needs a restore', async () => {
    const app = new Persistent()
    const storage = memory()
    const copy = await start(storage, app.start())
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    await copy.flush()
    app.stored = { sum: 9, position: { epoch: 1, seq: 7 } }
    const events: CopyEvent[] = []
    const lost = crashed(storage)
    await removeSnapshot(lost)
    const again = await start(lost, app.start(), events)
    expect(again.stateNeedsRestore).toEqual(['kv'])
    expect(again.complete).toBe(false)
    expect(events).toContainEqual(expect.objectContaining({ name: 'stateLost', className: 'kv' }))
    // It stays lost, whatever the application says later: changes may have been skipped meanwhile.
    await again.close()
    app.stored = { sum: 1, position: { epoch: 1, seq: 1 } }
    const later = await start(crashed(lost), app.start())
    expect(later.stateNeedsRestore).toEqual(['kv'])
    await later.close()
  })

  test('a position that the journal left behind falls back to the snapshot', async () => {
    const app = new Persistent()
    const storage = memory()
    const copy = await start(storage, app.start())
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    app.store()
    for (let at = 0; at < 300; at += 1) {
      copy.append(
        maker.batch({ kind: 'update', className: 'kv', value: { add: 1, pad: pad(200) } }),
      )
      await copy.settle()
    }
    await copy.checkpoint()
    expect(copy.firstSeq).toBeGreaterThan(100)
    const again = await start(crashed(storage), app.start())
    expect(app.restores).toBe(1)
    expect(app.sum).toBe(301)
    expect(again.complete).toBe(true)
    await again.close()
  })

  test('a class that a newer policy adds begins empty; one whose changes were skipped is lost', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('docs/a', 'a')))
    await old.close()
    const app = new Persistent()
    const fresh = await start(crashed(storage), app.start())
    expect(fresh.complete).toBe(true)
    await fresh.close()
    const older = await start(crashed(storage), { docs: synced('docs/**') })
    older.append(maker.batch(update('x', 1)))
    expect(older.complete).toBe(true)
    await older.close()
    const again = await start(crashed(storage), app.start())
    expect(again.stateNeedsRestore).toEqual(['kv'])
    await again.close()
    const third = await start(crashed(storage), app.start())
    expect(third.stateNeedsRestore).toEqual(['kv'])
    await third.close()
  })

  test('a class of files that a newer policy adds, after changes of it were skipped, is lacking', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('config/a', 'a', 'config')))
    await old.close()
    const again = await start(crashed(storage), {
      docs: synced('docs/**'),
      config: synced('config/**'),
    })
    expect(again.stateNeedsRestore).toEqual(['config'])
    expect(again.complete).toBe(false)
    await again.close()
  })

  test('a path that a newer policy gives away is dropped from the index, not from the disk', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('docs/a', 'a'), put('docs/b/c', 'c')))
    await old.close()
    const again = await start(crashed(storage), {
      docs: synced(['docs/**', '!docs/b/**']),
      more: synced('docs/b/**'),
    })
    expect(again.files.list()).toEqual(['docs/a', 'docs/b/c'])
    expect(again.index.get('docs/b/c')?.className).toBe('more')
    await again.close()
    const third = await start(crashed(storage), { more: synced('docs/b/**') })
    expect(third.files.list()).toEqual(['docs/b/c'])
    expect(storage.outside.list()).toEqual(['docs/a', 'docs/b/c'])
    await third.close()
  })

  test('a snapshot is taken between two changes, with its place', async () => {
    const { copy, state } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    const pending = copy.stateSnapshot('kv')
    copy.append(maker.batch(update('x', 1)))
    const { seq, bytes } = await pending
    expect(seq).toBe(1)
    expect(bytes.length).toBeGreaterThan(0)
    expect(state.values.get('x')).toBe(2)
    await expect(copy.stateSnapshot('docs')).rejects.toMatchObject({ code: 'CLASS_UNKNOWN' })
    await copy.close()
  })

  test('a stored snapshot waits until the journal has all that is in it', async () => {
    const calls: string[] = []
    let isHeld = false
    let release: () => void = () => undefined
    const hold = (): Promise<void> =>
      isHeld ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve()
    const open = gated(await memory().open(owner()), 'append', hold)
    const state = new TestState()
    const limits = { ...smallLimits, checkpointBytes: 1 }
    const copy = await openCopy(
      watched(open, (what) => calls.push(what)),
      testPolicy(state),
      { limits },
    )
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(update('x', 1)))
    await copy.flush()
    await copy.checkpoint()
    copy.append(maker.batch(update('x', 1)))
    await copy.flush()
    calls.length = 0
    isHeld = true
    const made = copy.checkpoint()
    copy.append(maker.batch(update('x', 1)))
    await turns(20)
    expect(calls).not.toContain('documents.write')
    isHeld = false
    release()
    await made
    expect(calls).toContain('documents.write')
    await copy.close()
  })

  test.each(Object.keys(badSnapshots) as (keyof typeof badSnapshots)[])(
    'a snapshot that %s costs nothing but journal, which is kept until one is stored',
    async (kind) => {
      const { snapshot, why } = badSnapshots[kind]
      const storage = memory()
      const events: CopyEvent[] = []
      const state = new Failing()
      state.snapshot = snapshot
      const limits = { snapshotBytesMax: 2000 }
      const copy = await start(storage, state.classes(), events, limits)
      const maker = new EntryMaker()
      copy.append(maker.open())
      for (let at = 0; at < 200; at += 1) {
        copy.append(maker.batch({ kind: 'update', className: 'kv', value: pad(500) }))
        await copy.settle()
      }
      await copy.checkpoint()
      expect(copy.failed).toBeUndefined()
      const reason = expect.stringMatching(new RegExp(`the snapshot of 'kv' failed: .*${why}`))
      const error = expect.objectContaining({ code: 'SNAPSHOT_FAILED', message: reason })
      // The same is told once.
      expect(events).toEqual([{ name: 'snapshotFailed', className: 'kv', error }])
      expect(copy.states.failures).toEqual([{ className: 'kv', reason }])
      await expect(copy.stateSnapshot('kv')).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' })
      const second = new Failing()
      const again = await start(crashed(storage), second.classes(), events)
      expect(second.applied).toBe(200)
      again.append(maker.batch({ kind: 'update', className: 'kv', value: pad(5000) }))
      await again.settle()
      await again.checkpoint()
      expect(again.firstSeq).toBeGreaterThan(50)
      expect(again.states.failures).toEqual([])
      await again.close()
    },
  )

  test('a snapshot that the storage does not take costs nothing but journal', async () => {
    const open = await memory().open(owner())
    const { documents, logs, objects, tree } = open
    let isRefused = true
    const refusing: OpenStorage = {
      documents: {
        read: (name) => documents.read(name),
        write: async (name, value) => {
          const refuses = isRefused && name.startsWith('state/')
          if (refuses) throw new HotspareError('STORAGE_FULL', 'no room')
          await documents.write(name, value)
        },
        remove: (name) => documents.remove(name),
        list: (prefix) => documents.list(prefix),
      },
      logs,
      objects,
      tree,
      close: () => open.close(),
    }
    const events: CopyEvent[] = []
    const policy = new SyncPolicy(new Failing().classes()) as unknown as SyncPolicy
    const limits = { ...smallLimits, checkpointBytes: 1 }
    const copy = await openCopy(refusing, policy, { events, limits })
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'a')))
    copy.append(maker.batch({ kind: 'update', className: 'kv', value: 1 }))
    await copy.settle()
    await copy.checkpoint()
    expect(events.map(({ name }) => name)).toEqual(['snapshotFailed'])
    expect(copy.states.failures[0]?.reason).toContain('no room')
    expect(copy.failed).toBeUndefined()
    isRefused = false
    copy.append(maker.batch({ kind: 'update', className: 'kv', value: 2 }))
    await copy.checkpoint()
    expect(copy.states.failures).toEqual([])
    await copy.close()
  })

  test('a snapshot of more than 64 MiB is stored, and is there after a restart', async () => {
    const bytes = Buffer.alloc(70 * 1024 * 1024, 7)
    const storage = memory()
    const state = new Failing()
    state.snapshot = () => [bytes]
    const copy = await start(storage, state.classes())
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch({ kind: 'update', className: 'kv', value: 1 }))
    await copy.close()
    const second = new Failing()
    const again = await start(crashed(storage), second.classes())
    expect(again.complete).toBe(true)
    expect(bytes.equals((second.restored as [Buffer])[0])).toBe(true)
    await again.close()
  })
})

/** A state whose snapshots go wrong. */
class Failing {
  applied = 0
  restored: unknown
  snapshot: () => unknown = () => this.applied

  classes(): Record<string, ReturnType<typeof appState> | ReturnType<typeof synced>> {
    return {
      docs: synced('docs/**'),
      kv: appState({
        snapshot: () => this.snapshot(),
        restore: (snapshot) => {
          this.restored = snapshot
        },
        apply: () => {
          this.applied += 1
        },
      }),
    }
  }
}

const badSnapshots = {
  throws: {
    snapshot: (): unknown => {
      throw new RangeError('not now')
    },
    why: 'RangeError: not now',
  },
  'is a promise': { snapshot: () => Promise.resolve([1]), why: 'returned a promise' },
  'is no plain data': {
    snapshot: () => ({ all: new Map() }),
    why: 'it contains an instance of Map',
  },
  'is too large': { snapshot: () => 'x'.repeat(3000), why: 'above the limit of 2000' },
}

const pad = (length: number): string => 'p'.repeat(length)

function crashed(storage: MemoryStorage): MemoryStorage {
  storage.crash(new SeededRandom(1), { powerCut: false })
  return storage
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
