import { describe, expect, test } from 'vitest'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { RestoreManifest } from '../../src/copy/switch/manifest.js'
import { HotspareError } from '../../src/errors.js'
import type { Term } from '../../src/history/position.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { encode } from '../../src/protocol/codec.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  contentOf,
  EntryMaker,
  gated,
  needsRepair,
  openCopy,
  owner,
  patch,
  put,
  remove,
  smallLimits,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
  update,
  watched,
} from './support.js'

const oldTerm: Term = { epoch: 1, nodeId: 'alpha', bootId: 'old' }
const newTerm: Term = { epoch: 2, nodeId: 'beta', bootId: 'new' }
const base = {
  history: [
    { ...oldTerm, firstSeq: 1 },
    { ...newTerm, firstSeq: 3 },
  ],
  seq: 50,
}

const oldContent = {
  files: { 'docs/a': 'old a', 'docs/f/g': 'old g', 'docs/keep': 'kept', 'docs/x': 'alien' },
  values: { x: 4, y: 1 },
}

const newContent = {
  files: {
    'docs/a': 'new a, longer',
    'docs/f': 'a file now',
    'docs/keep': 'kept',
    'docs/n/e/w': 'late',
    'docs/n/later': 'later',
  },
  values: { x: 10, z: 3 },
}

/** A target with an old copy of its own, and files beside it that are nobody's business. */
async function target(): Promise<MemoryStorage> {
  const storage = memory()
  storage.outside.write('local/settings', text('mine'))
  storage.outside.write('docs-not-claimed', text('mine'))
  const node = await startNode(storage)
  const maker = new EntryMaker(oldTerm)
  const { copy } = node
  copy.append(maker.open())
  copy.append(maker.batch(put('docs/a', 'old a'), put('docs/f/g', 'old g'), put('docs/keep', 'k')))
  await copy.checkpoint()
  copy.append(maker.batch(put('docs/keep', 'kept'), put('docs/x', 'alien')))
  copy.append(maker.batch(update('x', 4), update('y', 1)))
  await copy.settle()
  storage.crash(new SeededRandom(1), { powerCut: false })
  return storage
}

async function stage(storage: OpenStorage, name: string, bytes: Uint8Array): Promise<void> {
  const slice = { name, offset: 0, start: 0, length: bytes.length }
  await storage.objects.write('staging', bytes, [slice])
}

async function stageIncoming(storage: OpenStorage, path: string, bytes: Uint8Array): Promise<void> {
  const slice = { name: path, offset: 0, start: 0, length: bytes.length, mode: 0o640 }
  await storage.objects.write('incoming', bytes, [slice])
}

/** A restore that brings one file, and leaves the others as they are. */
const delta: RestoreManifest = {
  version: 1,
  restoreId: 'r2',
  base,
  install: [{ path: 'docs/a', object: 'r2/a', mode: 0o644, size: 5, version: 30 }],
  remove: [],
  states: [],
  complete: false,
  tombstoneFloor: 2,
}

async function beginDelta(copy: LocalCopy, storage: OpenStorage): Promise<void> {
  await copy.restoreSwitch.begin(base)
  await stage(storage, 'r2/a', text('new a'))
}

/** Everything a restore does on the target's side. */
async function restore(copy: LocalCopy, storage: OpenStorage, what = manifest): Promise<void> {
  await copy.restoreSwitch.begin(base, ['alpha'], 48)
  await stageIncoming(storage, 'docs/a', text('new a, longer'))
  await stage(storage, 'r1/f', text('a file now'))
  await stageIncoming(storage, 'docs/n/e/w', text('la'))
  await stage(storage, 'r1/kv', encode([['x', 10]]))
  const maker = new EntryMaker(newTerm, 50)
  copy.restoreSwitch.append(maker.batch(put('docs/n/later', 'later')))
  copy.restoreSwitch.append(maker.batch(patch('docs/n/e/w', 2, 'te'), update('x', 99)))
  copy.restoreSwitch.append(maker.batch(update('z', 3)))
  // Not flushed: the switch itself waits until the new journal is durable.
  await copy.restoreSwitch.switchTo(what)
}

const docsY = { path: 'docs/y', version: 0 }

/** The segments of a journal that nobody has open. */
async function journalOf(storage: MemoryStorage): Promise<{ readonly name: string }[]> {
  const open = await storage.open(owner())
  const segments = await open.logs.list('journal')
  await open.close()
  return segments
}

