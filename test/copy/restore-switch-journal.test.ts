import { describe, expect, test } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import { encode } from '../../src/protocol/codec.js'
import {
  base,
  beginDelta,
  delta,
  manifest,
  newTerm,
  oldContent,
  oldTerm,
  openTarget,
  stage,
  target,
} from './restore-switch-support.js'
import {
  contentOf,
  EntryMaker,
  gated,
  openCopy,
  owner,
  put,
  smallLimits,
  TestState,
  testPolicy,
  update,
  watched,
} from './support.js'

describe('the switch to a staged restore: the new journal', () => {
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

  test('a switch whose files cannot be made durable leaves a copy that continues to make checkpoints', async () => {
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
})
