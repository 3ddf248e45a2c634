import { setTimeout as delay } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import type { Channel } from '../../src/protocol/channel.js'
import { encode } from '../../src/protocol/codec.js'
import { type BulkAnswer, BulkClient } from '../../src/replication/bulk/client.js'
import { fetchBlob } from '../../src/replication/bulk/fetch-blob.js'
import { listedPathBytes, readAnswer } from '../../src/replication/bulk/messages.js'
import { unpack } from '../../src/replication/bulk/packed-content.js'
import { BulkServer } from '../../src/replication/bulk/server.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, TestState, testPolicy } from '../copy/support.js'
import { TestClock } from '../support/clock.js'

interface Page {
  readonly files: readonly [path: string, ...numbers: number[]][]
  readonly removed: readonly [path: string, version: number][]
  readonly next: number
}

interface Asker {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  readonly rejections: unknown[]
  isDestroyed(): boolean
  /** Sends a request and waits for its answer, or for the end of the channel. */
  ask(request: object): Promise<{ body?: unknown; error?: unknown }>
  /** The same, with the bytes of the answer. */
  answerTo(request: object): Promise<{ body: unknown; bytes: Uint8Array }>
  /** Closes the copy and its storage, so that another process can open them. */
  close(): Promise<void>
}

/** A lane to a copy, on a channel that refuses longer frames, as the real one does. */
async function lane(
  payloadBytesMax: number,
  onSend?: () => void,
  owned: MemoryStorage = memory(),
): Promise<Asker> {
  const storage = await owned.open(owner())
  const copy = await openCopy(storage, testPolicy(new TestState()))
  let receive: (message: unknown) => void = () => undefined
  let isDestroyed = false
  const answers: Uint8Array[] = []
  const channel = {
    payloadBytesMax,
    onFrame: () => undefined,
    onMessage: (given: typeof receive) => {
      receive = given
    },
    onClose: () => undefined,
    send: (_type: number, parts: readonly Uint8Array[]) => {
      onSend?.()
      const frame = Buffer.concat(parts)
      if (frame.length > payloadBytesMax) throw new HotspareError('FRAME_TOO_LARGE', 'a frame')
      answers.push(frame)
      return true
    },
    drained: () => Promise.resolve(),
    destroy: () => {
      isDestroyed = true
    },
  }
  new BulkServer(channel as unknown as Channel, { copy, storage, served: () => undefined })
  const rejections: unknown[] = []
  const ask: Asker['ask'] = async (request) => {
    const note = (error: unknown): void => void rejections.push(error)
    process.on('unhandledRejection', note)
    const before = answers.length
    receive({ id: 1, ...request })
    const isOver = (): boolean => answers.length > before || isDestroyed || rejections.length > 0
    await vi.waitFor(() => expect(isOver()).toBe(true), { interval: 1 })
    process.off('unhandledRejection', note)
    const answer = answers[before]
    return answer === undefined ? {} : readAnswer(answer).head
  }
  const answerTo: Asker['answerTo'] = async (request) => {
    await ask(request)
    const { head, bytes } = readAnswer(answers.at(-1) ?? new Uint8Array(0))
    return { body: head.body, bytes }
  }
  const close = async (): Promise<void> => {
    await copy.close()
    await storage.close()
  }
  return { copy, storage, rejections, isDestroyed: () => isDestroyed, ask, answerTo, close }
}

const frameBytes = 1024 * 1024

test('a request with more paths than fit into one answer is answered in pages', async () => {
  const { copy, rejections, ask } = await lane(frameBytes)
  const paths = Array.from({ length: 4090 }, (_, n) => `docs/${'x'.repeat(242)}/${n}`)
  expect(encode(paths).length).toBeLessThan(frameBytes)
  const seen: string[] = []
  for (let from = 0; ; ) {
    const answer = await ask({ op: 'index', sinceSeq: 0, paths, from })
    expect(rejections).toEqual([])
    const { removed, next } = answer.body as Page
    seen.push(...removed.map(([path]) => path))
    if (next === 0) break
    from = next
  }
  expect(seen).toEqual(paths)
  await copy.close()
})

test('files and removals are listed in pages that fit a small frame, each path once', async () => {
  const { copy, ask } = await lane(64 * 1024)
  const maker = new EntryMaker()
  copy.append(maker.open())
  const name = (n: number): string => `docs/${'y'.repeat(200)}/${n}`
  for (let n = 0; n < 1000; n += 1) copy.append(maker.batch(put(name(n), '')))
  const removals = Array.from({ length: 500 }, (_, n) => n)
  for (const n of removals) {
    copy.append(maker.batch({ kind: 'remove', className: 'docs', path: name(n) }))
  }
  const files: string[] = []
  const removed: string[] = []
  // A peer that has the first change, because a peer without any gets no removals.
  for (let from = 0, pages = 1; ; pages += 1) {
    const page = (await ask({ op: 'index', sinceSeq: 1, paths: [], from })).body as Page
    files.push(...page.files.map(([path]) => path))
    removed.push(...page.removed.map(([path]) => path))
    from = page.next
    if (from > 0) continue
    expect(pages).toBeGreaterThan(4)
    break
  }
  expect(new Set(files)).toEqual(new Set(Array.from({ length: 500 }, (_, n) => name(n + 500))))
  expect(files).toHaveLength(500)
  expect(removed).toEqual(removals.map(name))
  await copy.close()
})

