/** The tests of objects: named bytes, written in slices. */

import assert from 'node:assert/strict'
import { bytesOf, type KitTest, objectText, refused, writeObject } from './harness.js'

export const objectTests: readonly KitTest[] = [
  {
    title: 'objects: slices of one buffer become objects',
    run: async ({ opened }) => {
      const buffer = bytesOf('aaabbbbc')
      await opened.objects.write('staging', buffer, [
        { name: 'r1/0', offset: 0, start: 0, length: 3 },
        { name: 'r1/1', offset: 0, start: 3, length: 4 },
        { name: 'deep/er/2', offset: 0, start: 7, length: 1 },
        { name: 'empty', offset: 0, start: 0, length: 0 },
      ])
      assert.deepEqual(await opened.objects.list('staging'), [
        { name: 'deep/er/2', bytes: 1 },
        { name: 'empty', bytes: 0 },
        { name: 'r1/0', bytes: 3 },
        { name: 'r1/1', bytes: 4 },
      ])
      assert.deepEqual(await opened.objects.list('blobs'), [])
      assert.equal(await objectText(opened, 'staging', 'r1/1'), 'bbbb')
      assert.equal(await objectText(opened, 'staging', 'empty'), '')
    },
  },
  {
    title: 'objects: slices of one object, in several writes, make up the whole',
    run: async ({ opened, again }) => {
      await writeObject(opened, 'blobs', 'o', 'begin,')
      await opened.objects.write('blobs', bytesOf('middle,end'), [
        { name: 'o', offset: 6, start: 0, length: 7 },
        { name: 'o', offset: 13, start: 7, length: 3 },
      ])
      assert.equal(await objectText(opened, 'blobs', 'o'), 'begin,middle,end')
      await opened.objects.sync('blobs', ['o'])
      const next = await again()
      assert.equal(await objectText(next, 'blobs', 'o'), 'begin,middle,end')
    },
  },
  {
    title: 'objects: written zeros are read back, also over other bytes and at the end',
    run: async ({ opened }) => {
      const zeros = 5 * 4096
      const ones = new Uint8Array(zeros).fill(1)
      await opened.objects.write('blobs', ones, [
        { name: 'o', offset: 100, start: 0, length: zeros },
      ])
      const mixed = new Uint8Array(4 * zeros)
      mixed.fill(2, 0, 10)
      mixed.fill(3, 2 * zeros, 2 * zeros + 10)
      const slice = { name: 'o', offset: 4096, start: 0, length: mixed.length }
      await opened.objects.write('blobs', mixed, [slice])
      const expected = Buffer.alloc(4096 + mixed.length)
      expected.fill(1, 100, 4096)
      expected.set(mixed, 4096)
      const [found] = await opened.objects.list('blobs')
      assert.equal(found?.bytes, expected.length)
      const read = await opened.objects.read('blobs', 'o', 0, expected.length + 1)
      assert.ok(expected.equals(read))
    },
  },
  {
    title: 'objects: the caller may change the buffer as soon as the call of write returned',
    run: async ({ opened }) => {
      const whole = bytesOf('head|body|tail')
      const view = whole.subarray(5, 9)
      const slice = { name: 'o', offset: 0, start: 0, length: 4 }
      const written = opened.objects.write('blobs', view, [slice])
      whole.fill(0)
      await written
      assert.equal(whole.byteLength, 14)
      assert.equal(await objectText(opened, 'blobs', 'o'), 'body')
    },
  },
  {
    title:
      'objects: read gives a stretch, fewer bytes only at the end, and fails when there is no object',
    run: async ({ opened }) => {
      await writeObject(opened, 'blobs', 'o', '0123456789')
      const read = async (offset: number, length: number): Promise<string> =>
        Buffer.from(await opened.objects.read('blobs', 'o', offset, length)).toString()
      assert.equal(await read(2, 3), '234')
      assert.equal(await read(8, 10), '89')
      assert.equal(await read(10, 10), '')
      assert.equal(await read(100, 10), '')
      await refused(opened.objects.read('blobs', 'none', 0, 1), 'STORAGE_FAILED')
      await refused(opened.objects.read('vault', 'o', 0, 1), 'STORAGE_FAILED')
    },
  },
  {
    title: 'objects: list gives the names with a prefix, sorted',
    run: async ({ opened }) => {
      for (const name of ['b/2', 'a', 'b/10', 'bb', 'c/d/e']) {
        await writeObject(opened, 'vault', name, name)
      }
      const names = async (prefix?: string): Promise<string[]> =>
        (await opened.objects.list('vault', prefix)).map((object) => object.name)
      assert.deepEqual(await names(), ['a', 'b/10', 'b/2', 'bb', 'c/d/e'])
      assert.deepEqual(await names('b'), ['b/10', 'b/2', 'bb'])
      assert.deepEqual(await names('b/'), ['b/10', 'b/2'])
      assert.deepEqual(await names('c/d'), ['c/d/e'])
      assert.deepEqual(await names('x'), [])
    },
  },
  {
    title: 'objects: remove removes names and whole folders, and missing ones are no error',
    run: async ({ opened, again }) => {
      for (const name of ['r1/a', 'r1/b/c', 'r2/a', 'single', 'r1x']) {
        await writeObject(opened, 'staging', name, name)
      }
      await opened.objects.remove('staging', ['r1/', 'single', 'none', 'none/'])
      const left = [
        { name: 'r1x', bytes: 3 },
        { name: 'r2/a', bytes: 4 },
      ]
      assert.deepEqual(await opened.objects.list('staging'), left)
      await writeObject(opened, 'staging', 'r1/a', 'new')
      assert.equal(await objectText(opened, 'staging', 'r1/a'), 'new')
      await opened.objects.sync('staging')
      const next = await again()
      assert.equal((await next.objects.list('staging')).length, 3)
    },
  },
  {
    title: 'objects: sync accepts some names, all, none, and names that were removed',
    run: async ({ opened }) => {
      for (let index = 0; index < 100; index += 1) {
        await writeObject(opened, 'staging', `r/${index}`, 'x')
      }
      await opened.objects.remove('staging', ['r/0'])
      await opened.objects.sync('staging', ['r/0', 'r/1', 'never'])
      const names = Array.from({ length: 100 }, (_, index) => `r/${index}`)
      await opened.objects.sync('staging', names)
      await opened.objects.sync('staging', [])
      await opened.objects.sync('staging')
      await opened.objects.sync('vault')
      assert.equal((await opened.objects.list('staging')).length, 99)
    },
  },
  {
    title: 'objects: names and slices that break the rules are refused, and nothing is written',
    run: async ({ opened }) => {
      for (const name of ['', '..', '../x', 'a//b', 'A', 'a/', '/a']) {
        const slices = [{ name, offset: 0, start: 0, length: 1 }]
        await refused(opened.objects.write('blobs', bytesOf('x'), slices), 'PATH_INVALID')
        await refused(opened.objects.read('blobs', name, 0, 1), 'PATH_INVALID')
      }
      await refused(opened.objects.remove('blobs', ['../']), 'PATH_INVALID')
      for (const name of ['', '../x', 'a//b', '/a', 'nul\0', '.hotspare/lock']) {
        const slices = [{ name, offset: 0, start: 0, length: 1 }]
        await refused(opened.objects.write('incoming', bytesOf('x'), slices), 'PATH_INVALID')
      }
      for (const bad of [{ start: 1, length: 3 }, { offset: -1 }, { start: 0.5 }, { length: -1 }]) {
        const slice = { name: 'o', offset: 0, start: 0, length: 1, ...bad }
        await refused(opened.objects.write('blobs', bytesOf('xyz'), [slice]), 'OPTION_INVALID')
      }
      assert.deepEqual(await opened.objects.list('blobs'), [])
    },
  },
]
