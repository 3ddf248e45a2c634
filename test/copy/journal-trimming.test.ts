import { describe, expect, test } from 'vitest'
import type { CopyEvent } from '../../src/copy/contents/types.js'
import { listSegments } from '../../src/copy/journal/scan.js'
import { HotspareError } from '../../src/errors.js'
import { memory } from '../../src/storage/memory.js'
import { TestClock } from '../support/clock.js'
import { pad, readAll, retryUntil } from './journal-support.js'
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
  watched,
} from './support.js'

describe('readers and pins of a journal that is trimmed', () => {
  test('hold the journal up to twice its limit, and then lose it', async () => {
    const limits = { ...smallLimits, journalBytesMax: 10_000, checkpointBytes: 1e9 }
    const node = await startNode(memory(), { limits })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    const pin = node.copy.pin(5)
    const reader = node.copy.reader(3)
    const grow = async (bytes: number): Promise<void> => {
      for (let at = 0; at < bytes; at += 500) node.copy.append(maker.batch(put('docs/a', pad(500))))
      await node.copy.settle()
      await node.copy.checkpoint()
    }
    await grow(15_000)
    expect(node.copy.firstSeq).toBe(1)
    expect(pin.lost).toBe(false)
    expect(await reader.next(1)).not.toEqual([])
    await grow(15_000)
    expect(pin.lost).toBe(true)
    expect(node.copy.firstSeq).toBeGreaterThan(10)
    await expect(reader.next(1)).rejects.toMatchObject({ code: 'JOURNAL_TRIMMED' })
    expect(() => node.copy.pin(5)).toThrow(expect.objectContaining({ code: 'JOURNAL_TRIMMED' }))
    pin.release()
    reader.close()
    await node.copy.close()
  })

  /**
   * A full copy with more segments than the tail holds, which take a turn of the event loop to
   * close from now on.
   */
  async function slowlyClosing() {
    let close = (): Promise<void> => Promise.resolve()
    const open = gated(await memory().open(owner()), 'close', () => close())
    const limits = { ...smallLimits, journalBytesMax: 24 * 1024, checkpointBytes: 1e9 }
    const copy = await openCopy(open, testPolicy(new TestState()), { limits })
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 56; at += 1) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle()
    }
    await copy.checkpoint()
    close = () => new Promise((resolve) => setImmediate(resolve))
    return { copy, maker, open }
  }

  test('a reader waits for the file that the previous one is closing', async () => {
    const { copy } = await slowlyClosing()
    for (let times = 0; times < 3; times += 1) {
      const reader = copy.reader(copy.firstSeq - 1)
      expect(await reader.next(100)).not.toEqual([])
      reader.close()
    }
    await copy.close()
  })

  test('a segment that a reader has just left is trimmed, and the copy does not fail', async () => {
    const { copy, maker, open } = await slowlyClosing()
    const before = copy.firstSeq
    const reader = copy.reader(before - 1)
    await reader.next(100)
    for (let at = 0; at < 12; at += 1) copy.append(maker.batch(put('docs/a', pad(500))))
    reader.close()
    await copy.checkpoint()
    expect(copy.failed).toBeUndefined()
    expect(copy.firstSeq).toBeGreaterThan(before)
    const [first] = await listSegments(open.logs, 'journal')
    expect(first?.firstSeq).toBe(copy.firstSeq)
    await copy.close()
  })

  test('lose nothing by a trim that fails', async () => {
    let fails = true
    const open = gated(await memory().open(owner()), 'remove', async () => {
      if (fails) throw new HotspareError('STORAGE_FAILED', 'not now')
    })
    const limits = { ...smallLimits, journalBytesMax: 10_000, checkpointBytes: 1e9 }
    const events: CopyEvent[] = []
    const copy = await openCopy(open, testPolicy(new TestState()), { limits, events })
    const maker = new EntryMaker()
    copy.append(maker.open())
    const pin = copy.pin(5)
    const reader = copy.reader(3)
    while (copy.failed === undefined) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle().catch(() => undefined)
    }
    expect(events).toContainEqual(expect.objectContaining({ name: 'checkpointFailed' }))
    expect(pin.lost).toBe(false)
    expect(copy.firstSeq).toBe(1)
    expect((await readAll(reader)).at(-1)?.header.firstSeq).toBe(copy.seq)
    reader.close()
    fails = false
    await copy.reopen()
    while (!pin.lost) {
      copy.append(maker.batch(put('docs/a', pad(500))))
      await copy.settle()
    }
    expect(copy.firstSeq).toBeGreaterThan(5)
    await copy.close()
  })

  test('a failed segment is closed only after the reads in progress', async () => {
    const storage = memory()
    let free = (): void => undefined
    let gate = Promise.resolve()
    const open = gated(await storage.open(owner()), 'read', () => gate)
    const copy = await openCopy(open, testPolicy(new TestState()))
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let at = 0; at < 7; at += 1) copy.append(maker.batch(put('docs/a', pad(500))))
    await copy.settle()
    gate = new Promise((resolve) => {
      free = resolve
    })
    const second = copy.reader(0)
    const reading = second.next(1)
    storage.faults.failNextSync = true
    copy.append(maker.batch(put('docs/a', 'a')))
    await expect(copy.flush()).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    const reopening = copy.reopen()
    free()
    expect(await reading).not.toEqual([])
    await reopening
    second.close()
    await copy.close()
  })

  test('checkpoints are made after a number of bytes, and after a time', async () => {
    const clock = new TestClock()
    const limits = { ...smallLimits, checkpointBytes: 3000 }
    const calls: string[] = []
    const storage = memory()
    const open = watched(await storage.open(owner()), (what) => calls.push(what))
    const made = (): number => calls.filter((what) => what === 'documents.write').length
    const copy = await openCopy(open, testPolicy(new TestState()), { limits, clock })
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', pad(100))))
    await copy.settle()
    clock.advance(limits.checkpointMs - 1)
    await copy.settle()
    expect(made()).toBe(0)
    clock.advance(1)
    await retryUntil(() => made() === 1)
    clock.advance(limits.checkpointMs * 10)
    await copy.settle()
    expect(made()).toBe(1)
    copy.append(maker.batch(put('docs/a', pad(3000))))
    await retryUntil(() => made() === 2)
    await copy.close()
    expect(clock.timers).toBe(0)
  })
})
