import { describe, expect, test } from 'vitest'
import { placeOf } from '../../src/copy/switch/staging-areas.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { type StagedFile, Staging } from '../../src/replication/restore/staging.js'
import { memory } from '../../src/storage/memory.js'

const term = { epoch: 1, nodeId: 'alpha', bootId: 'boot' }
const base = { history: [{ ...term, firstSeq: 1 }], seq: 100 }

function opened(): Promise<OpenStorage> {
  return memory().open({ nodeId: 'beta', bootId: 'boot' })
}

async function arrive(storage: OpenStorage, file: StagedFile, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text)
  const { area, name } = placeOf(file)
  await storage.objects.write(area, bytes, [{ name, offset: 0, start: 0, length: bytes.length }])
  file.bytes = bytes.length
  file.written = bytes.length
  file.done = true
}

const namesIn = async (storage: OpenStorage, area: 'incoming' | 'staging'): Promise<string[]> =>
  (await storage.objects.list(area)).map(({ name }) => name)

describe('the staging area of a restore', () => {
  test('a second version of a path, and paths that conflict with an incoming one, are staged elsewhere', async () => {
    const staging = await Staging.open(await opened(), base)
    const places = ['a/b/c', 'a/b/c', 'a/b', 'a', 'a/b/c/d', 'a/b/d', 'x'].map((path) =>
      placeOf(staging.begin(path, 1, 0o644)),
    )
    expect(places.map(({ area }) => area)).toEqual([
      'incoming',
      'staging',
      'staging',
      'staging',
      'staging',
      'incoming',
      'incoming',
    ])
    expect(new Set(places.map(({ area, name }) => `${area}/${name}`)).size).toBe(places.length)
  })

  test('a newer version of a path is staged next to the older one, which the switch ignores', async () => {
    const storage = await opened()
    const staging = await Staging.open(storage, base)
    await arrive(storage, staging.begin('stays', 1, 0o644), 'stays')
    await arrive(storage, staging.begin('changed', 1, 0o644), 'older and longer')
    await arrive(storage, staging.begin('changed', 2, 0o644), 'newer')
    expect(await namesIn(storage, 'incoming')).toEqual(['changed', 'stays'])
    expect(placeOf(staging.files.get('changed') as StagedFile)).toEqual({
      area: 'staging',
      name: 'f1',
    })
    expect(await namesIn(storage, 'staging')).toEqual(['f1'])
  })

  test('a file that could not be made durable once is fetched again by the next attempt', async () => {
    const disk = memory()
    const storage = await disk.open({ nodeId: 'beta', bootId: 'boot' })
    const first = await Staging.open(storage, base)
    await arrive(storage, first.begin('d/sound', 7, 0o644), 'sound')
    const partly = first.begin('d/partly', 7, 0o644)
    await arrive(storage, partly, 'part')
    await first.save()
    const rest = { name: 'd/partly', offset: 4, start: 0, length: 2 }
    await storage.objects.write('incoming', new Uint8Array(2), [rest])
    Object.assign(partly, { bytes: 6, written: 6 })
    disk.faults.failNextSync = true
    await expect(first.save()).rejects.toThrow()
    const second = await Staging.open(storage, base)
    expect([...second.files.keys()]).toEqual(['d/sound'])
    expect(await namesIn(storage, 'incoming')).toEqual(['d/sound'])
    await arrive(storage, second.begin('d/partly', 7, 0o644), 'partly')
    await second.save()
    expect((await Staging.open(storage, base)).files.size).toBe(2)
  })

  test('a damaged staging index is ignored', async () => {
    const storage = await opened()
    const first = await Staging.open(storage, base)
    await arrive(storage, first.begin('a', 7, 0o644), 'content')
    await first.save()
    const [name = ''] = await storage.documents.list('staging')
    const document = await storage.documents.read(name)
    await storage.documents.write(name, (document ?? new Uint8Array(1)).subarray(0, -1))
    expect((await Staging.open(storage, base)).files.size).toBe(0)
    expect(await namesIn(storage, 'incoming')).toEqual([])
  })

  test('SYN-32: a later attempt resumes what arrived, and removes unknown objects', async () => {
    const storage = await opened()
    const first = await Staging.open(storage, base)
    await arrive(storage, first.begin('d/whole', 7, 0o644), 'whole')
    await arrive(storage, first.begin('d/twice', 7, 0o644), 'older')
    await arrive(storage, first.begin('d/twice', 8, 0o600), 'newer')
    await first.save()
    await arrive(storage, first.begin('d/late', 9, 0o644), 'after the last save')
    const second = await Staging.open(storage, base)
    expect(second.files.get('d/whole')).toMatchObject({ object: undefined, version: 7, done: true })
    const twice = { object: 'f1', version: 8, mode: 0o600, done: true }
    expect(second.files.get('d/twice')).toMatchObject(twice)
    expect(second.files.size).toBe(2)
    expect(await namesIn(storage, 'incoming')).toEqual(['d/whole'])
    expect(placeOf(second.begin('d/whole', 9, 0o644)).name).toBe('f2')
    expect(placeOf(second.begin('d/late', 9, 0o644)).area).toBe('incoming')
    await second.clean()
    expect(await namesIn(storage, 'incoming')).toEqual([])
    expect(await namesIn(storage, 'staging')).toEqual([])
  })
})
