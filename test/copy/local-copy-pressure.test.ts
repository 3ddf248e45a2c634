import { describe, expect, test } from 'vitest'
import {
  bytesOf,
  EntryMaker,
  put,
  smallLimits,
  startNode,
  text,
  treeOf,
  untext,
  update,
} from './support.js'

describe('a local copy on a slow or full disk', () => {
  test('GEN-8 a full disk is reported, nothing is lost, and reopen continues', async () => {
    const node = await startNode()
    const { copy } = node
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'one')))
    await copy.settle()
    const failures: string[] = []
    copy.onFailure((error) => failures.push(error.code))
    node.storage.faults.full = true
    copy.append(maker.batch(put('docs/a', 'two')))
    await expect(copy.flush()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    expect(failures).toEqual(['STORAGE_FULL'])
    expect(copy.failed?.code).toBe('STORAGE_FULL')
    expect(copy.seq).toBe(2)
    expect(copy.durableSeq).toBe(1)
    expect(() => copy.append(maker.batch(put('docs/a', 'three')))).toThrow()
    await expect(copy.reopen()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    maker.seq = 2
    node.storage.faults.full = false
    await copy.reopen()
    copy.append(maker.batch(put('docs/b', 'four')))
    await copy.settle()
    expect(copy.failed).toBeUndefined()
    expect(treeOf(node.storage)).toEqual({ 'docs/a': 'two', 'docs/b': 'four' })
    await copy.close()
  })

  test('GEN-8 a folder that blocks a file fails the copy, not the journal', async () => {
    const node = await startNode()
    const { copy } = node
    const maker = new EntryMaker()
    copy.append(maker.open())
    node.storage.outside.write('docs/a/alien', text('alien'))
    copy.append(maker.batch(put('docs/b', 'b'), put('docs/a', 'a')))
    await copy.flush()
    await expect(copy.settle()).rejects.toMatchObject({ code: 'PATH_BLOCKED' })
    expect(copy.failed?.code).toBe('PATH_BLOCKED')
    expect(node.events).toContainEqual(
      expect.objectContaining({ name: 'applyFailed', path: 'docs/a' }),
    )
    expect(untext(await bytesOf(copy, 'docs/a'))).toBe('a')
    expect(copy.durableSeq).toBe(2)
    node.storage.outside.remove('docs/a/alien')
    await copy.reopen()
    await copy.settle()
    expect(treeOf(node.storage)).toEqual({ 'docs/a': 'a', 'docs/b': 'b' })
    await copy.close()
  })

  test('above pendingBytesMax the copy is congested until half is free', async () => {
    const node = await startNode(undefined, { limits: { ...smallLimits, pendingBytesMax: 1000 } })
    const maker = new EntryMaker()
    node.copy.append(maker.open())
    await node.copy.settle()
    node.copy.append(maker.batch(put('docs/a', 'a'.repeat(950))))
    expect(node.copy.congested).toBe(true)
    await node.copy.decongested()
    expect(node.copy.congested).toBe(false)
    await node.copy.close()
  })

  test('entries that wait for a sync reach the log together; the first is written immediately', async () => {
    const node = await startNode()
    const maker = new EntryMaker()
    const durable: number[] = []
    node.copy.onDurable((ordinal) => durable.push(ordinal))
    for (const entry of [maker.open(), maker.batch(update('x', 1)), maker.batch(update('x', 1))]) {
      node.copy.append(entry)
    }
    await node.copy.flush()
    expect(durable).toEqual([1, 3])
    await node.copy.close()
  })
})
