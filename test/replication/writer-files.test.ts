import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { BlobRef, Change } from '../../src/changes/change.js'
import type { AppendIntent } from '../../src/changes/intent.js'
import { HotspareError } from '../../src/errors.js'
import { FilesApi } from '../../src/node/writes/files.js'
import { BatchResolver } from '../../src/replication/write/batch-resolver.js'
import type { WriterOptions } from '../../src/replication/write/types.js'
import { writerLimits } from '../../src/replication/write/types.js'
import {
  type Bench,
  codeOf,
  gateTo,
  openWriter,
  policy,
  settle,
  stateOf,
} from './writer-support.js'

interface FilesBench extends Bench {
  readonly files: FilesApi
  readonly distributed: BlobRef[]
  readonly withdrawn: BlobRef[]
}

async function openFiles(options: Partial<WriterOptions> = {}): Promise<FilesBench> {
  const distributed: BlobRef[] = []
  const withdrawn: BlobRef[] = []
  const bench = await openWriter({
    degraded: true,
    blobs: {
      distribute: async (blob) => void distributed.push(blob),
      withdraw: (blobs) => void withdrawn.push(...blobs),
    },
    ...options,
  })
  const files = new FilesApi({
    policy,
    gate: gateTo(bench.writer, bench.storage),
    copy: () => bench.copy,
  })
  return { ...bench, files, distributed, withdrawn }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

function changes(bench: Bench): Change[] {
  return bench.copy.batches().flat()
}

async function blobNames(bench: Bench): Promise<string[]> {
  return (await bench.storage.objects.list('blobs')).map(({ name }) => name)
}

async function* stream(pieces: number, bytes: number, failure?: Error): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < pieces; piece += 1) yield Buffer.alloc(bytes, piece)
  if (failure !== undefined) throw failure
}

/** Content that records whether it was read. */
function watchedContent(): Iterable<Uint8Array> & { read: boolean } {
  return {
    read: false,
    *[Symbol.iterator]() {
      this.read = true
      yield Buffer.alloc(1)
    },
  }
}

