/** The tests of logs: append-only byte files. */

import assert from 'node:assert/strict'
import type { Log, OpenStorage } from '../../interfaces/storage.js'
import { bytesOf, type KitTest, refused, textOf } from './harness.js'

export const logTests: readonly KitTest[] = [
  {
    title: 'logs: a new log is empty and listed, also after the storage was opened again',
    run: async ({ opened, again }) => {
      assert.deepEqual(await opened.logs.list('journal'), [])
      const log = await opened.logs.open('journal', '000002')
      assert.equal(log.bytes, 0)
      await (await opened.logs.open('journal', '000001')).close()
      const expected = [
        { name: '000001', bytes: 0 },
        { name: '000002', bytes: 0 },
      ]
      assert.deepEqual(await opened.logs.list('journal'), expected)
      assert.deepEqual(await opened.logs.list('journal.next'), [])
      const next = await again()
      assert.deepEqual(await next.logs.list('journal'), expected)
    },
  },
  {
    title: 'logs: append adds its parts in order at the end of the log',
    run: async ({ opened, again }) => {
      const log = await opened.logs.open('journal', '1')
      await log.append([bytesOf('one,')])
      await log.append([bytesOf('two,'), new Uint8Array(), bytesOf('three,')])
      await log.append([])
      assert.equal(log.bytes, 14)
      assert.deepEqual(await opened.logs.list('journal'), [{ name: '1', bytes: 14 }])
      await log.close()
      const reopened = await (await again()).logs.open('journal', '1')
      assert.equal(reopened.bytes, 14)
      await reopened.append([bytesOf('four')])
      assert.equal(await wholeText(reopened), 'one,two,three,four')
    },
  },
  {
    title: 'logs: the caller may change the parts once append resolved',
    run: async ({ opened }) => {
      const log = await opened.logs.open('journal', '1')
      for (const sizes of [[5], [3, 4], [40_000, 50_000]]) {
        const parts = sizes.map((size) => pattern(size, size))
        const before = Buffer.concat(parts)
        const start = log.bytes
        await log.append(parts)
        for (const part of parts) part.fill(0)
        assert.ok(before.equals(await log.read(start, before.length)))
      }
    },
  },
  {
    title: 'logs: bytes and contents are exact after the storage was closed with the log open',
    run: async ({ opened, again }) => {
      const log = await opened.logs.open('journal', '1')
      await log.append([bytesOf('abc')])
      const next = await again()
      assert.deepEqual(await next.logs.list('journal'), [{ name: '1', bytes: 3 }])
      assert.equal(await wholeText(await next.logs.open('journal', '1')), 'abc')
    },
  },
  {
    title: 'logs: many appends of all sizes read back as they were written',
    run: async ({ opened, again }) => {
      const log = await opened.logs.open('journal', '1')
      const written: Uint8Array[] = []
      for (const size of [1, 200, 17_000, 3, 70_000, 300_000, 5, 0, 66_000, 16_384, 900]) {
        const parts = [pattern(size, size), pattern(size >> 1, 7), pattern(3, 9)]
        written.push(...parts)
        await log.append(parts)
      }
      await log.append(Array.from({ length: 3000 }, (_, index) => pattern(50, index)))
      for (let index = 0; index < 3000; index += 1) written.push(pattern(50, index))
      const expected = Buffer.concat(written)
      assert.equal(log.bytes, expected.byteLength)
      assert.ok(expected.equals(await log.read(0, expected.byteLength)))
      const next = await again()
      const reopened = await next.logs.open('journal', '1')
      assert.equal(reopened.bytes, expected.byteLength)
      assert.ok(expected.equals(await reopened.read(0, expected.byteLength + 10)))
    },
  },
  {
    title: 'logs: read gives the requested length, and fewer bytes only at the end',
    run: async ({ opened }) => {
      const log = await opened.logs.open('journal', '1')
      await log.append([bytesOf('0123')])
      await log.append([bytesOf('456789')])
      assert.equal(textOf(await log.read(0, 3)), '012')
      assert.equal(textOf(await log.read(3, 4)), '3456')
      assert.equal(textOf(await log.read(8, 100)), '89')
      assert.equal((await log.read(10, 5)).byteLength, 0)
      assert.equal((await log.read(99, 5)).byteLength, 0)
      const read = await log.read(0, 2)
      read.fill(0)
      assert.equal(textOf(await log.read(0, 2)), '01')
    },
  },
  {
    title: 'logs: truncate shortens a log, appends continue from there, and it never extends a log',
    run: async ({ opened, again }) => {
      const log = await opened.logs.open('journal', '1')
      await log.append([bytesOf('keep,')])
      await log.append([bytesOf('cut this')])
      await log.truncate(5)
      assert.equal(log.bytes, 5)
      await log.append([bytesOf('new')])
      await refused(log.truncate(100), 'OPTION_INVALID')
      await refused(log.truncate(-1), 'OPTION_INVALID')
      assert.equal(await wholeText(log), 'keep,new')
      const reopened = await (await again()).logs.open('journal', '1')
      assert.equal(await wholeText(reopened), 'keep,new')
      await reopened.truncate(0)
      assert.equal(reopened.bytes, 0)
      assert.equal((await reopened.read(0, 10)).byteLength, 0)
    },
  },
  {
    title: 'logs: an open log cannot be opened again, removed or replaced',
    run: async ({ opened }) => {
      const log = await opened.logs.open('journal', '1')
      await fill(opened, 'journal.next', '2', 'next')
      await refused(opened.logs.open('journal', '1'), 'STORAGE_FAILED')
      await refused(opened.logs.remove('journal', ['1']), 'STORAGE_FAILED')
      await refused(opened.logs.replace('journal.next', 'journal'), 'STORAGE_FAILED')
      await log.append([bytesOf('fine')])
      await log.close()
      await log.close()
      await refused(log.append([bytesOf('x')]), 'STORAGE_FAILED')
      await refused(log.read(0, 1), 'STORAGE_FAILED')
      assert.equal(await wholeText(await opened.logs.open('journal', '1')), 'fine')
    },
  },
  {
    title: 'logs: remove removes only the named logs, and missing ones are no error',
    run: async ({ opened, again }) => {
      for (const name of ['1', '2', '3']) await fill(opened, 'journal', name, name)
      await opened.logs.remove('journal', ['1', '3', '99'])
      await opened.logs.remove('nothing', ['1'])
      const expected = [{ name: '2', bytes: 1 }]
      assert.deepEqual(await opened.logs.list('journal'), expected)
      assert.deepEqual(await (await again()).logs.list('journal'), expected)
    },
  },
  {
    title:
      'logs: replace moves an area over another one, drops the logs of that, and is idempotent',
    run: async ({ opened, again }) => {
      await fill(opened, 'journal', '1', 'old')
      await fill(opened, 'journal', '2', 'old')
      await fill(opened, 'journal.next', '7', 'new!')
      await opened.logs.replace('journal.next', 'journal')
      const expected = [{ name: '7', bytes: 4 }]
      assert.deepEqual(await opened.logs.list('journal'), expected)
      assert.deepEqual(await opened.logs.list('journal.next'), [])
      await opened.logs.replace('journal.next', 'journal')
      assert.deepEqual(await opened.logs.list('journal'), expected)
      const next = await again()
      assert.equal(await wholeText(await next.logs.open('journal', '7')), 'new!')
      await fill(next, 'journal.next', '8', 'x')
      await next.logs.replace('journal.next', 'third')
      assert.deepEqual(await next.logs.list('third'), [{ name: '8', bytes: 1 }])
    },
  },
  {
    title: 'logs: names that break the rules are refused',
    run: async ({ opened }) => {
      for (const name of ['', '.', '..', 'a/b', 'A', 'a b']) {
        await refused(opened.logs.open('journal', name), 'PATH_INVALID')
        await refused(opened.logs.open(name, '1'), 'PATH_INVALID')
        await refused(opened.logs.list(name), 'PATH_INVALID')
        await refused(opened.logs.remove('journal', [name]), 'PATH_INVALID')
      }
    },
  },
]

async function fill(opened: OpenStorage, area: string, name: string, text: string): Promise<void> {
  const log = await opened.logs.open(area, name)
  await log.append([bytesOf(text)])
  await log.close()
}

async function wholeText(log: Log): Promise<string | undefined> {
  return textOf(await log.read(0, log.bytes))
}

function pattern(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + seed) & 0xff)
}