test('a read of more bytes than fit into a frame beside its list is refused', async () => {
  const { copy, ask } = await lane(64 * 1024)
  const requests = Array.from({ length: 1000 }, (_, n) => [`docs/${n}`, 0, 59])
  const answer = await ask({ op: 'read', requests })
  expect(answer.error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
  await copy.close()
})

test('an answer that cannot be sent ends only the lane', async () => {
  const { copy, rejections, isDestroyed, ask } = await lane(frameBytes, () => {
    throw new HotspareError('FRAME_TOO_LARGE', 'a frame')
  })
  await ask({ op: 'index', sinceSeq: 0, paths: [], from: 0 })
  expect(rejections).toEqual([])
  expect(isDestroyed()).toBe(true)
  await copy.close()
})

test('a path never takes more bytes in a message than are counted for it', () => {
  for (const path of ['a', 'é'.repeat(500), 'x'.repeat(1024), '語'.repeat(300)]) {
    const file = [path, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0o777]
    expect(encode(file).length).toBeLessThanOrEqual(listedPathBytes(path))
  }
})

test('a sparse file is sent without its holes to a peer that can restore them, and whole to others', async () => {
  const { copy, answerTo } = await lane(frameBytes)
  const maker = new EntryMaker()
  copy.append(maker.open())
  const size = 200_000
  const content = Buffer.alloc(size)
  content.write('first', 0)
  content.write('second', 100_000)
  const truncate = { kind: 'truncate', className: 'docs', path: 'docs/sparse', size } as const
  copy.append(maker.batch(put('docs/full', 'full')))
  copy.append(maker.batch(put('docs/sparse', 'first')))
  const patch = { kind: 'patch', className: 'docs', path: 'docs/sparse', offset: 100_000 } as const
  copy.append(maker.batch({ ...patch, bytes: Buffer.from('second'), blob: undefined }))
  copy.append(maker.batch(truncate))
  await copy.settle()
  const requests = [
    ['docs/full', 0, 100],
    ['docs/sparse', 0, size],
    ['docs/sparse', 10_000, 50_000],
    ['docs/full', 1, 2],
  ]
  const lengths = [4, size, 50_000, 2]
  const wanted = [
    Buffer.from('full'),
    content,
    content.subarray(10_000, 60_000),
    Buffer.from('ul'),
  ].map(String)
  for (const holes of [undefined, true]) {
    const { body, bytes } = await answerTo({ op: 'read', requests, ...(holes ? { holes } : {}) })
    const { results } = body as { results: unknown[][] }
    expect(results.map((result) => result.length)).toEqual(holes ? [5, 6, 6, 5] : [5, 5, 5, 5])
    expect(bytes.length < 20_000).toBe(holes === true)
    const stretches = results.map((result, at) => ({
      start: Number(result[0]),
      length: lengths[at] ?? 0,
      runs: result[5],
    }))
    const whole = unpack(bytes, stretches)
    expect(
      whole.starts.map((start, at) =>
        String(Buffer.from(whole.bytes.subarray(start, start + (lengths[at] ?? 0)))),
      ),
    ).toEqual(wanted)
  }
  await copy.close()
})

test.each([
  { what: 'a run beyond the stretch', runs: [5, 6] },
  { what: 'runs that overlap', runs: [0, 5, 4, 2] },
  { what: 'half a run', runs: [0, 5, 7] },
  { what: 'a run of nothing', runs: [0, 0] },
  { what: 'more bytes than there are', runs: [0, 9] },
  { what: 'no list', runs: 'x' },
  { what: 'fractions', runs: [0.5, 1] },
])('$what is refused', ({ runs }) => {
  expect(() => unpack(new Uint8Array(8), [{ start: 0, length: 10, runs }])).toThrow(/malformed/)
})

test('a blob that is longer than a frame is fetched in pieces that fit into answers', async () => {
  const source = await memory().open(owner())
  const bytes = Uint8Array.from({ length: 900_000 }, (_, at) => at % 251)
  const slice = { name: 'b', offset: 0, start: 0, length: bytes.length }
  await source.objects.write('blobs', bytes, [slice])
  const room = 256 * 1024 - 4096
  const bulk = {
    room,
    request: async (
      { offset, length }: { offset: number; length: number },
      take: (answer: BulkAnswer) => Uint8Array,
    ) => {
      const wanted = Math.min(length, room)
      return take({ body: {}, bytes: await source.objects.read('blobs', 'b', offset, wanted) })
    },
  } as unknown as BulkClient
  const target = await memory().open(owner())
  const blob = { id: 'b', bytes: bytes.length, crc: crc32(bytes) }
  await fetchBlob(bulk, target, blob, new AbortController().signal)
  expect(await target.objects.read('blobs', 'b', 0, bytes.length)).toEqual(bytes)
})

test('the silence timer of a lane ends with the lane', () => {
  const channel = {
    payloadBytesMax: 1_000_000,
    ...{ onFrame: vi.fn(), onMessage: vi.fn(), onClose: vi.fn(), close: vi.fn() },
  }
  const clock = new TestClock()
  const bulk = new BulkClient(channel as unknown as Channel)
  bulk.endWhenSilent(clock, 1000)
  clock.advance(10_000)
  expect(clock.timers).toBe(1)
  bulk.close()
  clock.advance(10_000)
  expect(clock.timers).toBe(0)
})

/** A lane to a copy whose two files are applied to the disk. */
async function laneToFiles(owned: MemoryStorage): Promise<Asker> {
  const asker = await lane(frameBytes, undefined, owned)
  const maker = new EntryMaker()
  asker.copy.append(maker.open())
  asker.copy.append(maker.batch(put('docs/a', 'one')))
  asker.copy.append(maker.batch(put('docs/b', 'two')))
  await asker.copy.settle()
  return asker
}

const readOf = (path: string): object => ({ op: 'read', requests: [[path, 0, 10]] })

test('ROL-16: a read of a file that was removed from the disk of the source by hand is refused', async () => {
  const owned = memory()
  const { copy, ask } = await laneToFiles(owned)
  owned.outside.remove('docs/a')
  expect(await ask(readOf('docs/a'))).toMatchObject({ error: { code: 'CHANGED_OUTSIDE' } })
  expect(await ask(readOf('docs/b'))).toMatchObject({ body: { results: [[0, 3, 2, 3, 420]] } })
  await copy.close()
})

test('ROL-16: a read with files whose length was changed by hand is refused, and names all of them', async () => {
  for (const text of ['longer', 'x']) {
    const owned = memory()
    const { copy, ask } = await laneToFiles(owned)
    for (const path of ['docs/a', 'docs/b']) owned.outside.write(path, Buffer.from(text))
    const requests = ['docs/a', 'docs/b'].map((path) => [path, 0, 3])
    const answer = await ask({ op: 'read', requests })
    expect(answer).toMatchObject({ error: { code: 'CHANGED_OUTSIDE' } })
    expect(JSON.stringify(answer)).toContain("'docs/a', and 1 more files,")
    expect(copy.outside.report.differing.map(({ path }) => path)).toEqual(['docs/a', 'docs/b'])
    await expect(copy.files.read('docs/b')).rejects.toMatchObject({ code: 'CHANGED_OUTSIDE' })
    await copy.close()
  }
})

test('ROL-16: a file removed by a change that the follower gets as well is answered as missing', async () => {
  const { copy, storage, ask } = await laneToFiles(memory())
  const maker = new EntryMaker(undefined, copy.seq)
  const { tree } = storage
  const [read, apply] = [tree.read.bind(tree), tree.apply.bind(tree)]
  let isGone = false
  // The file is removed from the tree when it is read, and from the index only afterwards.
  vi.spyOn(tree, 'read').mockImplementationOnce(async (requests, lend) => {
    copy.append(maker.batch({ kind: 'remove', className: 'docs', path: 'docs/a' }))
    await vi.waitFor(() => expect(isGone).toBe(true), { interval: 1 })
    return await read(requests, lend)
  })
  vi.spyOn(tree, 'apply').mockImplementationOnce(async (operations) => {
    const stats = await apply(operations)
    isGone = true
    await delay(20)
    return stats
  })
  const seq = copy.seq + 1
  expect(await ask(readOf('docs/a'))).toMatchObject({ body: { results: [null], seq } })
  expect(copy.outside.report.missing).toEqual([])
  await copy.close()
})

test('ROL-16: a file that was found changed at the start is never sent as the version of the history', async () => {
  const owned = memory()
  const first = await laneToFiles(owned)
  await first.close()
  owned.outside.write('docs/a', Buffer.from('edited'))
  const { copy, ask } = await lane(frameBytes, undefined, owned)
  expect(copy.outside.report.differing).toMatchObject([{ path: 'docs/a' }])
  expect(await ask(readOf('docs/a'))).toMatchObject({ error: { code: 'CHANGED_OUTSIDE' } })
  await copy.close()
})
