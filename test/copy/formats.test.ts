/**
 * Bytes that version 1 wrote, kept for ever: this version has to read them, and still writes the
 * same. With `UPDATE_FIXTURES=1` missing files are written; a file that is there is never changed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import {
  changesOf,
  encodeChanges,
  encodeInSync,
  encodeTerm,
  inSyncOf,
  readEntry,
  termOf,
} from '../../src/changes/entry.js'
import type { CheckpointDocument } from '../../src/copy/checkpoint/checkpoint-document.js'
import {
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../src/copy/checkpoint/checkpoint-document.js'
import { decodeState, encodeState } from '../../src/copy/contents/app-states.js'
import { FileIndex } from '../../src/copy/files/file-index.js'
import { encodeIndexBlock, readIndexBlock } from '../../src/copy/files/index-log.js'
import {
  encodeMark,
  encodeSegmentHeader,
  isMark,
  readSegmentHeader,
} from '../../src/copy/journal/format.js'
import type { RestoreManifest } from '../../src/copy/switch/manifest.js'
import { decodeManifest, encodeManifest } from '../../src/copy/switch/manifest.js'
import type { Term } from '../../src/history/position.js'

const folder = new URL('../fixtures/v1/', import.meta.url)

/** The old bytes, after a check that this version writes the same. */
function kept(name: string, written: Uint8Array): Buffer {
  const file = new URL(`${name}.bin`, folder)
  if (process.env.UPDATE_FIXTURES === '1' && !existsSync(file)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(file, written)
  }
  const old = readFileSync(file)
  expect(Buffer.from(written).toString('hex')).toBe(old.toString('hex'))
  return old
}

const term: Term = { epoch: 3, nodeId: 'alpha', bootId: 'boot-3' }
const text = (value: string): Buffer => Buffer.from(value)
const blob = { id: 'b0123', bytes: 5_000_000_000, crc: 0xdeadbeef }
const facts = {
  history: [
    { epoch: 1, nodeId: 'beta', bootId: 'boot-1', firstSeq: 1 },
    { ...term, firstSeq: 4_000_000_000 },
  ],
  seq: 4_000_000_100,
  ackedSeq: 4_000_000_099,
  inSync: ['beta', 'gamma'],
}

const changes: Change[] = [
  {
    kind: 'put',
    className: 'docs',
    path: 'docs/ä.txt',
    mode: 0o640,
    bytes: text('one'),
    blob: undefined,
  },
  { kind: 'put', className: 'docs', path: 'docs/large', mode: 0o644, bytes: undefined, blob },
  {
    kind: 'patch',
    className: 'docs',
    path: 'docs/ä.txt',
    offset: 2 ** 33,
    bytes: text('two'),
    blob: undefined,
  },
  { kind: 'patch', className: 'docs', path: 'docs/large', offset: 7, bytes: undefined, blob },
  { kind: 'truncate', className: 'docs', path: 'docs/ä.txt', size: 2 ** 34 },
  { kind: 'remove', className: 'docs', path: 'docs/large' },
  { kind: 'update', className: 'kv', value: { key: 'k', list: [1, -1, 1.5, 'x', null, true] } },
  {
    kind: 'transaction',
    changes: [
      {
        kind: 'put',
        className: 'docs',
        path: 'a',
        mode: 0o600,
        bytes: text('three'),
        blob: undefined,
      },
      { kind: 'update', className: 'kv', value: 7 },
    ],
  },
]

function entryOf(bytes: Buffer): Exclude<ReturnType<typeof readEntry>, string> {
  const entry = readEntry(bytes)
  if (typeof entry === 'string') throw new Error(entry)
  return entry
}

