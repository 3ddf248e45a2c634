import { describe, expect, test } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { type MemoryOperation, type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { TestClock } from '../support/clock.js'

const owner = { nodeId: 'alpha', bootId: 'boot-1' }
const seeds = Array.from({ length: 200 }, (_, seed) => seed + 1)

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error: unknown) => (HotspareError.is(error) ? error.code : String(error)),
  )
}

function put(path: string, text: string) {
  return { kind: 'put', path, bytes: bytesOf(text), mode: 0o644 } as const
}

async function writeObject(opened: OpenStorage, name: string, text: string): Promise<void> {
  const bytes = bytesOf(text)
  await opened.objects.write('staging', bytes, [
    { name, offset: 0, start: 0, length: bytes.byteLength },
  ])
}

/** Runs a story and a crash for each seed, and collects the contents after it. */
async function outcomes<T>(
  story: (opened: OpenStorage, storage: MemoryStorage) => Promise<unknown>,
  left: (storage: MemoryStorage, opened: OpenStorage) => Promise<T>,
): Promise<T[]> {
  const all: T[] = []
  for (const seed of seeds) {
    const storage = memory()
    await story(await storage.open(owner), storage)
    storage.crash(new SeededRandom(seed))
    all.push(await left(storage, await storage.open(owner)))
  }
  return all
}

