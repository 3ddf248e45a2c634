/** A copy before a restore, and the staged restore, for the suites about the switch. */
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { RestoreManifest } from '../../src/copy/switch/manifest.js'
import type { Term } from '../../src/history/position.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { encode } from '../../src/protocol/codec.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  EntryMaker,
  openCopy,
  owner,
  patch,
  put,
  startNode,
  TestState,
  testPolicy,
  text,
  treeOf,
  update,
} from './support.js'

export const oldTerm: Term = { epoch: 1, nodeId: 'alpha', bootId: 'old' }
export const newTerm: Term = { epoch: 2, nodeId: 'beta', bootId: 'new' }
export const base = {
  history: [
    { ...oldTerm, firstSeq: 1 },
    { ...newTerm, firstSeq: 3 },
  ],
  seq: 50,
}

export const oldContent = {
  files: { 'docs/a': 'old a', 'docs/f/g': 'old g', 'docs/keep': 'kept', 'docs/x': 'alien' },
  values: { x: 4, y: 1 },
}

export const newContent = {
  files: {
    'docs/a': 'new a, longer',
    'docs/f': 'a file now',
    'docs/keep': 'kept',
    'docs/n/e/w': 'late',
    'docs/n/later': 'later',
  },
  values: { x: 10, z: 3 },
}

/** A target with an old copy of its own, and files beside it that are nobody's business. */
export async function target(): Promise<MemoryStorage> {
  const storage = memory()
  storage.outside.write('local/settings', text('mine'))
  storage.outside.write('docs-not-claimed', text('mine'))
  const node = await startNode(storage)
  const maker = new EntryMaker(oldTerm)
  const { copy } = node
  copy.append(maker.open())
  copy.append(maker.batch(put('docs/a', 'old a'), put('docs/f/g', 'old g'), put('docs/keep', 'k')))
  await copy.checkpoint()
  copy.append(maker.batch(put('docs/keep', 'kept'), put('docs/x', 'alien')))
  copy.append(maker.batch(update('x', 4), update('y', 1)))
  await copy.settle()
  storage.crash(new SeededRandom(1), { powerCut: false })
  return storage
}

export async function stage(storage: OpenStorage, name: string, bytes: Uint8Array): Promise<void> {
  const slice = { name, offset: 0, start: 0, length: bytes.length }
  await storage.objects.write('staging', bytes, [slice])
}

export async function stageIncoming(
  storage: OpenStorage,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const slice = { name: path, offset: 0, start: 0, length: bytes.length, mode: 0o640 }
  await storage.objects.write('incoming', bytes, [slice])
}

/** A restore that brings one file, and leaves the others as they are. */
export const delta: RestoreManifest = {
  version: 1,
  restoreId: 'r2',
  base,
  install: [{ path: 'docs/a', object: 'r2/a', mode: 0o644, size: 5, version: 30 }],
  remove: [],
  states: [],
  complete: false,
  tombstoneFloor: 2,
}

export async function beginDelta(copy: LocalCopy, storage: OpenStorage): Promise<void> {
  await copy.restoreSwitch.begin(base)
  await stage(storage, 'r2/a', text('new a'))
}

/** Everything a restore does on the target's side. */
export async function restore(
  copy: LocalCopy,
  storage: OpenStorage,
  what = manifest,
): Promise<void> {
  await copy.restoreSwitch.begin(base, ['alpha'], 48)
  await stageIncoming(storage, 'docs/a', text('new a, longer'))
  await stage(storage, 'r1/f', text('a file now'))
  await stageIncoming(storage, 'docs/n/e/w', text('la'))
  await stage(storage, 'r1/kv', encode([['x', 10]]))
  const maker = new EntryMaker(newTerm, 50)
  copy.restoreSwitch.append(maker.batch(put('docs/n/later', 'later')))
  copy.restoreSwitch.append(maker.batch(patch('docs/n/e/w', 2, 'te'), update('x', 99)))
  copy.restoreSwitch.append(maker.batch(update('z', 3)))
  // Not flushed: the switch itself waits until the new journal is durable.
  await copy.restoreSwitch.switchTo(what)
}

export const docsY = { path: 'docs/y', version: 0 }

/** The segments of a journal that nobody has open. */
export async function journalOf(storage: MemoryStorage): Promise<{ readonly name: string }[]> {
  const open = await storage.open(owner())
  const segments = await open.logs.list('journal')
  await open.close()
  return segments
}

export const install = (
  path: string,
  object: string | undefined,
  version: number,
): RestoreManifest['install'][0] => ({
  path,
  object,
  mode: 0o640,
  size: 1,
  version,
})

export const manifest: RestoreManifest = {
  version: 1,
  restoreId: 'r1',
  base,
  inSync: ['alpha'],
  install: [
    install('docs/a', undefined, 40),
    install('docs/f', 'r1/f', 41),
    install('docs/n/e/w', undefined, 42),
  ],
  remove: ['docs/x', 'docs/f/g', 'docs/planted'].map((path) => ({ path, version: 0 })),
  // The snapshot was taken after the first update of x in the new journal.
  states: [{ className: 'kv', object: 'r1/kv', seq: 53 }],
  complete: true,
  keep: [{ path: 'docs/keep', version: 45 }],
  tombstoneFloor: 50,
}

export async function openTarget(
  storage: MemoryStorage,
  wrap?: (inner: OpenStorage) => OpenStorage,
) {
  const inner = await storage.open(owner())
  const used = wrap === undefined ? inner : wrap(inner)
  const state = new TestState()
  const copy = await openCopy(used, testPolicy(state))
  return { copy, state, used, storage, policy: testPolicy(state), events: [] }
}

export function untouched(storage: MemoryStorage): unknown {
  const outside = treeOf(storage, '')
  return [outside['local/settings'], outside['docs-not-claimed']]
}

export async function reopened(storage: MemoryStorage): Promise<MemoryStorage> {
  storage.crash(new SeededRandom(4))
  return storage
}
