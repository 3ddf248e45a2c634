/**
 * Documents whose checksum is sound and whose content is not what was written there. No peer is to
 * blame, so each is `STORAGE_CORRUPT`.
 */

import { describe, expect, test } from 'vitest'
import {
  checkpointName,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../src/copy/checkpoint/checkpoint-document.js'
import { AppStates, decodeState, encodeState } from '../../src/copy/contents/app-states.js'
import { FileIndex } from '../../src/copy/files/file-index.js'
import { readIndexBlock } from '../../src/copy/files/index-log.js'
import { encodeSegmentHeader, readSegmentHeader } from '../../src/copy/journal/format.js'
import { decodeManifest, encodeManifest, manifestName } from '../../src/copy/switch/manifest.js'
import {
  decodeIncident,
  documentOf,
  nothing,
  type VaultIncident,
} from '../../src/copy/vault/incident.js'
import { Vault } from '../../src/copy/vault/vault.js'
import { decode, encode } from '../../src/protocol/codec.js'
import { decodeStagingIndex } from '../../src/replication/restore/staging.js'
import { memory } from '../../src/storage/memory.js'
import { TestClock } from '../support/clock.js'
import { openCopy, owner, TestState, testPolicy, text } from './support.js'

const history = [{ epoch: 1, nodeId: 'alpha', bootId: 'boot', firstSeq: 1 }]
const facts = { history, seq: 7, ackedSeq: 6, inSync: ['beta'] }

const incident: VaultIncident = {
  ...nothing,
  version: 1,
  id: 'divergence-beta-1',
  reason: 'divergence',
  atWallMs: -1.5,
  commonSeq: 3,
  extent: { history, seq: 7 },
  changes: [
    { seq: 4, epoch: 1, kind: 'put', className: 'docs', paths: ['a'], acknowledged: true },
    {
      seq: 5,
      epoch: 1,
      kind: 'transaction',
      className: undefined,
      paths: [],
      acknowledged: 'unknown',
    },
  ],
  files: [{ path: 'a', object: 'x/a', bytes: 5 }],
  gone: [{ path: 'b', size: 6, version: 2 }],
  states: [{ className: 'kv', object: 'x/kv', bytes: 7 }],
  journal: { object: 'x/journal', bytes: 8, crc: 9 },
  blobs: ['b1'],
}

const checkpoint = encodeCheckpoint({
  place: { segment: 's', offset: 1, facts },
  index: { log: 'i', bytes: 2 },
  tombstoneFloor: 3,
  states: new Map([['kv', 4]]),
  strangers: ['other'],
  blobs: [{ id: 'b', seq: 5, bytes: 6 }],
})

const manifest = encodeManifest({
  version: 1,
  restoreId: 'r',
  base: { history, seq: 7 },
  inSync: ['beta'],
  install: [{ path: 'docs/a', object: 'o', mode: 0o644, size: 1, version: 2 }],
  remove: [{ path: 'docs/b', version: 3 }],
  states: [{ className: 'kv', object: 's', seq: 4 }],
  complete: true,
  keep: [{ path: 'docs/c', version: 5 }],
  tombstoneFloor: 6,
})

const staged = encode({
  base: { history, seq: 7 },
  files: [['docs/a', null, 3, 0o644, 5, true]],
})

const indexBlock = encode({
  v: 1,
  c: ['docs'],
  f: [['docs/a', 0, 1, 2, 0o644, 3.5, 4]],
  r: [['docs/b', 5]],
  d: ['docs/c'],
})

/**
 * What reads each kind, a sound one, and the fields that may be anything: they are flags, or not
 * read.
 */
const kinds: Record<string, [(bytes: Uint8Array) => unknown, Uint8Array, readonly string[]]> = {
  checkpoint: [decodeCheckpoint, checkpoint, ['version']],
  manifest: [decodeManifest, manifest, ['version', 'complete']],
  'index block': [(bytes) => readIndexBlock(bytes, new FileIndex()), indexBlock, ['v']],
  incident: [decodeIncident, encode(incident), ['version', 'truncated', 'damaged']],
  'staging index': [decodeStagingIndex, staged, []],
}

const corrupt = expect.objectContaining({ code: 'STORAGE_CORRUPT' })
const strange = [{ strange: true }, [{}], -1, 'x'.repeat(10), new Uint8Array(1), null]

describe('a document of the own disk that is not what was written there is STORAGE_CORRUPT', () => {
  for (const [name, [read, sound, lenient]] of Object.entries(kinds)) {
    test(`a ${name}`, () => {
      expect(() => read(sound)).not.toThrow()
      for (const bytes of [Uint8Array.of(0xc1), sound.subarray(0, -1), encode(['list'])]) {
        expect(() => read(bytes)).toThrow(corrupt)
      }
      const fields = decode(sound) as Record<string, unknown>
      for (const field of Object.keys(fields).filter((one) => !lenient.includes(one))) {
        let refused = 0
        for (const value of strange) {
          const bytes = encode({ ...fields, [field]: value })
          try {
            read(bytes)
          } catch (error) {
            expect(error, field).toEqual(corrupt)
            refused += 1
          }
        }
        expect(refused, field).toBeGreaterThan(strange.length / 2)
      }
    })
  }

  test('a stored state, and the snapshot in it', async () => {
    const sound = encodeState({ seq: 3, bytes: encode('state') })
    expect(decodeState(sound).seq).toBe(3)
    for (const bytes of [sound.subarray(0, -1), encode([1, -1, text('x')]), encode([1, 3, 'x'])]) {
      expect(() => decodeState(bytes)).toThrow(corrupt)
    }
    const states = new AppStates(testPolicy(new TestState()), 100, () => undefined)
    const [slot] = states.slots
    if (slot === undefined) throw new Error('no class')
    const broken = states.restore(slot, { seq: 3, bytes: Uint8Array.of(0xc1) })
    await expect(broken).rejects.toThrow(corrupt)
  })

  test('the header of a segment', () => {
    const sound = encodeSegmentHeader(1, facts)
    expect(readSegmentHeader(sound)?.facts).toEqual(facts)
    const wrong = encodeSegmentHeader(1, { ...facts, seq: -1 })
    expect(() => readSegmentHeader(wrong)).toThrow(corrupt)
  })

  test('a path in a manifest that leads out of the storage', () => {
    const fields = decode(manifest) as Record<string, unknown>
    const wrong = encode({ ...fields, remove: [['../b', 3]] })
    expect(() => decodeManifest(wrong)).toThrow(corrupt)
  })
})

test('an incident comes back as it was sealed, and words of a later version are passed on', () => {
  expect(decodeIncident(encode(incident))).toEqual(incident)
  const { gone: _, ...others } = incident
  expect(decodeIncident(encode(others))).toEqual(others)
  const later = { ...incident, reason: 'ofALaterVersion', added: 1 }
  expect(decodeIncident(encode(later))).toEqual({ ...incident, reason: 'ofALaterVersion' })
})

test('a copy with a broken manifest or checkpoint opens, and is known as damaged', async () => {
  for (const name of [manifestName, checkpointName]) {
    const storage = await memory().open(owner('beta'))
    await storage.documents.write(name, encode({ version: 1, history: 'none' }))
    const copy = await openCopy(storage, testPolicy(new TestState()))
    expect(copy.failed, name).toMatchObject({ code: 'JOURNAL_CORRUPT' })
    await copy.close()
  }
})

test('a broken incident of the vault is listed as unreadable', async () => {
  const storage = await memory().open(owner('beta'))
  await storage.documents.write(documentOf('one'), encode({ ...incident, files: 'none' }))
  const vault = await Vault.open({
    storage,
    clock: new TestClock(),
    nodeId: 'beta',
    bytesMax: 1 << 20,
    stateClasses: [],
    report: () => undefined,
  })
  expect(await vault.list()).toMatchObject([{ id: 'one', reason: 'unreadable', damaged: true }])
})
