import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change, SingleChange } from '../../src/changes/change.js'
import type { Entry } from '../../src/changes/entry.js'
import {
  changesOf,
  encodeChanges,
  encodeInSync,
  encodeTerm,
  entryBytesMax,
  entryHeaderBytes,
  goesOn,
  inSyncOf,
  lastSeqOf,
  partsOf,
  readEntry,
  termOf,
} from '../../src/changes/entry.js'
import type { Term } from '../../src/history/position.js'
import { encode } from '../../src/protocol/codec.js'
import { frameTypes } from '../../src/replication/frame-types.js'
import { EntryAssembly } from '../../src/replication/stream/entry-assembly.js'

const term: Term = { epoch: 7, nodeId: 'alpha', bootId: 'boot-1' }

const path = fc
  .array(fc.stringMatching(/^[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map((part) => `f${part}`).join('/'))
const bytes = fc.uint8Array({ maxLength: 200 })
const size = fc.integer({ min: 0, max: 2 ** 40 })
const className = fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/)
const blob = fc.record({
  id: fc.stringMatching(/^[a-z0-9]{4,20}$/),
  bytes: size,
  crc: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})
const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.array(fc.string()),
  fc.record({ key: fc.string(), n: fc.integer() }),
)
const inline = bytes.map((content) => ({ bytes: content, blob: undefined }))
const large = blob.map((ref) => ({ bytes: undefined, blob: ref }))

const put: fc.Arbitrary<SingleChange> = fc
  .tuple(className, path, fc.integer({ min: 0, max: 0o777 }), fc.oneof(inline, large))
  .map(([name, file, mode, content]) => {
    return { kind: 'put', className: name, path: file, mode, ...content } as const
  })
const patch: fc.Arbitrary<SingleChange> = fc
  .tuple(className, path, size, fc.oneof(inline, large))
  .map(([name, file, offset, content]) => {
    return { kind: 'patch', className: name, path: file, offset, ...content } as const
  })
const other: fc.Arbitrary<SingleChange> = fc.oneof(
  fc.record({ kind: fc.constant('truncate' as const), className, path, size }),
  fc.record({ kind: fc.constant('remove' as const), className, path }),
  fc.record({ kind: fc.constant('update' as const), className, value }),
  fc.record({ kind: fc.constant('update' as const), className, value: bytes }),
)
const single = fc.oneof(put, patch, other)
const transaction: fc.Arbitrary<Change> = fc.record({
  kind: fc.constant('transaction' as const),
  changes: fc.array(single, { maxLength: 5 }),
})
const changes = fc.array(fc.oneof(single, transaction), { minLength: 1, maxLength: 10 })

/** Bytes as arrays, so that views and copies compare alike. */
const plain = (list: readonly Change[]): unknown =>
  JSON.parse(
    JSON.stringify(list, (_, field: unknown) =>
      field instanceof Uint8Array ? { hex: Buffer.from(field).toString('hex') } : field,
    ).replaceAll(/\{"type":"Buffer","data":(\[[^\]]*\])\}/g, (_, data: string) =>
      JSON.stringify({ hex: Buffer.from(JSON.parse(data) as number[]).toString('hex') }),
    ),
  )

function read(bytesOf: Uint8Array, offset = 0): Entry {
  const entry = readEntry(bytesOf, offset)
  if (typeof entry === 'string') throw new Error(entry)
  return entry
}

