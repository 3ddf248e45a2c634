/** The target's side of a restore, against a source that a test makes up. */

import { afterEach, describe, expect, it } from 'vitest'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { Extent } from '../../src/history/position.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import type { BulkAnswer } from '../../src/replication/bulk/client.js'
import type { BulkRequest } from '../../src/replication/bulk/messages.js'
import type { RestoreContext } from '../../src/replication/restore/context.js'
import { Restore } from '../../src/replication/restore/restore.js'
import { Staging } from '../../src/replication/restore/staging.js'
import { memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, TestState, testPolicy } from '../copy/support.js'
import { TestClock } from '../support/clock.js'

const term = { epoch: 1, nodeId: 'alpha', bootId: 'boot' }
const cut: Extent = { history: [{ ...term, firstSeq: 1 }], seq: 100 }
const page = { files: [], removed: [], next: 0, filesTotal: 0, bytesTotal: 0, complete: false }

let copy: LocalCopy
afterEach(() => copy.close())

/** A restore of a copy with three changes, of which the source has one. */
async function restoreFrom(
  answer: (request: BulkRequest, clock: TestClock) => BulkAnswer | undefined,
): Promise<{ restore: Restore; storage: OpenStorage; asked: BulkRequest[] }> {
  const storage = await memory().open(owner('beta'))
  copy = await openCopy(storage, testPolicy(new TestState()))
  const maker = new EntryMaker()
  copy.append(maker.open())
  for (const path of ['docs/a', 'docs/b', 'docs/c']) copy.append(maker.batch(put(path, path)))
  await copy.settle()
  const clock = new TestClock()
  const asked: BulkRequest[] = []
  const bulk = {
    room: 1 << 20,
    request: async <T>(request: BulkRequest, take: (given: BulkAnswer) => T): Promise<T> => {
      asked.push(request)
      const given = answer(request, clock)
      if (given === undefined) throw new Error('the source is gone')
      return take(given)
    },
  }
  const context = {
    copy,
    storage,
    clock,
    bulk,
    stateClasses: ['kv'],
    plan: { method: 'delta', cut, commonSeq: 1, diverged: true, restoreId: 'r', inSync: [] },
    outside: { unknown: [], differing: [], missing: [] },
    signal: new AbortController().signal,
    bytesPerSecondMax: 0,
    claims: () => true,
    progress: () => undefined,
  }
  return { restore: new Restore(context as unknown as RestoreContext), storage, asked }
}

describe('the index request of a restore', () => {
  it.each([
    { floor: 0, sinceSeq: 1 },
    { floor: 1, sinceSeq: 1 },
    { floor: 2, sinceSeq: 0 },
  ])('asks for changes since $sinceSeq when removals up to $floor are dropped', async (given) => {
    const { restore, asked } = await restoreFrom(() => undefined)
    copy.index.raiseFloor(given.floor)
    await expect(restore.fetch()).rejects.toThrow('the source is gone')
    expect(asked[0]).toMatchObject({ op: 'index', sinceSeq: given.sinceSeq })
  })
})

describe('a later attempt of an unfinished restore', () => {
  const bytes = new TextEncoder().encode('content')

  it.each([
    { what: 'stayed as it was', version: 50, found: ['docs/new'] },
    // Its bytes may come from both versions.
    { what: 'changed while it was read', version: 51, found: [] },
  ])('starts with the staged files $found when the file $what', async ({ version, found }) => {
    const { restore, storage } = await restoreFrom((request, clock) => {
      if (request.op === 'index') {
        const files = request.paths.length > 0 ? [] : [['docs/new', 50, bytes.length, 0o644]]
        return { body: { ...page, files, tombstoneFloor: 0 }, bytes: new Uint8Array(0) }
      }
      if (request.op !== 'read') return undefined
      // The staging index is saved from time to time.
      clock.now += 5_000
      const results = [[0, bytes.length, version, bytes.length, 0o644]]
      return { body: { results, seq: 101 }, bytes }
    })
    await expect(restore.fetch()).rejects.toThrow('the source is gone')
    await restore.settled()
    const later = await Staging.open(storage, cut)
    expect([...later.files.keys()]).toEqual(found)
  })
})
