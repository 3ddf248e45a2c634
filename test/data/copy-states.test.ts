import { describe, expect, test } from 'vitest'
import type { StatePosition } from '../../src/policy/app-state.js'
import { appState } from '../../src/policy/app-state.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { synced } from '../../src/policy/synced.js'
import type { CopyEvent } from '../../src/replication/copy-types.js'
import type { LocalCopy } from '../../src/replication/local-copy.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import {
  EntryMaker,
  gated,
  openCopy,
  owner,
  put,
  SeededRandom,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  update,
  watched,
} from './copy-support.js'

/** An application that stores its state itself, with the position, whenever it is told to. */
class Persistent {
  stored: { sum: number; position: StatePosition | undefined } = { sum: 0, position: undefined }
  sum = 0
  at: StatePosition | undefined
  restores = 0
  applied: number[] = []

  /** The process starts: what is in memory is what was stored. */
  start(): Record<string, unknown> {
    this.sum = this.stored.sum
    this.at = this.stored.position
    this.applied = []
    this.restores = 0
    return {
      docs: synced('docs/**'),
      kv: appState<{ add: number }, number>({
        snapshot: () => this.sum,
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

async function start(
  storage: MemoryStorage,
  classes: Record<string, unknown>,
  events: CopyEvent[] = [],
): Promise<LocalCopy> {
  const policy = new SyncPolicy(classes as never) as unknown as SyncPolicy
  const limits = { ...smallLimits, checkpointBytes: 4000, journalBytesMax: 12_000 }
  return openCopy(await storage.open(owner()), policy, { events, limits })
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
    const again = await start(crashed(storage), app.start(), events)
    expect(again.stateNeedsRestore).toEqual(['kv'])
    expect(again.complete).toBe(false)
    expect(events).toContainEqual(expect.objectContaining({ name: 'stateLost', className: 'kv' }))
    app.stored = { sum: 9, position: { epoch: 2, seq: 1 } }
    const other = await start(crashed(storage), app.start())
    expect(other.stateNeedsRestore).toEqual(['kv'])
    app.stored = { sum: 1, position: { epoch: 1, seq: 1 } }
    // It stays lost, whatever the application says later: changes may have been skipped meanwhile.
    await other.close()
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
    expect(again.listFiles()).toEqual(['docs/a', 'docs/b/c'])
    expect(again.index.get('docs/b/c')?.className).toBe('more')
    await again.close()
    const third = await start(crashed(storage), { more: synced('docs/b/**') })
    expect(third.listFiles()).toEqual(['docs/b/c'])
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

  test('a snapshot hook that throws does not stop the copy', async () => {
    const storage = memory()
    const events: CopyEvent[] = []
    const kv = appState({
      snapshot: () => {
        throw new Error('not now')
      },
      restore: () => undefined,
      apply: () => undefined,
    })
    const copy = await start(storage, { kv, docs: synced('docs/**') }, events)
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 200; at += 1) {
      copy.append(maker.batch({ kind: 'update', className: 'kv', value: pad(500) }))
      await copy.settle()
    }
    await copy.checkpoint()
    expect(copy.failed).toBeUndefined()
    expect(events.map(({ name }) => name)).toContain('checkpointFailed')
    // The journal does not grow without end because of it.
    expect(copy.firstSeq).toBeGreaterThan(50)
    await copy.close()
  })
})

const pad = (length: number): string => 'p'.repeat(length)

function crashed(storage: MemoryStorage): MemoryStorage {
  storage.crash(new SeededRandom(1), { powerCut: false })
  return storage
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