describe('entries', () => {
  test('a batch is read as it was written', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 1, max: 2 ** 50 }), (list, firstSeq) => {
        const written = encodeChanges(term, firstSeq, firstSeq - 1, list)
        const entry = read(written.bytes)
        expect(entry.header).toEqual(written.header)
        expect(entry.header).toMatchObject({ kind: 'changes', epoch: 7, count: list.length })
        expect(lastSeqOf(entry.header)).toBe(firstSeq + list.length - 1)
        expect(plain(changesOf(entry))).toEqual(plain(list))
      }),
    )
  })

  test('updates of one class whose values are bytes take four bytes each beside them', () => {
    const update = (name: string, length: number): Change => ({
      kind: 'update',
      className: name,
      value: Buffer.alloc(length, name),
    })
    const list = [1, 0, 300].flatMap((length) => [update('one', length), update('one', 7)])
    const written = encodeChanges(term, 1, 0, [...list, update('two', 5), ...list])
    const entry = read(written.bytes)
    expect(entry.header).toMatchObject({ count: 13, metaBytes: 25 + 13 * 4 })
    expect(plain(changesOf(entry))).toEqual(plain([...list, update('two', 5), ...list]))
    expect(partsOf(entry).map((part) => part.kind)).toEqual(Array(3).fill('updateRun'))
  })

  test('an entry stands anywhere in a buffer, and ends where it says', () => {
    fc.assert(
      fc.property(changes, bytes, bytes, (list, before, after) => {
        const written = encodeChanges(term, 1, 0, list)
        const joined = Buffer.concat([before, written.bytes, after])
        const entry = read(joined, before.length)
        expect(entry.bytes.length).toBe(written.bytes.length)
        expect(plain(changesOf(entry))).toEqual(plain(list))
      }),
    )
  })

  test('terms and in-sync sets are read as they were written', () => {
    const opening = read(encodeTerm(term, 5, 4).bytes)
    expect(opening.header).toMatchObject({ kind: 'term', count: 0, firstSeq: 5, ackedSeq: 4 })
    expect(termOf(opening)).toEqual(term)
    // What a version that did not say it wrote is the same as a first term.
    expect(goesOn(opening)).toBe(false)
    const further = read(encodeTerm(term, 5, 4, true).bytes)
    expect([termOf(further), goesOn(further)]).toEqual([term, true])
    expect(inSyncOf(read(encodeInSync(term, 5, 4, ['beta', 'gamma']).bytes))).toEqual([
      'beta',
      'gamma',
    ])
    expect(lastSeqOf(opening.header)).toBe(4)
  })

  test('every changed byte is noticed, and every cut', () => {
    const list: Change[] = [
      {
        kind: 'put',
        className: 'c',
        path: 'a',
        mode: 0o644,
        bytes: Buffer.from('x'),
        blob: undefined,
      },
      { kind: 'update', className: 'c', value: { some: 'value' } },
    ]
    for (const entry of [
      encodeChanges(term, 3, 2, list),
      encodeTerm(term, 3, 2),
      encodeInSync(term, 3, 2, ['beta']),
    ]) {
      for (let at = 0; at < entry.bytes.length; at += 1) {
        for (const mask of [1, 0x80, 0xff]) {
          const copy = Uint8Array.from(entry.bytes)
          copy[at] = (copy[at] ?? 0) ^ mask
          expect(['corrupt', 'incomplete'], `byte ${at}`).toContain(readEntry(copy))
        }
        expect(readEntry(entry.bytes.subarray(0, at)), `cut at ${at}`).toBe('incomplete')
      }
    }
  })

  test('lengths that no entry has are corrupt at once', () => {
    const header = Buffer.alloc(entryHeaderBytes)
    for (const length of [0, 1, entryHeaderBytes - 1, entryBytesMax + 1, 0xffffffff]) {
      header.writeUInt32LE(length, 0)
      expect(readEntry(header)).toBe('corrupt')
    }
  })

  test('a newer format is refused by its name, not taken for damage', () => {
    const bytesOf = (at: number, to: number): Uint8Array => resealed(encodeTerm(term, 1, 0), at, to)
    expect(() => readEntry(bytesOf(8, 2))).toThrow(
      expect.objectContaining({ code: 'STORAGE_FORMAT' }),
    )
    expect(() => readEntry(bytesOf(9, 9))).toThrow(
      expect.objectContaining({ code: 'STORAGE_FORMAT' }),
    )
  })

  test('hostile metas are refused, whatever they are', () => {
    const refused = { name: 'HotspareError' }
    const hostile: unknown[] = [
      null,
      {},
      'text',
      [],
      [[]],
      [null],
      [[1]],
      [[5, '']],
      [[5, 'c'.repeat(1000), 1]],
      [[1, 'c', '../x', 0o644, 0]],
      [[1, 'c', '/etc/passwd', 0o644, 0]],
      [[1, 'c', '.hotspare/lock', 0o644, 0]],
      [[1, 'c', 'a', 0o644, 10]],
      [[1, 'c', 'a', 0o644, -1]],
      [[1, 'c', 'a', 0o644, 1.5]],
      [[1, 'c', 'a', 'mode', 0]],
      [[1, 'c', 'a', 0o644, 5, '../blob', 1]],
      [[1, 'c', 'a', 0o644, 5, 'blob']],
      [[2, 'c', 'a', 2 ** 60, 0]],
      [[3, 'c', 'a', 2 ** 50]],
      [[3, 'c', 'a', Number.NaN]],
      [[6, 'c']],
      [[6, [[6, []]]]],
      [[6, [null]]],
      [[99, 'c', 'a']],
      [[5, 'c', new Uint8Array(3)]],
      [[7, 'c']],
      [[7, 'c', 1]],
      [[7, 'c', [1]]],
      [[7, 'c', new Uint8Array(0)]],
      [[7, 'c', new Uint8Array(3)]],
      [[7, '', new Uint8Array(4)]],
      [[7, 'c', Uint8Array.of(1, 0, 0, 0)]],
      [[7, 'c', Uint8Array.of(0xff, 0xff, 0xff, 0xff)]],
      // More values than the header counts, and fewer.
      [[7, 'c', new Uint8Array(8)]],
      [
        [7, 'c', new Uint8Array(4)],
        [7, 'c', new Uint8Array(4)],
      ],
      [[6, [[7, 'c', new Uint8Array(4)]]]],
    ]
    for (const meta of hostile) {
      expect(() => changesOf(withMeta(meta, 'changes')), JSON.stringify(meta)).toThrow(
        expect.objectContaining(refused),
      )
    }
    for (const meta of [
      null,
      [],
      [7],
      [7, 'a'],
      [7, 'a', ''],
      [8, 'alpha', 'boot-1'],
      [7, 'x', 'y'],
    ]) {
      expect(() => termOf(withMeta(meta, 'term'))).toThrow(expect.objectContaining(refused))
    }
    for (const meta of [
      null,
      {},
      [1],
      [''],
      ['x'.repeat(300)],
      Array.from({ length: 2000 }, () => 'a'),
    ]) {
      expect(() => inSyncOf(withMeta(meta, 'inSync'))).toThrow(expect.objectContaining(refused))
    }
  })

  test('random metas never do anything but throw a HotspareError', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), (meta) => {
        let entry: Entry
        try {
          entry = withMeta(meta, 'changes')
        } catch {
          return
        }
        try {
          changesOf(entry)
        } catch (error) {
          expect(error).toMatchObject({ name: 'HotspareError' })
        }
      }),
    )
  })

  test('a batch above the limit is refused when it is made', () => {
    const bytesOf = new Uint8Array(entryBytesMax)
    const change = { kind: 'put', className: 'c', path: 'a', mode: 0, bytes: bytesOf } as const
    expect(() => encodeChanges(term, 1, 0, [{ ...change, blob: undefined }])).toThrow(
      expect.objectContaining({ code: 'WRITE_TOO_LARGE' }),
    )
  })
})

