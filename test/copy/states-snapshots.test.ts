import { describe, expect, test } from 'vitest'
import type { CopyEvent } from '../../src/copy/contents/types.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { memory } from '../../src/storage/memory.js'
import { badSnapshots, crashed, Failing, pad, start, turns } from './states-support.js'
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

describe('classes of application state: snapshots', () => {
  test('a snapshot is taken between two changes, with its position', async () => {
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

  test('a snapshot is stored only after the journal has all its changes', async () => {
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

  test('a snapshot that cannot be stored costs only journal space', async () => {
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

  test('a snapshot of more than 64 MiB is stored, and read after a restart', async () => {
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