const install = (
  path: string,
  object: string | undefined,
  version: number,
): RestoreManifest['install'][0] => ({
  path,
  object,
  mode: 0o640,
  size: 1,
  version,
})

const manifest: RestoreManifest = {
  version: 1,
  restoreId: 'r1',
  base,
  inSync: ['alpha'],
  install: [
    install('docs/a', undefined, 40),
    install('docs/f', 'r1/f', 41),
    install('docs/n/e/w', undefined, 42),
  ],
  remove: ['docs/x', 'docs/f/g', 'docs/planted'].map((path) => ({ path, version: 0 })),
  // The snapshot was taken after the first update of x in the new journal.
  states: [{ className: 'kv', object: 'r1/kv', seq: 53 }],
  complete: true,
  keep: [{ path: 'docs/keep', version: 45 }],
  tombstoneFloor: 50,
}

async function openTarget(storage: MemoryStorage, wrap?: (inner: OpenStorage) => OpenStorage) {
  const inner = await storage.open(owner())
  const used = wrap === undefined ? inner : wrap(inner)
  const state = new TestState()
  const copy = await openCopy(used, testPolicy(state))
  return { copy, state, used, storage, policy: testPolicy(state), events: [] }
}

function untouched(storage: MemoryStorage): unknown {
  const outside = treeOf(storage, '')
  return [outside['local/settings'], outside['docs-not-claimed']]
}

