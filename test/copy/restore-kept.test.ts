import { describe, expect, it } from 'vitest'
import type { RestoreManifest } from '../../src/copy/switch/manifest.js'
import type { Term } from '../../src/history/position.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  EntryMaker,
  openCopy,
  owner,
  put,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
} from './support.js'

const oldTerm: Term = { epoch: 1, nodeId: 'alpha', bootId: 'old' }
const newTerm: Term = { epoch: 2, nodeId: 'beta', bootId: 'new' }
const base = {
  history: [
    { ...oldTerm, firstSeq: 1 },
    { ...newTerm, firstSeq: 3 },
  ],
  seq: 50,
}

/** A complete restore that brings one file, and finds the other one here already. */
const manifest: RestoreManifest = {
  version: 1,
  restoreId: 'r1',
  base,
  install: [{ path: 'docs/new', object: 'r1/new', mode: 0o644, size: 3, version: 30 }],
  keep: [{ path: 'docs/keep', version: 2 }],
  remove: [],
  states: [],
  complete: true,
  tombstoneFloor: 2,
}

describe('a file that a complete restore keeps', () => {
  it('is durable before the restore takes away the journal that could still mend it', async () => {
    const storage = memory()
    const used = await storage.open(owner())
    const copy = await openCopy(used, testPolicy(new TestState()))
    const maker = new EntryMaker(oldTerm)
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/keep', 'before')))
    await copy.checkpoint()
    // In the tree and not synced: a crash repeats it from the journal.
    copy.append(maker.batch(put('docs/keep', 'kept')))
    await copy.settle()

    await copy.restoreSwitch.begin(base)
    const slice = { name: 'r1/new', offset: 0, start: 0, length: 3 }
    await used.objects.write('staging', text('new'), [slice])
    // The system reports one failed sync, and drops what was not on the disk yet.
    storage.faults.loseNextSync = true
    await expect(copy.restoreSwitch.switchTo(manifest)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    })
    storage.crash(new SeededRandom(1), { powerCut: false })

    const again = await startNode(storage)
    await again.copy.settle()
    expect(treeOf(storage)).toEqual({ 'docs/keep': 'kept' })
    await again.copy.close()
  })
})
