/** The same copy on a folder: what the model in memory cannot show. */

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Change } from '../../src/changes/change.js'
import { copyLimitsOf } from '../../src/copy/contents/types.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { roomBytes } from '../../src/storage/directory/base/room.js'
import { directory } from '../../src/storage/directory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import {
  bytesOf,
  EntryMaker,
  Model,
  openCopy,
  owner,
  patch,
  put,
  randomChange,
  TestState,
  testPolicy,
  text,
  untext,
  update,
} from './support.js'

let root: string
let storage: OpenStorage
let copy: LocalCopy
let state: TestState

async function start(): Promise<void> {
  storage = await directory(root).open(owner())
  state = new TestState()
  copy = await openCopy(storage, testPolicy(state))
}

async function stop(): Promise<void> {
  await copy.close()
  await storage.close()
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotspare-copy-'))
  await start()
})

afterEach(async () => {
  await stop()
  await rm(root, { recursive: true, force: true })
})

async function filesBelow(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const read = files.map(async (entry): Promise<[string, string]> => {
    const full = join(entry.parentPath, entry.name)
    return [full.slice(root.length + 1), await readFile(full, 'utf8')]
  })
  return Object.fromEntries((await Promise.all(read)).sort(([a], [b]) => (a < b ? -1 : 1)))
}

describe('a local copy in a folder', () => {
  test('random changes are in the folder, and are found again', async () => {
    const random = new SeededRandom(11)
    const model = new Model()
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 40; at += 1) {
        const changes: Change[] = [randomChange(random, model), randomChange(random, model)]
        copy.append(maker.batch(...changes))
        if (random.number() < 0.2) await copy.settle()
        if (random.number() < 0.05) await copy.checkpoint()
      }
      await copy.settle()
      const { files, values } = model.plain()
      expect(await filesBelow('docs').catch(() => ({}))).toEqual(files)
      await stop()
      await start()
      expect(copy.outside.report).toEqual({ unknown: [], differing: [], missing: [] })
      expect(copy.seq).toBe(maker.seq)
      expect(copy.files.list()).toEqual(Object.keys(files))
      for (const path of copy.files.list())
        expect(untext(await bytesOf(copy, path))).toBe(files[path])
      expect(Object.fromEntries([...state.values].sort())).toEqual(values)
    }
  })

  test('a process that dies leaves everything durable to the next one', async () => {
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a', 'one')))
    await copy.checkpoint()
    copy.append(maker.batch(put('docs/b', 'two'), patch('docs/a', 3, ' and'), update('x', 1)))
    await copy.flush()
    // Not closed: only the lock is given up.
    await storage.close()
    await start()
    expect(await filesBelow('docs')).toEqual({ 'docs/a': 'one and', 'docs/b': 'two' })
    expect(state.values.get('x')).toBe(1)
    expect(copy.complete).toBe(true)
  })

  test('a restore replaces the copy, moves what was staged, and leaves the rest alone', async () => {
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/old', 'old'), put('docs/f/g', 'g'), put('docs/keep', 'keep')))
    await copy.settle()
    await writeFile(join(root, 'unclaimed'), 'mine')
    const term = { epoch: 2, nodeId: 'beta', bootId: 'b' }
    const base = { history: [{ ...term, firstSeq: 1 }], seq: 9 }
    await copy.restoreSwitch.begin(base)
    const bytes = text('installed')
    const slice = { name: 'r/1', offset: 0, start: 0, length: bytes.length }
    await storage.objects.write('staging', bytes, [slice])
    copy.restoreSwitch.append(new EntryMaker(term, 9).batch(put('docs/new', 'new')))
    await copy.restoreSwitch.switchTo({
      version: 1,
      restoreId: 'r',
      base,
      install: [{ path: 'docs/f', object: 'r/1', mode: 0o600, size: 9, version: 4 }],
      remove: ['docs/old', 'docs/f/g'].map((path) => ({ path, version: 0 })),
      states: [],
      complete: true,
      keep: [{ path: 'docs/keep', version: 5 }],
      tombstoneFloor: 9,
    })
    await copy.settle()
    const expected = { 'docs/f': 'installed', 'docs/keep': 'keep', 'docs/new': 'new' }
    expect(await filesBelow('docs')).toEqual(expected)
    expect(await readFile(join(root, 'unclaimed'), 'utf8')).toBe('mine')
    await stop()
    await start()
    expect(copy.seq).toBe(10)
    expect(copy.outside.report).toEqual({ unknown: [], differing: [], missing: [] })
    expect(await filesBelow('docs')).toEqual(expected)
  })
})

describe('the bytes below .hotspare', () => {
  test('stay below one and a half times the limit of the journal, while much is written', async () => {
    const limit = 4 * 1024 * 1024
    await copy.close()
    copy = await openCopy(storage, testPolicy(state), { limits: copyLimitsOf(limit) })
    const maker = new EntryMaker()
    copy.append(maker.open())
    let most = 0
    for (let at = 0; at < 400; at += 1) {
      copy.append(maker.batch(put(`docs/${at % 20}`, 'x'.repeat(100_000))))
      await copy.settle()
      if (at % 5 !== 0) continue
      // How much comes while one is made depends on the machine: here nothing does.
      await copy.checkpoint()
      most = Math.max(most, await bytesBelow(join(root, '.hotspare')))
    }
    most -= roomBytes
    expect(most).toBeGreaterThan(limit / 2)
    expect(most).toBeLessThan(limit * 1.5)
  })
})

async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    if (found?.isFile() === true) bytes += found.size
  }
  return bytes
}