describe('writing files (SYN-5, SYN-6)', () => {
  it('SYN-6: files are written, overwritten, appended to, patched, truncated and removed', async () => {
    const { files } = await openFiles()
    const receipt = await files.write('files/a/1.txt', 'hello')
    expect(receipt).toMatchObject({ position: { seq: 1 }, ack: 'local', durable: true })
    await files.append('files/a/1.txt', ' world')
    expect(text(await files.read('files/a/1.txt'))).toBe('hello world')
    await files.patch('files/a/1.txt', 6, 'there')
    await files.truncate('files/a/1.txt', 8)
    expect(text(await files.read('files/a/1.txt'))).toBe('hello th')
    expect(text(await files.read('files/a/1.txt', { offset: 1, length: 3 }))).toBe('ell')
    await files.write('files/a/1.txt', Uint8Array.of(1), { mode: 0o600 })
    expect(await files.stat('files/a/1.txt')).toEqual({
      path: 'files/a/1.txt',
      size: 1,
      mode: 0o600,
      className: 'files',
      version: 5,
      stale: false,
    })
    // The mode stays unless a write sets another one.
    await files.write('files/a/1.txt', 'x')
    expect((await files.stat('files/a/1.txt'))?.mode).toBe(0o600)
    await files.remove('files/a/1.txt')
    expect(await files.stat('files/a/1.txt')).toBeUndefined()
    expect(await codeOf(files.read('files/a/1.txt'))).toBe('FILE_NOT_FOUND')
  })

  it('SYN-25: only a new file whose path is blocked on the disk is refused', async () => {
    const { files, copy } = await openFiles()
    await files.write('files/old', 'x')
    const error = new HotspareError('PATH_BLOCKED', 'in the way')
    copy.files.blocked.set('files/link', error)
    const calls = [
      files.write('files/link', 'x'),
      files.write('files/new', 'x'),
      files.append('files/link', 'x'),
      files.write('files/old', 'y'),
      files.remove('files/link'),
      files.truncate('files/link', 0),
    ]
    const codes = await Promise.all(calls.map(codeOf))
    expect(codes).toEqual([
      'PATH_BLOCKED',
      'resolved',
      'PATH_BLOCKED',
      'resolved',
      'resolved',
      'PATH_BLOCKED',
    ])
    expect(copy.files.looks.slice(1)).toEqual([['files/link', 'files/new']])
    copy.files.blocked.clear()
    await files.write('files/link', 'x')
    expect(await files.list('files/link')).toHaveLength(1)
  })

  it('SYN-25: no write overtakes another while a path is checked on the disk', async () => {
    const { files, copy } = await openFiles()
    await files.write('files/old', '1')
    let seen = (): void => {}
    copy.files.look = new Promise((resolve) => {
      seen = resolve
    })
    const calls = [
      files.write('files/new', 'first'),
      files.write('files/old', '2'),
      files.remove('files/new'),
    ]
    await settle()
    calls.push(files.append('files/new', 'last'))
    await settle()
    expect(copy.batches().flat()).toHaveLength(1)
    seen()
    await Promise.all(calls)
    expect(copy.batches().flat().slice(1)).toMatchObject([
      { kind: 'put', path: 'files/new' },
      { kind: 'put', path: 'files/old' },
      { kind: 'remove', path: 'files/new' },
      { kind: 'patch', path: 'files/new' },
    ])
    expect(text(await files.read('files/new'))).toBe('last')
  })

  it('a disk that cannot be checked refuses no write', async () => {
    const { files, copy } = await openFiles()
    copy.files.look = Promise.reject(new HotspareError('STORAGE_FAILED', 'cannot look'))
    copy.files.look.catch(() => undefined)
    expect(await codeOf(files.write('files/new', 'x'))).toBe('resolved')
  })

  it('appends of one batch are placed after the earlier changes of the batch', async () => {
    const bench = await openFiles()
    await Promise.all([
      bench.files.write('files/log', 'one '),
      bench.files.append('files/log', 'two '),
      bench.files.append('files/log', 'three'),
      bench.files.append('files/new', 'first '),
      bench.files.truncate('files/log', 8),
      bench.files.append('files/log', 'four'),
      bench.files.append('files/new', 'second'),
    ])
    expect(bench.copy.batches()).toHaveLength(1)
    expect(text(await bench.files.read('files/log'))).toBe('one two four')
    expect(text(await bench.files.read('files/new'))).toBe('first second')
  })

  it('a write has the bytes of the time of the call', async () => {
    const { files } = await openFiles()
    const bytes = Buffer.from('before')
    const write = files.write('files/a', bytes)
    bytes.fill('!')
    await write
    expect(text(await files.read('files/a'))).toBe('before')
  })

  it('long bytes, which become a blob piece by piece, are those of the time of the call', async () => {
    const bench = await openFiles({ limits: { ...writerLimits, inlineBytesMax: 1000 } })
    const { files, distributed } = bench
    const before = new Uint8Array(600_000).fill(1)
    const calls = [
      (bytes: Uint8Array) => files.write('files/a', bytes),
      (bytes: Uint8Array) => files.append('files/b', bytes),
      (bytes: Uint8Array) => files.patch('files/c', 0, bytes),
    ]
    for (const call of calls) {
      const bytes = new Uint8Array(before)
      const write = call(bytes)
      bytes.fill(2)
      await write
      const id = distributed.at(-1)?.id ?? ''
      const stored = await bench.storage.objects.read('blobs', id, 0, 1_000_000)
      expect(Buffer.compare(stored, before)).toBe(0)
    }
  })

  it('files are listed by prefix and by glob', async () => {
    const { files } = await openFiles()
    for (const name of ['b/2.txt', 'b/1.txt', 'b/1.log', 'c.txt'])
      await files.write(`files/${name}`, name)
    const paths = async (pattern?: string): Promise<string[]> =>
      (await files.list(pattern)).map(({ path }) => path.slice(6))
    expect(await paths()).toEqual(['b/1.log', 'b/1.txt', 'b/2.txt', 'c.txt'])
    expect(await paths('files/b/')).toEqual(['b/1.log', 'b/1.txt', 'b/2.txt'])
    expect(await paths('files/b/*.txt')).toEqual(['b/1.txt', 'b/2.txt'])
    expect(await paths('files/**/*.txt')).toEqual(['b/1.txt', 'b/2.txt', 'c.txt'])
  })

  it('invalid, unclaimed, never synced and conflicting paths are refused', async () => {
    const bench = await openFiles()
    const { files } = bench
    expect(await codeOf(files.write('../x', 'a'))).toBe('PATH_INVALID')
    expect(await codeOf(files.write('elsewhere/x', 'a'))).toBe('PATH_UNCLAIMED')
    expect(await codeOf(files.write('own/x', 'a'))).toBe('PATH_NEVER_SYNCED')
    expect(await codeOf(files.read('own/x'))).toBe('PATH_NEVER_SYNCED')
    expect(await codeOf(files.stat('elsewhere/x'))).toBe('PATH_UNCLAIMED')
    await expect(files.write(1 as never, 'a')).rejects.toThrow(TypeError)
    await expect(files.write('files/x', 1 as never)).rejects.toThrow(TypeError)
    await expect(files.write('files/x', 'a', { mode: 0o1000 })).rejects.toThrow(TypeError)
    await expect(files.patch('files/x', -1, 'a')).rejects.toThrow(TypeError)
    await expect(files.truncate('files/x', 1.5)).rejects.toThrow(TypeError)
    expect(bench.copy.seq).toBe(0)
  })

  it('PATH_CONFLICT: no file below a file, none where a folder of files is; also within one batch', async () => {
    const bench = await openFiles()
    const { files } = bench
    await files.write('files/a/b', '1')
    const outcomes = await Promise.all(
      [
        files.write('files/a', '2'),
        files.write('files/a/b/c', '3'),
        files.write('files/n', '4'),
        files.append('files/n/o', '5'),
        files.write('files/p/q', '6'),
        files.truncate('files/p', 7),
        files.remove('files/a/b'),
        files.write('files/a', '8'),
        files.write('files/a/x', '9'),
      ].map(codeOf),
    )
    const no = 'PATH_CONFLICT'
    const yes = 'resolved'
    expect(outcomes).toEqual([no, no, yes, no, yes, no, yes, yes, no])
    expect([...bench.copy.files.keys()].sort()).toEqual(['files/a', 'files/n', 'files/p/q'])
  })

  it('writes wait for space in the queue instead of failing, in the order of the calls', async () => {
    const limits = { ...writerLimits, queueBytesMax: 10_000 }
    const bench = await openFiles({ limits })
    bench.copy.congested = true
    const writes = Array.from({ length: 20 }, (_, at) =>
      bench.files.append('files/log', `${at},`.padEnd(3000, '.')),
    )
    await settle()
    expect(bench.writer.status.queuedBytes).toBeLessThan(10_000)
    bench.copy.decongest()
    const receipts = await Promise.all(writes)
    expect(receipts.map(({ position }) => position.seq)).toEqual(
      Array.from({ length: 20 }, (_, at) => at + 1),
    )
  })

  it('nobody passes those who wait for room, and one that was given up never happens', async () => {
    const bench = await openFiles({ limits: { ...writerLimits, queueBytesMax: 1000 } })
    bench.writer.freeze()
    const abort = new AbortController()
    const given = [
      bench.files.write('files/a', 'x'.repeat(900)),
      bench.files.write('files/b', 'x'.repeat(900), { signal: abort.signal }),
      bench.files.write('files/c', 'x'.repeat(900)),
      // It would fit beside the first one.
      bench.files.write('files/d', 'x'),
    ]
    await settle()
    abort.abort()
    bench.writer.unfreeze()
    const outcomes = await Promise.allSettled(given)
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ])
    expect([...bench.copy.files.keys()]).toEqual(['files/a', 'files/c', 'files/d'])
  })

  it('a write that waits for room hears its signal, and the end of the role', async () => {
    const bench = await openFiles({ limits: { ...writerLimits, queueBytesMax: 1000 } })
    bench.writer.freeze()
    const first = bench.files.write('files/a', 'x'.repeat(900))
    const abort = new AbortController()
    const second = bench.files.write('files/b', 'x'.repeat(900), { signal: abort.signal })
    const third = bench.files.write('files/c', 'x'.repeat(900))
    await settle()
    abort.abort()
    expect(await codeOf(second)).toBe('ABORTED')
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
    expect(await codeOf(first)).toBe('NOT_ACTIVE')
    expect(await codeOf(third)).toBe('NOT_ACTIVE')
  })
})