describe('a crash of a memory storage', () => {
  test('ends the open handle, whose calls have no effect any more, and releases the lock', async () => {
    const storage = memory()
    const old = await storage.open(owner)
    const log = await old.logs.open('journal', '1')
    await log.append([bytesOf('x')])
    expect(storage.owner).toEqual(owner)
    storage.crash(new SeededRandom(1))
    expect(storage.owner).toBeUndefined()
    const next = await storage.open({ nodeId: 'alpha', bootId: 'boot-2' })
    expect(await codeOf(log.append([bytesOf('late')]))).toBe('STORAGE_FAILED')
    expect(await codeOf(old.documents.write('meta', bytesOf('late')))).toBe('STORAGE_FAILED')
    expect(await codeOf(old.tree.apply([put('f', 'late')]))).toBe('STORAGE_FAILED')
    expect(await codeOf(log.read(0, 1))).toBe('STORAGE_FAILED')
    const reopened = await next.logs.open('journal', '1')
    await log.close()
    await old.close()
    expect(await codeOf(storage.open(owner))).toBe('STORAGE_LOCKED')
    expect(await codeOf(next.logs.open('journal', '1'))).toBe('STORAGE_FAILED')
    expect(textOf(await reopened.read(0, 1))).toBe('x')
    expect(await next.documents.read('meta')).toBeUndefined()
    expect(storage.outside.list()).toEqual([])
  })

  test('keeps what was durable: documents, appends, synced objects and files', async () => {
    const left = await outcomes(
      async (opened) => {
        await opened.documents.write('meta', bytesOf('value'))
        await (await opened.logs.open('journal', '1')).append([bytesOf('record')])
        await writeObject(opened, 'o', 'object')
        await opened.objects.sync('staging', ['o'])
        await opened.tree.apply([put('a', 'file'), put('gone', 'x')])
        await opened.tree.apply([{ kind: 'remove', path: 'gone' }])
        await opened.tree.sync('all')
      },
      async (storage, opened) => [
        textOf(await opened.documents.read('meta')),
        textOf(await (await opened.logs.open('journal', '1')).read(0, 6)),
        textOf(await opened.objects.read('staging', 'o', 0, 10)),
        storage.outside.list().join(),
        textOf(storage.outside.read('a')),
      ],
    )
    for (const state of left) expect(state).toEqual(['value', 'record', 'object', 'a', 'file'])
  })

  test('leaves the old file, the new one or a torn one after an unsynced put', async () => {
    const left = await outcomes(
      async ({ tree }) => {
        await tree.apply([put('f', 'old')])
        await tree.sync(['f'])
        await tree.apply([put('f', 'the new bytes')])
      },
      async (storage) => textOf(storage.outside.read('f')) ?? 'missing',
    )
    expect(left).toContain('old')
    expect(left).toContain('the new bytes')
    expect(left.some((text) => 'the new bytes'.startsWith(text) && text.length < 13)).toBe(true)
    for (const text of left) {
      if (text !== 'old') expect('the new bytes'.startsWith(text.replace(/\0+$/, ''))).toBe(true)
    }
  })

  test('keeps any number of the first unsynced patches, and may tear the last of them', async () => {
    const left = await outcomes(
      async ({ tree }) => {
        await tree.apply([put('f', '........')])
        await tree.sync(['f'])
        for (const [index, text] of ['ab', 'cd', 'ef'].entries()) {
          await tree.apply([{ kind: 'patch', path: 'f', offset: index * 2, bytes: bytesOf(text) }])
        }
      },
      async (storage) => textOf(storage.outside.read('f')) ?? 'missing',
    )
    const possible = [
      '........',
      'a.......',
      'ab......',
      'abc.....',
      'abcd....',
      'abcde...',
      'abcdef..',
    ]
    expect([...new Set(left)].sort()).toEqual(possible.sort())
  })

  test('decides for every path independently', async () => {
    const left = await outcomes(
      ({ tree }) =>
        tree.apply([
          { kind: 'truncate', path: 'a', size: 1 },
          { kind: 'truncate', path: 'b/c', size: 1 },
        ]),
      async (storage) => storage.outside.list().join(),
    )
    expect([...new Set(left)].sort()).toEqual(['', 'a', 'a,b/c', 'b/c'])
  })

  test('never leaves a file at the path of a folder with files', async () => {
    const left = await outcomes(
      async ({ tree }) => {
        await tree.apply([put('a', 'file')])
        await tree.sync('all')
        await tree.apply([{ kind: 'remove', path: 'a' }, put('a/b', 'below')])
      },
      async (storage) => storage.outside.list().join(),
    )
    expect(left).not.toContain('a,a/b')
    expect(left).toContain('a')
    expect(left).toContain('a/b')
  })

  test('leaves nothing, a part or all of an unsynced object, and all or nothing of an unsynced removal', async () => {
    const written = await outcomes(
      (opened) => writeObject(opened, 'o', 'object'),
      async (_storage, { objects }) => (await objects.list('staging'))[0]?.bytes,
    )
    expect(written).toContain(undefined)
    expect(written).toContain(6)
    expect(written.some((bytes) => bytes !== undefined && bytes < 6)).toBe(true)
    const removed = await outcomes(
      async (opened) => {
        await writeObject(opened, 'o', 'object')
        await opened.objects.sync('staging')
        await opened.objects.remove('staging', ['o'])
      },
      async (_storage, { objects }) => (await objects.list('staging'))[0]?.bytes,
    )
    expect(new Set(removed)).toEqual(new Set([undefined, 6]))
  })

  test('SYN-33: leaves the bytes of a move between objects and tree complete on one side', async () => {
    const left = await outcomes(
      async ({ tree, objects }, storage) => {
        storage.outside.write('kept', bytesOf('loser'))
        await objects.write('staging', bytesOf('winner'), [
          { name: 'o', offset: 0, start: 0, length: 6 },
        ])
        await objects.sync('staging')
        await tree.apply([
          { kind: 'keep', path: 'kept', area: 'vault', name: 'v', copy: false },
          { kind: 'install', path: 'f', area: 'staging', name: 'o', mode: 0o644, move: true },
        ])
      },
      async (storage, { objects }) => {
        const vault = (await objects.list('vault')).length
        const staging = (await objects.list('staging')).length
        const kept = textOf(storage.outside.read('kept'))
        const installed = textOf(storage.outside.read('f'))
        if (vault === 1) expect(textOf(await objects.read('vault', 'v', 0, 9))).toBe('loser')
        if (staging === 1) expect(textOf(await objects.read('staging', 'o', 0, 9))).toBe('winner')
        expect(kept).toBe(vault === 1 ? undefined : 'loser')
        expect(installed).toBe(staging === 1 ? undefined : 'winner')
        return `${vault}${staging}`
      },
    )
    expect(new Set(left)).toEqual(new Set(['00', '01', '10', '11']))
  })

  test('HEAL-14: keeps a move after a sync of either side', async () => {
    for (const sync of [
      (opened: OpenStorage) => opened.objects.sync('vault', ['v']),
      (opened: OpenStorage) => opened.tree.sync(['kept']),
    ]) {
      const left = await outcomes(
        async (opened, storage) => {
          storage.outside.write('kept', bytesOf('loser'))
          await opened.tree.apply([
            { kind: 'keep', path: 'kept', area: 'vault', name: 'v', copy: false },
          ])
          await sync(opened)
        },
        async (storage, { objects }) => [
          storage.outside.list().length,
          textOf(await objects.read('vault', 'v', 0, 9)),
        ],
      )
      for (const state of left) expect(state).toEqual([0, 'loser'])
    }
  })

  test('sometimes leaves zeros after the end of a log, and nothing else', async () => {
    const left = await outcomes(
      async ({ logs }) => (await logs.open('journal', '1')).append([bytesOf('record')]),
      async (_storage, { logs }) => {
        const log = await logs.open('journal', '1')
        const bytes = await log.read(0, log.bytes)
        expect(textOf(bytes.subarray(0, 6))).toBe('record')
        expect(bytes.subarray(6).every((byte) => byte === 0)).toBe(true)
        return log.bytes > 6
      },
    )
    expect(new Set(left)).toEqual(new Set([true, false]))
  })

  test('of the process alone loses nothing that was written', async () => {
    for (const seed of seeds.slice(0, 20)) {
      const storage = memory()
      const opened = await storage.open(owner)
      await opened.tree.apply([put('f', 'unsynced')])
      await writeObject(opened, 'o', 'unsynced')
      storage.crash(new SeededRandom(seed), { powerCut: false })
      const { objects } = await storage.open(owner)
      expect(textOf(storage.outside.read('f'))).toBe('unsynced')
      expect(textOf(await objects.read('staging', 'o', 0, 99))).toBe('unsynced')
    }
  })

  test('leaves the same with the same seed', async () => {
    const run = (): Promise<string[]> =>
      outcomes(
        async (opened) => {
          await opened.tree.apply([put('a', 'one'), put('b', 'two')])
          await writeObject(opened, 'o', 'object')
          await (await opened.logs.open('journal', '1')).append([bytesOf('record')])
        },
        async (storage, { objects, logs }) =>
          JSON.stringify([
            storage.outside.list(),
            textOf(storage.outside.read('a')),
            await objects.list('staging'),
            await logs.list('journal'),
          ]),
      )
    expect(await run()).toEqual(await run())
  })
})