describe('format version 1', () => {
  test('an entry of changes', () => {
    const entry = entryOf(
      kept('entry-changes', encodeChanges(term, 4_000_000_001, 17, changes).bytes),
    )
    expect(changesOf(entry)).toEqual(changes)
    expect(entry.header).toMatchObject({
      firstSeq: 4_000_000_001,
      ackedSeq: 17,
      epoch: 3,
      count: 8,
    })
  })

  test('an entry of updates whose values are bytes', () => {
    const update = (className: string, value: string): Change => ({
      kind: 'update',
      className,
      value: text(value),
    })
    const file = changes.slice(0, 1)
    const updates = [update('kv', 'one'), update('kv', ''), ...file, update('other', 'three')]
    const entry = entryOf(kept('entry-updates', encodeChanges(term, 9, 8, updates).bytes))
    expect(changesOf(entry)).toEqual(updates)
    expect(entry.header).toMatchObject({ firstSeq: 9, count: 4 })
  })

  test('entries of terms and in-sync sets', () => {
    const opening = entryOf(kept('entry-term', encodeTerm(term, 9, 8).bytes))
    expect(termOf(opening)).toEqual(term)
    const set = entryOf(kept('entry-in-sync', encodeInSync(term, 9, 8, ['beta']).bytes))
    expect(inSyncOf(set)).toEqual(['beta'])
  })

  test('the header of a segment, and a mark', () => {
    const header = kept('segment-header', encodeSegmentHeader(0x12345678, facts))
    expect(readSegmentHeader(header)).toEqual({ bytes: header.length, nonce: 0x12345678, facts })
    const mark = kept('segment-mark', encodeMark(0x12345678, 4711))
    expect(isMark(mark, 0, 0x12345678, 4711)).toBe(true)
    expect(isMark(mark, 0, 0x12345678, 4712)).toBe(false)
    expect(isMark(mark, 0, 0x12345679, 4711)).toBe(false)
  })

  test('a block of the index', () => {
    const index = new FileIndex()
    const record = { className: 'docs', version: 5_000_000_000, size: 2 ** 33, mode: 0o644 }
    index.set('docs/a', { ...record, mtimeMs: 1_700_000_000_123.456, inode: 123_456_789 })
    index.set('docs/b', { ...record, className: 'config', mtimeMs: -5, inode: 0 })
    index.remove('docs/c', 77)
    const paths = ['docs/a', 'docs/b', 'docs/c', 'docs/dropped']
    const block = kept('index-block', encodeIndexBlock(index, paths))
    const again = new FileIndex()
    again.set('docs/dropped', { ...record, mtimeMs: 0, inode: 0 })
    readIndexBlock(block.subarray(8), again)
    expect([...again.entries()]).toEqual([...index.entries()])
    expect([...again.removed()]).toEqual([['docs/c', 77]])
  })

  test('the document of a checkpoint', () => {
    const document: CheckpointDocument = {
      place: { segment: '0000000000000001-00000001.log', offset: 12_345, facts },
      index: { log: '00000002.log', bytes: 999 },
      tombstoneFloor: 12,
      states: new Map([['kv', 55]]),
      strangers: ['other'],
      blobs: [{ id: 'b0123', seq: 54, bytes: 5_000_000_000 }],
    }
    expect(decodeCheckpoint(kept('checkpoint', encodeCheckpoint(document)))).toEqual(document)
  })

  test('a checkpoint may be longer than a message', () => {
    const long: CheckpointDocument = {
      place: { segment: 's', offset: 0, facts },
      index: { log: 'i', bytes: 0 },
      tombstoneFloor: 0,
      states: new Map(),
      strangers: Array.from({ length: 70 }, () => 'x'.repeat(1024 * 1024)),
      blobs: [],
    }
    expect(decodeCheckpoint(encodeCheckpoint(long)).strangers).toHaveLength(70)
  })

  test('the manifest of a switch', () => {
    const manifest: RestoreManifest = {
      version: 1,
      restoreId: 'r-17',
      base: { history: facts.history, seq: facts.seq },
      inSync: ['beta'],
      install: [{ path: 'docs/a', object: 'r-17/1', mode: 0o644, size: 2 ** 33, version: 44 }],
      remove: [{ path: 'docs/b', version: 45 }],
      states: [{ className: 'kv', object: 'r-17/s0', seq: 4_000_000_100 }],
      complete: true,
      keep: [{ path: 'docs/c', version: 3 }],
      tombstoneFloor: 4_000_000_100,
    }
    expect(decodeManifest(kept('manifest', encodeManifest(manifest)))).toEqual(manifest)
  })

  test('a stored state', () => {
    const state = { bytes: text('snapshot'), seq: 4_000_000_000 }
    expect(decodeState(kept('state', encodeState(state)))).toEqual(state)
  })

  test('a newer version of each is refused by its name', () => {
    const newer = (bytes: Uint8Array, from: string, to: string): Uint8Array =>
      Buffer.from(Buffer.from(bytes).toString('latin1').replace(from, to), 'latin1')
    const code = { code: 'STORAGE_FORMAT' }
    const old = (name: string): Buffer => readFileSync(new URL(`${name}.bin`, folder))
    const checkpoint = newer(old('checkpoint'), 'version\x01', 'version\x02')
    expect(() => decodeCheckpoint(checkpoint)).toThrow(expect.objectContaining(code))
    const manifest = newer(old('manifest'), 'version\x01', 'version\x02')
    expect(() => decodeManifest(manifest)).toThrow(expect.objectContaining(code))
    const state = newer(old('state'), '\x93\x01', '\x93\x02')
    expect(() => decodeState(state)).toThrow(expect.objectContaining(code))
    const block = newer(old('index-block').subarray(8), '\xa1v\x01', '\xa1v\x02')
    expect(() => readIndexBlock(block, new FileIndex())).toThrow(expect.objectContaining(code))
  })
})
