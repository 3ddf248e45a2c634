import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { memory } from '../../src/storage/memory.js'
import {
  bytesOf,
  EntryMaker,
  gated,
  openCopy,
  owner,
  patch,
  put,
  startNode,
  TestState,
  testPolicy,
  untext,
} from './support.js'

describe('reads of a local copy', () => {
  test('reads return a range, and stop at the end', async () => {
    const { copy } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', '0123456789')))
    expect(untext(await bytesOf(copy, 'docs/a', 4, 3))).toBe('456')
    await copy.settle()
    expect(untext(await bytesOf(copy, 'docs/a', 4, 3))).toBe('456')
    copy.append(maker.batch(patch('docs/a', 5, 'ABCDEFG')))
    expect(untext(await bytesOf(copy, 'docs/a', 4, 3))).toBe('4AB')
    expect(untext(await bytesOf(copy, 'docs/a', 9, 30))).toBe('EFG')
    expect((await bytesOf(copy, 'docs/a', 50, 3)).length).toBe(0)
    await expect(copy.files.read('docs/none')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })

  test('a file of any size is read completely, from the tree and from a blob that is not applied yet', async () => {
    const size = 20 * 1024 * 1024 + 5
    const node = await startNode()
    const { copy } = node
    const maker = new EntryMaker()
    copy.append(maker.open())
    const places = [0, 8 * 1024 * 1024 - 2, 16 * 1024 * 1024 - 2, size - 4]
    copy.append(maker.batch(...places.map((at) => patch('docs/a', at, 'here'))))
    await copy.settle()
    const bytes = await bytesOf(copy, 'docs/a')
    expect(bytes.length).toBe(size)
    for (const at of places) expect(untext(bytes.subarray(at, at + 4))).toBe('here')
    await node.store('b1', size)
    const blob = { id: 'b1', bytes: size, crc: 0 }
    copy.append(maker.batch({ ...put('docs/b', ''), bytes: undefined, blob } as Change))
    const pending = await bytesOf(copy, 'docs/b')
    expect(Buffer.from(pending).equals(Buffer.alloc(size, 'a'))).toBe(true)
    await copy.close()
  })

  test('a read returns one state of a file while it changes', async () => {
    const { copy } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'a'.repeat(500))))
    await copy.settle()
    const letters = 'bcdefghijklmnopqrstuvwxyz'
    const reads: Promise<Uint8Array>[] = []
    for (const letter of letters) {
      // Two changes that only together make a uniform file, in one batch of one transaction.
      const half = letter.repeat(250)
      const changes = [patch('docs/a', 0, half), patch('docs/a', 250, half)]
      copy.append(maker.batch({ kind: 'transaction', changes }))
      reads.push(bytesOf(copy, 'docs/a'))
      await Promise.resolve()
      reads.push(bytesOf(copy, 'docs/a'))
      if (letter > 'm') await copy.flush()
    }
    for (const read of await Promise.all(reads)) expect(new Set(read).size).toBe(1)
  })

  test('a read that is overtaken by a change is repeated, and finally holds the applier', async () => {
    const inner = await memory().open(owner())
    const maker = new EntryMaker()
    let overtakes = 0
    let copy: LocalCopy | undefined
    const storage = gated(inner, 'read', async () => {
      if (overtakes === 0 || copy === undefined) return
      overtakes -= 1
      const mark = String(overtakes % 10)
      copy.append(maker.batch(put('docs/a', mark.repeat(30))))
      copy.append(maker.batch(patch('docs/a', 10, mark.repeat(10))))
      await copy.flush()
      // While the tree is held this change waits for the read.
      await Promise.race([copy.settle(), new Promise((resolve) => setTimeout(resolve, 20))])
    })
    copy = await openCopy(storage, testPolicy(new TestState()))
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'a'.repeat(30))))
    await copy.settle()
    for (const times of [1, 2, 3, 4, 5]) {
      copy.append(maker.batch(patch('docs/a', 0, 'b'.repeat(10))))
      overtakes = times
      const read = await bytesOf(copy, 'docs/a')
      // Either before all that overtook it, or after one of those: never a mixture.
      expect(untext(read)).toMatch(/^(b{10}(a{20}|c{20})|(\d)\3{29})$/)
      await copy.settle()
      copy.append(maker.batch(put('docs/a', 'c'.repeat(30))))
      await copy.settle()
    }
    await copy.close()
  })

  test('a transfer returns versions that its bytes are at least as new as', async () => {
    const { copy } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'one')))
    await copy.settle()
    copy.append(maker.batch(put('docs/a', 'two')))
    const request = { path: 'docs/a', offset: 0, length: 100 }
    const { buffer, results, versions } = await copy.files.readForTransfer([request])
    const [result] = results
    if (result === undefined || result === 'missing') throw new Error('missing')
    const bytes = untext(buffer.subarray(result.start, result.start + result.length))
    expect(versions).toEqual([1])
    expect(['one', 'two']).toContain(bytes)
  })
})
