import { describe, expect, test } from 'vitest'
import type { CopyEvent } from '../../src/copy/contents/types.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { memory } from '../../src/storage/memory.js'
import { crashed, Persistent, pad, removeSnapshot, start } from './states-support.js'
import { EntryMaker, openCopy, owner, put, startNode, update } from './support.js'

describe('classes of application state: positions and snapshots at a start', () => {
  test('a state is rebuilt from its snapshot and the journal, each change once', async () => {
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

  test('a large state with small changes is not stored again at every checkpoint', async () => {
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

  test('an application that lost its own store gets every change again', async () => {
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

  test('a restore() that throws at a start is reported with its class', async () => {
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

  test('the state of an application that is older than its node is kept from the first start on', async () => {
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

  test('a position that the journal no longer covers falls back to the snapshot', async () => {
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
})