describe('calls that take time', () => {
  function timed(latencyMs: number): { clock: TestClock; storage: MemoryStorage } {
    const clock = new TestClock()
    const storage = memory({ clock })
    storage.faults.latency = () => latencyMs
    return { clock, storage }
  }

  test('take effect after their latency, on the given clock and in order', async () => {
    const { clock, storage } = timed(10)
    const asked: MemoryOperation[] = []
    const { tree, documents } = await storage.open(owner)
    storage.faults.latency = (operation) => {
      asked.push(operation)
      return 10
    }
    const ended: string[] = []
    void tree.apply([put('f', 'first')]).then(() => ended.push('first'))
    void tree.apply([put('f', 'second')]).then(() => ended.push('second'))
    void documents.write('meta', bytesOf('x')).then(() => ended.push('document'))
    await clock.pass(9)
    expect(ended).toEqual([])
    expect(storage.outside.list()).toEqual([])
    await clock.pass(1)
    expect(ended).toEqual(['first', 'document'])
    expect(textOf(storage.outside.read('f'))).toBe('first')
    await clock.pass(10)
    expect(ended).toEqual(['first', 'document', 'second'])
    expect(asked.sort()).toEqual(['documents.write', 'tree.apply', 'tree.apply'])
  })

  test('can be torn at any byte when a crash interrupts an append', async () => {
    const lengths = new Set<number>()
    for (const seed of seeds) {
      const { clock, storage } = timed(0)
      const { logs } = await storage.open(owner)
      const opening = logs.open('journal', '1')
      await clock.pass(0)
      const log = await opening
      storage.faults.latency = () => 5
      const append = codeOf(log.append([bytesOf('abc'), bytesOf('def')]))
      storage.crash(new SeededRandom(seed), { powerCut: false })
      expect(await append).toBe('STORAGE_FAILED')
      expect(clock.timers).toBe(0)
      storage.faults.latency = undefined
      const again = await (await storage.open(owner)).logs.open('journal', '1')
      const text = textOf(await again.read(0, again.bytes))?.replace(/\0+$/, '') ?? ''
      expect('abcdef'.startsWith(text)).toBe(true)
      lengths.add(text.length)
    }
    expect([...lengths].sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('leave the old or the new document at a crash, and never write one that still waits', async () => {
    const found = new Set<string | undefined>()
    for (const seed of seeds) {
      const { clock, storage } = timed(0)
      const { documents } = await storage.open(owner)
      const first = documents.write('meta', bytesOf('old'))
      await clock.pass(0)
      await first
      storage.faults.latency = () => 5
      const calls = [
        documents.write('meta', bytesOf('new')),
        documents.write('meta', bytesOf('no')),
      ]
      const codes = Promise.all(calls.map(codeOf))
      storage.crash(new SeededRandom(seed))
      expect(await codes).toEqual(['STORAGE_FAILED', 'STORAGE_FAILED'])
      storage.faults.latency = undefined
      found.add(textOf(await (await storage.open(owner)).documents.read('meta')))
    }
    expect(found).toEqual(new Set(['old', 'new']))
  })

  test('are awaited by close', async () => {
    const { clock, storage } = timed(10)
    const opened = await storage.open(owner)
    const write = opened.documents.write('meta', bytesOf('x'))
    let closed = false
    const closing = opened.close().then(() => {
      closed = true
    })
    await clock.pass(9)
    expect(closed).toBe(false)
    expect(await codeOf(storage.open(owner))).toBe('STORAGE_LOCKED')
    await clock.pass(1)
    await Promise.all([write, closing])
    await storage.open(owner)
  })
})

describe('faults of a memory storage', () => {
  test('GEN-8: full refuses what needs space, and allows removals', async () => {
    const storage = memory()
    const { documents, logs, objects, tree } = await storage.open(owner)
    const log = await logs.open('journal', '1')
    await tree.apply([put('f', 'x')])
    storage.faults.full = true
    expect(await codeOf(documents.write('meta', bytesOf('x')))).toBe('STORAGE_FULL')
    expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FULL')
    expect(await codeOf(logs.open('journal', '2'))).toBe('STORAGE_FULL')
    const slices = [{ name: 'o', offset: 0, start: 0, length: 1 }]
    expect(await codeOf(objects.write('blobs', bytesOf('x'), slices))).toBe('STORAGE_FULL')
    expect(await codeOf(tree.apply([put('g', 'x')]))).toBe('STORAGE_FULL')
    await tree.apply([{ kind: 'remove', path: 'f' }])
    await objects.remove('blobs', ['o'])
    storage.faults.full = false
    await tree.apply([put('g', 'x')])
    expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FAILED')
    await log.close()
    const again = await logs.open('journal', '1')
    await again.truncate(0)
    await again.append([bytesOf('x')])
  })

  test('GEN-8: readOnly refuses every change, and opening', async () => {
    const storage = memory()
    const { documents, tree } = await storage.open(owner)
    storage.faults.readOnly = true
    expect(await codeOf(documents.write('meta', bytesOf('x')))).toBe('STORAGE_READ_ONLY')
    expect(await codeOf(tree.apply([{ kind: 'remove', path: 'f' }]))).toBe('STORAGE_READ_ONLY')
    expect(await codeOf(memoryOpenedReadOnly())).toBe('STORAGE_READ_ONLY')
    expect(await documents.read('meta')).toBeUndefined()
  })

  test('failNextSync fails one sync, and later syncs never report its data as durable', async () => {
    const storage = memory()
    const { logs, objects, tree } = await storage.open(owner)
    const log = await logs.open('journal', '1')
    storage.faults.failNextSync = true
    expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FAILED')
    expect(storage.faults.failNextSync).toBe(false)
    expect(await codeOf(log.append([bytesOf('x')]))).toBe('STORAGE_FAILED')
    await tree.apply([put('f', 'x')])
    storage.faults.failNextSync = true
    expect(await codeOf(tree.sync(['f']))).toBe('STORAGE_FAILED')
    expect(await codeOf(tree.sync('all'))).toBe('STORAGE_FAILED')
    await tree.apply([put('f', 'x')])
    await tree.sync('all')
    await objects.write('blobs', bytesOf('x'), [{ name: 'o', offset: 0, start: 0, length: 1 }])
    storage.faults.failNextSync = true
    expect(await codeOf(objects.sync('blobs'))).toBe('STORAGE_FAILED')
    expect(await codeOf(objects.sync('blobs'))).toBe('STORAGE_FAILED')
  })

  test('loseNextSync drops unsynced data: later syncs succeed, and a power cut loses the data', async () => {
    const storage = memory()
    const write = async ({ objects, tree }: OpenStorage, text: string): Promise<void> => {
      await objects.write('blobs', bytesOf(text), [{ name: 'o', offset: 0, start: 0, length: 4 }])
      await tree.apply([{ kind: 'patch', path: 'f', offset: 0, bytes: bytesOf(text) }])
    }
    const lose = async (open: OpenStorage): Promise<void> => {
      storage.faults.loseNextSync = true
      expect(await codeOf(open.objects.sync('blobs'))).toBe('STORAGE_FAILED')
      storage.faults.loseNextSync = true
      expect(await codeOf(open.tree.sync(['f']))).toBe('STORAGE_FAILED')
      expect(await codeOf(open.tree.sync(['f']))).toBe('STORAGE_FAILED')
      await open.close()
    }
    const sync = async ({ objects, tree }: OpenStorage): Promise<void> => {
      await objects.sync('blobs')
      await tree.sync('all')
    }
    const first = await storage.open(owner)
    await write(first, 'old.')
    await sync(first)
    await write(first, 'new.')
    await lose(first)

    const second = await storage.open(owner)
    await sync(second)
    expect(textOf(await second.objects.read('blobs', 'o', 0, 9))).toBe('new.')
    expect(textOf(storage.outside.read('f'))).toBe('new.')
    storage.crash(new SeededRandom(1))
    expect(textOf(storage.outside.read('f'))).toBe('old.')

    const third = await storage.open(owner)
    expect(textOf(await third.objects.read('blobs', 'o', 0, 9))).not.toBe('new.')
    await write(third, 'last')
    await lose(third)
    const fourth = await storage.open(owner)
    await write(fourth, 'last')
    await sync(fourth)
    storage.crash(new SeededRandom(1))
    expect(textOf(storage.outside.read('f'))).toBe('last')
    const fifth = await storage.open(owner)
    expect(textOf(await fifth.objects.read('blobs', 'o', 0, 9))).toBe('last')
  })

  test('flipBit damages one bit of the stored bytes without changing stat', async () => {
    const storage = memory()
    const { documents, logs, objects, tree } = await storage.open(owner)
    const random = new SeededRandom(1)
    expect(storage.flipBit({ kind: 'document', name: 'meta' }, random)).toBe(false)
    await documents.write('meta', bytesOf('value'))
    expect(storage.flipBit({ kind: 'document', name: 'meta' }, random)).toBe(true)
    expect(await codeOf(documents.read('meta'))).toBe('STORAGE_CORRUPT')
    await documents.write('meta', bytesOf('value'))
    expect(textOf(await documents.read('meta'))).toBe('value')
    const log = await logs.open('journal', '1')
    const record = bytesOf('record')
    await log.append([record])
    expect(storage.flipBit({ kind: 'log', area: 'journal', name: '1' }, random)).toBe(true)
    expect(bitsThatDiffer(await log.read(0, 6), bytesOf('record'))).toBe(1)
    expect(textOf(record)).toBe('record')
    const [before] = await tree.apply([put('f', 'content')])
    expect(storage.flipBit({ kind: 'file', path: 'f' }, random)).toBe(true)
    expect(bitsThatDiffer(storage.outside.read('f'), bytesOf('content'))).toBe(1)
    expect((await tree.stat(['f']))[0]).toEqual(before)
    await writeObject({ objects } as OpenStorage, 'o', 'object')
    expect(storage.flipBit({ kind: 'object', area: 'staging', name: 'o' }, random)).toBe(true)
    expect(bitsThatDiffer(await objects.read('staging', 'o', 0, 6), bytesOf('object'))).toBe(1)
  })

  test('failure fails the calls that it chooses, after a part or before any effect', async () => {
    const storage = memory()
    const open = await storage.open(owner)
    const lengths = new Set<number>()
    for (const seed of seeds.slice(0, 40)) {
      const log = await open.logs.open('journal', `log${seed}`)
      const error = new HotspareError('STORAGE_FAILED', 'as it was told to')
      storage.faults.failure = (operation) =>
        operation === 'log.append' ? { error, torn: new SeededRandom(seed) } : undefined
      await expect(log.append([new Uint8Array(9)])).rejects.toBe(error)
      storage.faults.failure = undefined
      lengths.add(
        (await open.logs.list('journal')).find(({ name }) => name === `log${seed}`)!.bytes,
      )
    }
    expect(lengths.size).toBeGreaterThan(5)
    storage.faults.failure = () => ({ error: new HotspareError('STORAGE_FULL') })
    await expect(open.tree.apply([put('a', 'x')])).rejects.toThrow(HotspareError)
    storage.faults.failure = undefined
    expect(storage.outside.list()).toEqual([])
  })

  const text = (value: string): Uint8Array => new TextEncoder().encode(value)

  test('a device can be restored from an image or emptied while it is not open', async () => {
    const storage = memory()
    const first = await storage.open(owner)
    await first.documents.write('state', text('old'))
    await first.tree.apply([put('a', 'old'), put('b', 'stays')])
    const log = await first.logs.open('journal', 'one')
    await log.append([text('12345')])
    const image = storage.image()
    await first.documents.write('state', text('new'))
    await first.tree.apply([{ kind: 'patch', path: 'a', offset: 0, bytes: text('new') }])
    await first.tree.apply([{ kind: 'remove', path: 'b' }])
    await log.append([text('6')])
    expect(() => storage.replace(image)).toThrow('open for node alpha')
    await first.close()
    for (let times = 0; times < 2; times += 1) {
      storage.replace(image)
      storage.crash(new SeededRandom(1))
      expect(storage.outside.list()).toEqual(['a', 'b'])
      expect(storage.outside.read('a')).toEqual(text('old'))
      const again = await storage.open(owner)
      expect(await again.documents.read('state')).toEqual(text('old'))
      expect(await again.logs.list('journal')).toEqual([{ name: 'one', bytes: 5 }])
      await again.tree.apply([put('a', 'changed after')])
      await again.close()
    }
    storage.replace()
    const empty = await storage.open(owner)
    expect([storage.outside.list(), await empty.documents.list('')]).toEqual([[], []])
    expect(await empty.logs.list('journal')).toEqual([])
    await empty.close()
  })

  test('changes of files by other programs are seen by the storage', async () => {
    const storage = memory()
    storage.outside.write('a/b', bytesOf('planted'), 0o600)
    const { tree } = await storage.open(owner)
    const [stat] = await tree.stat(['a/b'])
    expect(stat).toMatchObject({ size: 7, mode: 0o600 })
    storage.outside.write('a/b', bytesOf('changed'))
    expect((await tree.stat(['a/b']))[0]?.mtimeMs).not.toBe(stat?.mtimeMs)
    storage.outside.remove('a/b')
    expect(await tree.stat(['a/b'])).toEqual([undefined])
    expect(storage.outside.list()).toEqual([])
  })

  test('arguments and answers share no memory with the storage, also when they are Node buffers', async () => {
    const storage = memory()
    const given = Buffer.from('given')
    storage.outside.write('a', given)
    const { tree, documents } = await storage.open(owner)
    await tree.apply([{ kind: 'put', path: 'b', bytes: given, mode: 0o600 }])
    await documents.write('c', given)
    given.fill('x')
    storage.outside.read('a')?.fill(0)
    storage.outside.read('b')?.fill(0)
    ;(await documents.read('c'))?.fill(0)
    for (const path of ['a', 'b']) {
      expect(Buffer.from(storage.outside.read(path) ?? []).toString(), path).toBe('given')
    }
    expect(Buffer.from((await documents.read('c')) ?? []).toString()).toBe('given')
    expect(storage.outside.stat('b')).toMatchObject({ size: 5, mode: 0o600 })
    expect(storage.outside.stat('c')).toBeUndefined()
  })

  function memoryOpenedReadOnly(): Promise<OpenStorage> {
    const storage = memory()
    storage.faults.readOnly = true
    return storage.open(owner)
  }
})

function bitsThatDiffer(left: Uint8Array | undefined, right: Uint8Array): number {
  let bits = 0
  for (const [index, byte] of right.entries()) {
    for (let rest = byte ^ (left?.[index] ?? 0); rest !== 0; rest >>= 1) bits += rest & 1
  }
  return bits
}