const kinds = { changes: 1, term: 2, inSync: 3 } as const

/** A well-sealed entry with any meta and no payload, as a hostile peer would make it. */
function withMeta(meta: unknown, kind: keyof typeof kinds): Entry {
  const encoded = encode(meta)
  const template = encodeTerm(term, 1, 0).bytes
  const made = Buffer.alloc(entryHeaderBytes + encoded.length)
  made.set(template.subarray(0, entryHeaderBytes))
  made.set(encoded, entryHeaderBytes)
  made.writeUInt32LE(made.length, 0)
  made[9] = kinds[kind]
  made.writeUInt32LE(kind === 'changes' ? 1 : 0, 12)
  made.writeUInt32LE(encoded.length, 40)
  return read(seal(made))
}

function resealed(entry: Entry, at: number, to: number): Uint8Array {
  const copy = Buffer.from(entry.bytes)
  copy[at] = to
  return seal(copy)
}

function seal(bytesOf: Buffer): Buffer {
  bytesOf.writeUInt32LE(crc32(bytesOf.subarray(8)), 4)
  return bytesOf
}

describe('an entry in parts', () => {
  const entry = encodeChanges(term, 1, 0, [
    {
      kind: 'put',
      className: 'docs',
      path: 'a',
      mode: 0o644,
      bytes: Buffer.alloc(99),
      blob: undefined,
    },
  ])

  test('is put together again', () => {
    const assembly = new EntryAssembly()
    expect(assembly.add(frameTypes.entryPart, entry.bytes.subarray(0, 50))).toBeUndefined()
    expect(assembly.add(frameTypes.entry, entry.bytes.subarray(50))?.bytes).toEqual(entry.bytes)
  })

  test('has no empty ones, which would take memory without an end', () => {
    const take = (): unknown => new EntryAssembly().add(frameTypes.entryPart, new Uint8Array(0))
    expect(take).toThrow('an empty part')
  })
})