describe('the switch to a staged restore', () => {
  test('SYN-3 SYN-22 replaces everything that is synced, aliens included, and nothing else', async () => {
    const storage = await target()
    storage.outside.write('docs/planted', text('alien'))
    const node = await openTarget(storage)
    expect(node.copy.outside.report.unknown.map(({ path }) => path)).toEqual(['docs/planted'])
    await restore(node.copy, node.used)
    expect(node.copy.complete).toBe(true)
    expect(needsRepair(node.copy)).toBe(false)
    await node.copy.settle()
    expect(await contentOf(node)).toEqual(newContent)
    expect(treeOf(storage)).toEqual(newContent.files)
    expect(untouched(storage)).toEqual(['mine', 'mine'])
    expect(node.copy.extent).toEqual({ history: base.history, seq: 54 })
    expect(node.copy.inSync).toEqual(['alpha'])
    expect(node.copy.ackedSeq).toBe(48)
    expect(node.copy.firstSeq).toBe(51)
    expect(node.copy.index.get('docs/keep')?.version).toBe(45)
    expect(node.copy.index.get('docs/a')).toMatchObject({ version: 40, mode: 0o640 })
    expect(node.copy.index.tombstoneFloor).toBe(50)
    expect(await node.used.objects.list('staging')).toEqual([])
    expect(await node.used.objects.list('incoming')).toEqual([])
    const maker = new EntryMaker(newTerm, 54)
    const { ordinal } = node.copy.append(maker.batch(put('docs/a', 'and on')))
    expect(ordinal).toBe(node.copy.lastOrdinal)
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    const again = await openTarget(storage)
    expect(again.copy.seq).toBe(55)
    expect(again.copy.outside.report).toEqual({ unknown: [], differing: [], missing: [] })
    expect(treeOf(storage)['docs/a']).toBe('and on')
    await again.copy.close()
  })

  test('SYN-33 what only a damaged journal knew of the old copy is durable with the new one', async () => {
    let damaged = 0
    for (let seed = 1; damaged < 10; seed += 1) {
      const random = new SeededRandom(seed)
      const storage = await target()
      const before = await openTarget(storage)
      const maker = new EntryMaker(oldTerm, before.copy.seq)
      before.copy.append(maker.batch(put('docs/z', 'gone'), put('docs/y', 'y')))
      await before.copy.checkpoint()
      before.copy.append(maker.batch(remove('docs/z'), put('docs/keep', 'kept')))
      before.copy.append(maker.batch(put('docs/big', 'b'.repeat(2_000))))
      before.copy.append(maker.batch(remove('docs/big')))
      await before.copy.settle()
      // The process dies, and with it the knowledge of what still waits to be written out.
      storage.crash(random, { powerCut: false })
      for (const { name } of await journalOf(storage)) {
        storage.flipBit({ kind: 'log', area: 'journal', name }, random)
      }
      const node = await openTarget(storage)
      // A bit before the checkpoint, or in what a kill may tear, is nobody's loss.
      if (node.copy.failed?.code !== 'JOURNAL_CORRUPT') continue
      damaged += 1
      await restore(node.copy, node.used, { ...manifest, remove: [...manifest.remove, docsY] })
      await node.copy.settle()
      storage.crash(random)
      const again = await openTarget(storage)
      await again.copy.settle()
      expect(treeOf(storage), `seed ${seed}`).toEqual(newContent.files)
      await again.copy.close()
    }
  })

  test('SYN-33 a crash at any call leaves the old copy whole, or the new one', async () => {
    let olds = 0
    let news = 0
    for (let calls = 0; ; calls += 1) {
      const random = new SeededRandom(calls + 1)
      const storage = await target()
      let left = calls
      let isDone = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.crash(random)
          left -= 1
        }),
      ).catch(() => undefined)
      if (node !== undefined) {
        isDone = await restore(node.copy, node.used).then(
          () => true,
          () => false,
        )
      }
      storage.crash(random)
      const again = await openTarget(storage)
      const where = `crash before call ${calls}`
      expect(again.copy.complete, where).toBe(true)
      const content = await contentOf(again)
      const isNew = content.files['docs/f'] !== undefined
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      expect(treeOf(storage), where).toEqual(content.files)
      expect(again.copy.seq, where).toBe(isNew ? 54 : 7)
      expect(untouched(storage), where).toEqual(['mine', 'mine'])
      expect(again.copy.outside.report, where).toEqual({ unknown: [], differing: [], missing: [] })
      if (isDone) expect(isNew, where).toBe(true)
      if (isNew) news += 1
      else olds += 1
      await again.copy.close()
      if (isDone && left > 0) break
    }
    expect(olds).toBeGreaterThan(10)
    expect(news).toBeGreaterThan(10)
  }, 60_000)

  test('SYN-33 a stop in order at any call of the switch leaves the old copy whole, or the new one', async () => {
    const seen = new Set<string>()
    for (let at = 0; ; at += 1) {
      const storage = await target()
      const holder: { copy?: LocalCopy; closing?: Promise<void> | undefined } = {}
      let count = 0
      let isWatched = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (!isWatched || holder.closing !== undefined) return
          count += 1
          if (count > at) holder.closing = holder.copy?.close()
        }),
      )
      holder.copy = node.copy
      isWatched = true
      await restore(node.copy, node.used).catch(() => undefined)
      if (holder.closing === undefined) break
      await holder.closing
      await node.used.close()
      const again = await openTarget(storage)
      const where = `closed at call ${at}`
      expect(again.copy.complete, where).toBe(true)
      const content = await contentOf(again)
      const isNew = again.copy.seq === 54
      seen.add(isNew ? 'new' : 'old')
      if (isNew) expect(content, where).toEqual(newContent)
      else expect(content, where).toEqual(oldContent)
      expect(untouched(storage), where).toEqual(['mine', 'mine'])
      await again.copy.close()
    }
    expect([...seen].sort()).toEqual(['new', 'old'])
  })

  test('SYN-33 a crash at any call of the roll-forward at the next start, too', async () => {
    for (let calls = 0; calls < 60; calls += 1) {
      const random = new SeededRandom(calls + 1000)
      const storage = await target()
      // The first crash comes as soon as the manifest is durable.
      let isStaged = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          if (isStaged) storage.crash(random, { powerCut: false })
          isStaged = what === 'documents.write' && isSwitching
        }),
      )
      let isSwitching = false
      await node.copy.restoreSwitch.begin(base, ['alpha'])
      isSwitching = true
      await restore(node.copy, node.used).catch(() => undefined)
      storage.crash(random, { powerCut: false })
      let left = calls
      const second = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.crash(random)
          left -= 1
        }),
      ).catch(() => undefined)
      await second?.copy.close()
      storage.crash(random)
      const again = await openTarget(storage)
      const content = await contentOf(again)
      const isNew = content.files['docs/f'] !== undefined
      const where = `crash before call ${calls} of the second start`
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      expect(treeOf(storage), where).toEqual(content.files)
      expect(again.copy.complete, where).toBe(true)
      await again.copy.close()
    }
  }, 60_000)

  test('a disk that fills up during the switch leaves it pending; reopen finishes it', async () => {
    const storage = await target()
    let isOn = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        if (isOn && what === 'tree.apply') storage.faults.full = true
      }),
    )
    isOn = true
    await expect(restore(node.copy, node.used)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    expect(node.copy.complete).toBe(false)
    expect(node.copy.failed?.code).toBe('STORAGE_FULL')
    expect(() => node.copy.append(new EntryMaker(newTerm, 54).batch(update('x', 1)))).toThrow()
    await expect(node.copy.reopen()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    isOn = false
    storage.faults.full = false
    await node.copy.reopen()
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(newContent)
    await node.copy.close()
  })

  test('SYN-33 a disk that fills up at any call of the switch: reopen finishes it, or the old copy stays', async () => {
    let news = 0
    for (let calls = 0; ; calls += 1) {
      const storage = await target()
      let left = Number.POSITIVE_INFINITY
      const node = await openTarget(storage, (inner) =>
        watched(inner, () => {
          if (left === 0) storage.faults.full = true
          left -= 1
        }),
      )
      left = calls
      const isDone = await restore(node.copy, node.used).then(
        () => true,
        () => false,
      )
      const where = `full from call ${calls} on`
      if (!isDone) await node.copy.reopen().catch(() => undefined)
      storage.faults.full = false
      const isFull = left < 0
      left = Number.POSITIVE_INFINITY
      await node.copy.reopen()
      expect(node.copy.complete, where).toBe(true)
      const content = await contentOf(node)
      const isNew = content.files['docs/f'] !== undefined
      expect(content, where).toEqual(isNew ? newContent : oldContent)
      if (isNew) news += 1
      await node.copy.close()
      if (!isFull) break
    }
    expect(news).toBeGreaterThan(10)
  }, 60_000)

  test('a manifest that cannot be written leaves the old copy in force', async () => {
    const storage = await target()
    let isOn = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        storage.faults.full = isOn && what === 'documents.write'
      }),
    )
    await node.copy.checkpoint()
    isOn = true
    await expect(restore(node.copy, node.used)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    isOn = false
    storage.faults.full = false
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(oldContent)
    node.copy.append(new EntryMaker(oldTerm, 7).batch(update('x', 1)))
    await node.copy.close()
    const again = await openTarget(await reopened(storage))
    expect(again.copy.seq).toBe(8)
    await again.copy.close()
  })

  test('a new journal that does not reach what was restored is refused', async () => {
    const node = await openTarget(await target())
    const refused = { code: 'RESTORE_FAILED' }
    await node.copy.restoreSwitch.begin({ ...base, seq: 49 })
    await expect(node.copy.restoreSwitch.switchTo(manifest)).rejects.toMatchObject(refused)
    await node.copy.restoreSwitch.begin(base)
    await expect(node.copy.restoreSwitch.switchTo(manifest)).rejects.toMatchObject(refused)
    await node.copy.restoreSwitch.drop()
    expect(await contentOf(node)).toEqual(oldContent)
    expect(node.copy.complete).toBe(true)
    await node.copy.close()
  })

  test('the manifest waits until the new journal is durable', async () => {
    const storage = await target()
    const calls: string[] = []
    let isHeld = false
    let release: () => void = () => undefined
    const hold = (): Promise<void> =>
      isHeld ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve()
    const node = await openTarget(storage, (inner) =>
      watched(gated(inner, 'append', hold), (what) => calls.push(what)),
    )
    await node.copy.checkpoint()
    await node.copy.restoreSwitch.begin(base)
    calls.length = 0
    isHeld = true
    node.copy.restoreSwitch.append(new EntryMaker(newTerm, 50).batch(update('x', 1)))
    const states = [{ className: 'kv', object: 'r1/kv', seq: 51 }]
    await stage(node.used, 'r1/kv', encode([['x', 10]]))
    const switched = node.copy.restoreSwitch.switchTo({
      ...manifest,
      install: [],
      keep: [],
      states,
    })
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(calls).not.toContain('documents.write')
    isHeld = false
    release()
    await switched
    expect(node.copy.seq).toBe(51)
    await node.copy.close()
  })

  test('a delta replaces what it names, and leaves tombstones', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    await node.copy.restoreSwitch.begin(base)
    await stage(node.used, 'r2/a', text('new a'))
    await stage(node.used, 'r2/kv', encode([['x', 1]]))
    await node.copy.restoreSwitch.switchTo({
      version: 1,
      restoreId: 'r2',
      base,
      install: [{ path: 'docs/a', object: 'r2/a', mode: 0o644, size: 5, version: 30 }],
      remove: [
        { path: 'docs/x', version: 33 },
        { path: 'local/settings', version: 34 },
        { path: 'docs/never-here', version: 32 },
      ],
      states: [{ className: 'kv', object: 'r2/kv', seq: 50 }],
      complete: false,
      tombstoneFloor: 2,
    })
    const files = { 'docs/a': 'new a', 'docs/f/g': 'old g', 'docs/keep': 'kept' }
    expect(await contentOf(node)).toEqual({ files, values: { x: 1 } })
    expect(untouched(storage)).toEqual(['mine', 'mine'])
    expect(node.copy.index.changedSince(31)).toMatchObject({
      files: [],
      removed: [
        { path: 'docs/never-here', version: 32 },
        { path: 'docs/x', version: 33 },
      ],
    })
    expect(node.copy.index.get('docs/f/g')?.version).toBe(2)
    await node.copy.close()
  })

  test('a delta goes on only from a copy that is durable; the next attempt succeeds', async () => {
    const storage = await target()
    let isFailing = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        if (isFailing && what === 'tree.sync') throw new HotspareError('STORAGE_FAILED')
      }),
    )
    await beginDelta(node.copy, node.used)
    isFailing = true
    await expect(node.copy.restoreSwitch.switchTo(delta)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    })
    isFailing = false
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(oldContent)
    // What the journal has and the tree may lose is still in it.
    expect(node.copy.firstSeq).toBe(1)
    await node.copy.reopen()
    await beginDelta(node.copy, node.used)
    await node.copy.restoreSwitch.switchTo(delta)
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    expect(treeOf(storage)).toEqual({ ...oldContent.files, 'docs/a': 'new a' })
  })

  test('a switch whose files cannot be made durable leaves a copy that goes on making checkpoints', async () => {
    const storage = await target()
    let isFailing = false
    const inner = watched(await storage.open(owner()), (what) => {
      if (isFailing && what === 'objects.sync') throw new HotspareError('STORAGE_FAILED')
    })
    const limits = { ...smallLimits, checkpointBytes: 16 * 1024 }
    const copy = await openCopy(inner, testPolicy(new TestState()), { limits })
    await beginDelta(copy, inner)
    isFailing = true
    await expect(copy.restoreSwitch.switchTo(delta)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    })
    isFailing = false
    expect(copy.failed).toBeUndefined()
    const maker = new EntryMaker(oldTerm, copy.seq)
    for (let n = 0; n < 300; n += 1) {
      copy.append(maker.batch(put('docs/a', 'x'.repeat(1000))))
      await copy.settle()
    }
    await new Promise((resolve) => setImmediate(resolve))
    const journal = await inner.logs.list('journal')
    const bytes = journal.reduce((sum, one) => sum + one.bytes, 0)
    await copy.close()
    expect(bytes).toBeLessThan(2 * limits.journalBytesMax)
  })

  test('a power cut in the switch does not bring back what the restore did not want after all', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const storage = await target()
      let isArmed = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          if (isArmed && what === 'tree.takeIn') storage.crash(new SeededRandom(seed))
        }),
      )
      await node.copy.restoreSwitch.begin(base)
      await stageIncoming(node.used, 'docs/gone', text('was at the source'))
      await node.used.objects.sync('incoming', ['docs/gone'])
      await node.used.objects.remove('incoming', ['docs/gone'])
      await stageIncoming(node.used, 'docs/b', text('b'))
      isArmed = true
      const switched = node.copy.restoreSwitch.switchTo({
        ...delta,
        install: [install('docs/b', undefined, 40)],
      })
      await expect(switched).rejects.toThrow()
      const again = await openTarget(storage)
      const files = { ...oldContent.files, 'docs/b': 'b' }
      expect(treeOf(storage), `seed ${seed}`).toEqual(files)
      await again.copy.close()
    }
  })

  test('a switch takes in only what its manifest names', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    await beginDelta(node.copy, node.used)
    await stageIncoming(node.used, 'docs/stray', text('of an earlier attempt'))
    await node.copy.restoreSwitch.switchTo(delta)
    expect(treeOf(storage)).toEqual({ ...oldContent.files, 'docs/a': 'new a' })
    await node.copy.close()
  })

  test('a complete restore leaves a file that it does not name, and the next start finds it', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    storage.outside.write('docs/late', text('came after the decision'))
    await restore(node.copy, node.used)
    await node.copy.close()
    expect(treeOf(storage)['docs/late']).toBe('came after the decision')
    const again = await openTarget(await reopened(storage))
    expect(again.copy.outside.report.unknown.map(({ path }) => path)).toEqual(['docs/late'])
    await again.copy.close()
  })

  test.each([undefined, 'r2/b'])(
    'a file that somebody removes in an unfinished switch is found missing by the next start (object %s)',
    async (object) => {
      const storage = await target()
      let isArmed = false
      const node = await openTarget(storage, (inner) =>
        watched(inner, (what) => {
          // The files are in their places, and the process dies before the new journal is.
          const died = isArmed && what === 'logs.replace'
          if (died) storage.crash(new SeededRandom(1), { powerCut: false })
        }),
      )
      await node.copy.restoreSwitch.begin(base)
      if (object === undefined) await stageIncoming(node.used, 'docs/b', text('b'))
      else await stage(node.used, object, text('b'))
      isArmed = true
      const manifest = { ...delta, install: [install('docs/b', object, 40)] }
      await expect(node.copy.restoreSwitch.switchTo(manifest)).rejects.toThrow()
      expect(treeOf(storage)['docs/b']).toBe('b')
      storage.outside.remove('docs/b')
      const again = await openTarget(storage)
      expect(again.copy.seq).toBe(base.seq)
      expect(again.copy.outside.report.missing).toEqual(['docs/b'])
      expect(needsRepair(again.copy)).toBe(true)
      await again.copy.close()
    },
  )

  test('adopted files stay as they are, whatever an unfinished restore has left behind', async () => {
    const storage = memory()
    storage.outside.write('docs/a', text('the file of years'))
    const inner = await storage.open(owner())
    const copy = await openCopy(inner, testPolicy(new TestState()))
    await stageIncoming(inner, 'docs/a', text('half'))
    await stageIncoming(inner, 'docs/b', text('half'))
    await copy.restoreSwitch.adopt(newTerm)
    expect(copy.files.list()).toEqual(['docs/a'])
    await copy.close()
    expect(treeOf(storage)).toEqual({ 'docs/a': 'the file of years' })
  })

  test('a state that the restore did not bring is lost, and reported', async () => {
    const node = await openTarget(await target())
    await node.copy.restoreSwitch.begin(base)
    await node.copy.restoreSwitch.switchTo({ ...manifest, install: [], keep: [], states: [] })
    expect(node.copy.stateNeedsRestore).toEqual(['kv'])
    expect(node.copy.complete).toBe(false)
    await node.copy.close()
  })

  test('a copy with damage in its journal is mended by a restore', async () => {
    const storage = await target()
    const raw = await storage.open(owner())
    const [segment] = await raw.logs.list('journal')
    await raw.logs.remove('journal', [segment?.name ?? ''])
    await raw.close()
    const node = await openTarget(storage)
    expect(node.copy.complete).toBe(false)
    await restore(node.copy, node.used)
    expect(node.copy.complete).toBe(true)
    expect(node.copy.failed).toBeUndefined()
    expect(await contentOf(node)).toEqual(newContent)
    await node.copy.close()
  })

  test('files from before the library are adopted as the first change, nothing copied', async () => {
    const storage = memory()
    storage.outside.write('docs/a', text('was here'))
    storage.outside.write('config/b', text('was here, too'))
    storage.outside.write('local/c', text('mine'))
    const node = await startNode(storage)
    node.state.values.set('before', 7)
    expect(node.copy.seq).toBe(0)
    expect(node.copy.outside.report.unknown).toHaveLength(2)
    await node.copy.restoreSwitch.adopt(newTerm)
    expect(node.copy.extent).toEqual({ history: [{ ...newTerm, firstSeq: 1 }], seq: 1 })
    expect(node.copy.files.list()).toEqual(['config/b', 'docs/a'])
    expect(node.copy.index.get('docs/a')).toMatchObject({ version: 1, className: 'docs', size: 8 })
    expect(needsRepair(node.copy)).toBe(false)
    expect(node.copy.firstSeq).toBe(2)
    const maker = new EntryMaker(newTerm, 1)
    node.copy.append(maker.batch(update('x', 1)))
    await node.copy.close()
    const again = await startNode(await reopened(storage))
    expect(again.state.values).toEqual(new Map(Object.entries({ before: 7, x: 1 })))
    expect(again.copy.seq).toBe(2)
    expect(treeOf(storage, '')).toEqual({
      'config/b': 'was here, too',
      'docs/a': 'was here',
      'local/c': 'mine',
    })
    await again.copy.close()
  })
})

async function reopened(storage: MemoryStorage): Promise<MemoryStorage> {
  storage.crash(new SeededRandom(4))
  return storage
}
