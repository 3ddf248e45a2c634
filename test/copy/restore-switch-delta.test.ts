import { describe, expect, test } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import { encode } from '../../src/protocol/codec.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  base,
  beginDelta,
  delta,
  oldContent,
  openTarget,
  stage,
  target,
  untouched,
} from './restore-switch-support.js'
import { contentOf, text, treeOf, watched } from './support.js'

describe('the switch to a staged restore: deltas', () => {
  test('a delta replaces the paths that it names, and leaves tombstones', async () => {
    const storage = await target()
    const node = await openTarget(storage)
    await node.copy.restoreSwitch.begin(base)
    await stage(node.used, 'r2/a', text('new a'))
    await stage(node.used, 'r2/kv', encode([['x', 1]]))
    await node.copy.restoreSwitch.switchTo({
      version: 1,
      restoreId: 'r2',
      base,
      install: [{ path: 'docs/a', object: 'r2/a', mode: 0o644, size: 5, version: 30 }],
      remove: [
        { path: 'docs/x', version: 33 },
        { path: 'local/settings', version: 34 },
        { path: 'docs/never-here', version: 32 },
      ],
      states: [{ className: 'kv', object: 'r2/kv', seq: 50 }],
      complete: false,
      tombstoneFloor: 2,
    })
    const files = { 'docs/a': 'new a', 'docs/f/g': 'old g', 'docs/keep': 'kept' }
    expect(await contentOf(node)).toEqual({ files, values: { x: 1 } })
    expect(untouched(storage)).toEqual(['mine', 'mine'])
    expect(node.copy.index.changedSince(31)).toMatchObject({
      files: [],
      removed: [
        { path: 'docs/never-here', version: 32 },
        { path: 'docs/x', version: 33 },
      ],
    })
    expect(node.copy.index.get('docs/f/g')?.version).toBe(2)
    await node.copy.close()
  })

  test('a delta is applied only to a durable copy; the next attempt succeeds', async () => {
    const storage = await target()
    let isFailing = false
    const node = await openTarget(storage, (inner) =>
      watched(inner, (what) => {
        if (isFailing && what === 'tree.sync') throw new HotspareError('STORAGE_FAILED')
      }),
    )
    await beginDelta(node.copy, node.used)
    isFailing = true
    await expect(node.copy.restoreSwitch.switchTo(delta)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    })
    isFailing = false
    expect(node.copy.complete).toBe(true)
    expect(await contentOf(node)).toEqual(oldContent)
    // What the journal has and the tree may lose is still in it.
    expect(node.copy.firstSeq).toBe(1)
    await node.copy.reopen()
    await beginDelta(node.copy, node.used)
    await node.copy.restoreSwitch.switchTo(delta)
    await node.copy.close()
    storage.crash(new SeededRandom(1))
    expect(treeOf(storage)).toEqual({ ...oldContent.files, 'docs/a': 'new a' })
  })
})