describe('options of one write', () => {
  it('invalid options are refused before anything happens', async () => {
    const bench = await openFiles()
    const { files } = bench
    const content = watchedContent()
    const invalid = { code: 'OPTION_INVALID', details: { option: 'ack' } }
    await expect(files.write('files/a', content, { ack: 'x' as never })).rejects.toMatchObject(
      invalid,
    )
    await expect(files.write('files/a', 'x', { ack: 'toString' as never })).rejects.toThrow(
      `ack is "toString", not one of 'local', 'standby', 'all'`,
    )
    const durability = files.remove('files/a', { durability: 'x' as never })
    await expect(durability).rejects.toMatchObject({ details: { option: 'durability' } })
    await expect(files.append('files/a', 'x', { signal: {} as never })).rejects.toThrow(TypeError)
    await expect(files.write('files/a', 'x', 'disk' as never)).rejects.toThrow(TypeError)
    await expect(files.write('files/a', 'x', { mode: 0o1777 })).rejects.toThrow(TypeError)
    expect(content.read).toBe(false)
    expect(bench.copy.seq).toBe(0)
  })
})

describe('files of any size', () => {
  const most = 2 ** 42
  const tooLarge = {
    code: 'WRITE_TOO_LARGE',
    details: { path: 'files/a', option: 'fileBytesMax', limit: most },
  }

  it('a write above the maximum file size is refused before its content is read or journaled', async () => {
    const bench = await openFiles()
    const { files } = bench
    const content = watchedContent()
    await expect(files.truncate('files/a', most + 1)).rejects.toMatchObject(tooLarge)
    await expect(files.truncate('files/a', 2 ** 50)).rejects.toThrow('fileBytesMax = 4398046511104')
    await expect(files.patch('files/a', 2 ** 44, content)).rejects.toMatchObject(tooLarge)
    await expect(files.patch('files/a', most, 'x')).rejects.toMatchObject(tooLarge)
    expect(content.read).toBe(false)
    expect(bench.copy.seq).toBe(0)
  })

  function resolverOf(size: number): BatchResolver {
    const files = { stat: () => ({ size, mode: 0o644, version: 1 }), list: () => [] }
    return new BatchResolver({ files })
  }

  const target = { className: 'files', path: 'files/a', blob: undefined }
  const append = (text: string): AppendIntent => {
    return { kind: 'append', ...target, bytes: Buffer.from(text) }
  }

  it('a file can grow up to the limit, including appends of the same batch', () => {
    const resolver = resolverOf(most - 3)
    expect(() => resolver.resolve(append('much'))).toThrow('fileBytesMax')
    expect(resolver.resolve(append('ab'))).toMatchObject({ kind: 'patch', offset: most - 3 })
    expect(() => resolver.resolve(append('cd'))).toThrow('fileBytesMax')
    expect(resolver.resolve(append('e'))).toMatchObject({ kind: 'patch', offset: most - 1 })
  })

  it('an adopted file above the limit can be changed and truncated, but not extended', () => {
    const resolver = resolverOf(2 * most)
    const patch: Change = { kind: 'patch', ...target, offset: most + 1, bytes: Buffer.from('x') }
    const cut: Change = { kind: 'truncate', className: 'files', path: 'files/a', size: most + 1 }
    expect(() => resolver.resolve(append('x'))).toThrow('fileBytesMax')
    expect(resolver.resolve(patch)).toBe(patch)
    expect(resolver.resolve(cut)).toBe(cut)
  })

  it('refused content leaves no blob', async () => {
    const limits = { ...writerLimits, inlineBytesMax: 10 }
    const bench = await openFiles({ limits })
    bench.copy.files.stat = () => ({ size: most, mode: 0o644, version: 1 })
    expect(await codeOf(bench.files.append('files/a', Buffer.alloc(100)))).toBe('WRITE_TOO_LARGE')
    await settle()
    expect(await blobNames(bench)).toEqual([])
  })
})

describe('content of any size', () => {
  const limits = { ...writerLimits, inlineBytesMax: 1000, blobBytesMax: 5_000_000 }

  it('is inline up to inlineBytesMax, and a blob above that is stored, sent, then named', async () => {
    const bench = await openFiles({ limits })
    await bench.files.write('files/small', Buffer.alloc(1000, 1))
    await bench.files.write('files/stream', stream(10, 100))
    expect(await blobNames(bench)).toEqual([])
    await bench.files.write('files/large', stream(7, 300_000))
    const change = changes(bench).at(-1)
    if (change?.kind !== 'put' || change.blob === undefined) throw new Error('no blob')
    const { blob } = change
    expect(change.bytes).toBeUndefined()
    expect(bench.distributed).toEqual([blob])
    const expected = Buffer.concat(
      Array.from({ length: 7 }, (_, piece) => Buffer.alloc(300_000, piece)),
    )
    expect(blob).toMatchObject({ bytes: 2_100_000, crc: crc32(expected) })
    expect(blob.id).toMatch(/^[a-z0-9][a-z0-9._-]*$/)
    const stored = await bench.storage.objects.read('blobs', blob.id, 0, 3_000_000)
    expect(expected.equals(stored)).toBe(true)
  })

  it('is stored as a blob for patches and appends as well, and later appends know its size', async () => {
    const bench = await openFiles({ limits })
    await bench.files.append('files/log', Buffer.alloc(3000))
    await bench.files.patch('files/log', 2900, Buffer.alloc(2000))
    await bench.files.append('files/log', 'z')
    expect(changes(bench)).toMatchObject([
      { kind: 'patch', offset: 0, bytes: undefined, blob: { bytes: 3000 } },
      { kind: 'patch', offset: 2900, bytes: undefined, blob: { bytes: 2000 } },
      { kind: 'patch', offset: 4900, blob: undefined },
    ])
  })

  it('is named by an entry only after its blob was distributed', async () => {
    let done = (): void => {}
    const distribute = (): Promise<void> => new Promise((resolve) => (done = resolve))
    const bench = await openFiles({ limits, blobs: { distribute, withdraw: () => {} } })
    const large = bench.files.write('files/large', stream(2, 1000))
    await settle()
    expect(bench.copy.seq).toBe(0)
    // Small writes are not delayed.
    await bench.files.write('files/small', 'x')
    done()
    expect((await large).position.seq).toBe(2)
  })

  it('leaves no blob when its stream fails, is too long, or is given up', async () => {
    const bench = await openFiles({ limits })
    const failure = new Error('broken source')
    await expect(bench.files.write('files/a', stream(9, 100_000, failure))).rejects.toBe(failure)
    await expect(bench.files.write('files/b', stream(51, 100_000))).rejects.toMatchObject({
      code: 'WRITE_TOO_LARGE',
      details: { option: 'blobBytesMax', limit: 5_000_000 },
    })
    const abort = new AbortController()
    const endless = (async function* () {
      for (let piece = 0; ; piece += 1) {
        if (piece === 20) abort.abort()
        yield Buffer.alloc(100_000)
      }
    })()
    expect(await codeOf(bench.files.write('files/c', endless, { signal: abort.signal }))).toBe(
      'ABORTED',
    )
    await expect(bench.files.write('files/d', [1, 2] as never)).rejects.toThrow(TypeError)
    expect(await blobNames(bench)).toEqual([])
    expect(bench.copy.seq).toBe(0)
  })

  it('is given up with the signal and with the writer, although its source hangs', async () => {
    const bench = await openFiles({ limits })
    let ended = 0
    const hanging = (): AsyncIterable<Uint8Array> => {
      let pieces = 3
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            pieces -= 1
            if (pieces < 0) return new Promise(() => {})
            return Promise.resolve({ done: false, value: Buffer.alloc(300_000) })
          },
          return: () => {
            ended += 1
            return new Promise(() => {})
          },
        }),
      }
    }
    const abort = new AbortController()
    const first = bench.files.write('files/a', hanging(), { signal: abort.signal })
    const second = bench.files.write('files/b', hanging())
    expect(await stateOf(second)).toBe('pending')
    await settle()
    expect(await blobNames(bench)).toHaveLength(2)
    abort.abort()
    expect(await codeOf(first)).toBe('ABORTED')
    expect(await blobNames(bench)).toHaveLength(1)
    bench.writer.close(new HotspareError('STOPPED'))
    expect(await codeOf(second)).toBe('STOPPED')
    expect(await blobNames(bench)).toEqual([])
    expect(ended).toBe(2)
  })

  it('does not call return() on a source that has ended or failed', async () => {
    const bench = await openFiles({ limits })
    let ended = 0
    const source = (failure?: Error): Iterable<Uint8Array> => {
      const pieces = [Buffer.from('a'), Buffer.from('b')]
      return {
        [Symbol.iterator]: () => ({
          next: () => {
            const value = pieces.shift()
            if (value !== undefined) return { done: false, value }
            if (failure !== undefined) throw failure
            return { done: true, value: undefined }
          },
          return: () => {
            ended += 1
            return { done: true, value: undefined }
          },
        }),
      }
    }
    await bench.files.write('files/a', source())
    expect(text(await bench.files.read('files/a'))).toBe('ab')
    const failure = new Error('broken source')
    await expect(bench.files.write('files/a', source(failure))).rejects.toBe(failure)
    expect(ended).toBe(0)
  })

  it('GEN-8: no blob is left when the disk becomes full while content is read', async () => {
    const bench = await openFiles({ limits })
    const { objects } = bench.storage
    const write = objects.write.bind(objects)
    let calls = 0
    objects.write = async (...call) => {
      calls += 1
      if (calls === 3) throw new HotspareError('STORAGE_FULL')
      await write(...call)
    }
    expect(await codeOf(bench.files.write('files/large', stream(20, 100_000)))).toBe('STORAGE_FULL')
    expect(await blobNames(bench)).toEqual([])
    expect(await codeOf(bench.files.write('files/small', 'x'))).toBe('resolved')
  })

  it('leaves no blob when it cannot be distributed, or when the write is never sequenced', async () => {
    const failing = await openFiles({
      limits,
      blobs: {
        distribute: () => Promise.reject(new HotspareError('NOT_ACTIVE')),
        withdraw: () => {},
      },
    })
    expect(await codeOf(failing.files.write('files/a', stream(2, 1000)))).toBe('NOT_ACTIVE')
    expect(await blobNames(failing)).toEqual([])

    const bench = await openFiles({ limits })
    await bench.files.write('files/a/b', 'x')
    expect(await codeOf(bench.files.write('files/a', stream(2, 1000)))).toBe('PATH_CONFLICT')
    bench.writer.freeze()
    const held = bench.files.write('files/c', stream(2, 1000))
    expect(await stateOf(held)).toBe('pending')
    expect(await blobNames(bench)).toHaveLength(1)
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
    expect(await codeOf(held)).toBe('NOT_ACTIVE')
    await settle()
    expect(await blobNames(bench)).toEqual([])
    expect(bench.withdrawn).toEqual(bench.distributed)
  })

  it('may be anything that yields bytes, also a web stream, and needs little memory', async () => {
    const bench = await openFiles({ limits: { ...limits, blobBytesMax: 1e9 } })
    let left = 400
    const web = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        left -= 1
        if (left < 0) controller.close()
        else controller.enqueue(new Uint8Array(100_000))
      },
    })
    let most = 0
    const { objects } = bench.storage
    objects.write = async (_, buffer) => {
      most = Math.max(most, buffer.byteLength)
    }
    objects.sync = async () => {}
    await bench.files.write('files/web', web)
    expect(changes(bench)[0]).toMatchObject({ blob: { bytes: 40_000_000 } })
    expect(most).toBeLessThanOrEqual(256 * 1024)
  })

  it('can be read in pieces', async () => {
    const bench = await openFiles()
    const bytes = Buffer.alloc(600_000, 'abc')
    bench.copy.files.set('files/large', { bytes, mode: 0o644, version: 1 })
    const pieces: Uint8Array[] = []
    for await (const piece of bench.files.readStream('files/large')) pieces.push(piece)
    expect(pieces.length).toBeGreaterThan(1)
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    const none = bench.files.readStream('files/none')
    await expect(none.next()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })
})
