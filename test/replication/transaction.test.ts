import { describe, expect, it } from 'vitest'
import { transactionChangesMax } from '../../src/changes/decode-change.js'
import { HotspareError } from '../../src/errors.js'
import { FilesApi } from '../../src/node/writes/files.js'
import {
  runTransaction,
  type Transaction,
  type TransactionOptions,
  type TransactionResult,
  type TransactionSource,
} from '../../src/node/writes/transaction.js'
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

interface TransactionBench extends Bench {
  readonly files: FilesApi
  readonly source: TransactionSource
  run<Value>(
    work: (transaction: Transaction) => Promise<Value> | Value,
    options?: TransactionOptions,
  ): Promise<TransactionResult<Value>>
}

async function open(options: Partial<WriterOptions> = {}): Promise<TransactionBench> {
  const bench = await openWriter({ degraded: true, ...options })
  const source: TransactionSource = {
    policy,
    gate: gateTo(bench.writer, bench.storage),
    copy: () => bench.copy,
  }
  const files = new FilesApi(source)
  return { ...bench, files, source, run: (work, given) => runTransaction(source, work, given) }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

async function blobs(bench: Bench): Promise<number> {
  return (await bench.storage.objects.list('blobs')).length
}

describe('transactions', () => {
  it('are one change at one position, with the results of all updates', async () => {
    const bench = await open()
    bench.copy.apply = (value) => ({ ok: true, value: `did ${String(value)}` })
    const { receipt, value } = await bench.run(async ({ files, update }) => {
      await files.write('files/a', 'one')
      update('state', 'x')
      await files.append('files/a', ' two')
      return 'value'
    })
    expect(value).toBe('value')
    expect(receipt.position.seq).toBe(1)
    expect(receipt.result).toEqual([undefined, { ok: true, value: 'did x' }, undefined])
    expect(bench.copy.batches().flat()).toMatchObject([
      { kind: 'transaction', changes: [{ kind: 'put' }, { kind: 'update' }, { offset: 3 }] },
    ])
  })

  it('without changes are acknowledged at once, because nothing can be lost', async () => {
    const bench = await open()
    bench.copy.prompt = false
    const { receipt } = await bench.run(({ files }) => files.list())
    expect(receipt).toMatchObject({ durable: true })
  })

  it('change nothing before the commit, nor after a throw', async () => {
    const bench = await open()
    const failure = new Error('no')
    const write = bench.run(async ({ files }) => {
      await files.write('files/a', 'one')
      await settle()
      expect(bench.copy.seq).toBe(0)
      throw failure
    })
    await expect(write).rejects.toBe(failure)
    await settle()
    expect(bench.copy.seq).toBe(0)
  })

  it('read the applied state with their own changes on top', async () => {
    const bench = await open()
    await bench.files.write('files/a', 'hello world')
    await bench.files.write('files/b', 'bee')
    await bench.run(async ({ files }) => {
      expect(text(await files.read('files/a'))).toBe('hello world')
      await files.patch('files/a', 6, 'W')
      await files.append('files/a', '!')
      expect(text(await files.read('files/a'))).toBe('hello World!')
      expect(text(await files.read('files/a', { offset: 4, length: 4 }))).toBe('o Wo')
      await files.truncate('files/a', 3)
      await files.patch('files/a', 5, 'x')
      expect(text(await files.read('files/a'))).toBe('hel\0\0x')
      await files.remove('files/b')
      expect(await codeOf(files.read('files/b'))).toBe('FILE_NOT_FOUND')
      await files.append('files/b', 'new')
      expect(text(await files.read('files/b'))).toBe('new')
      await files.write('files/c', 'see')
      expect(await files.list('files/')).toEqual([
        { path: 'files/a', size: 6 },
        { path: 'files/b', size: 3 },
        { path: 'files/c', size: 3 },
      ])
      await files.remove('files/a')
      expect((await files.list('files/*')).map(({ path }) => path)).toEqual(['files/b', 'files/c'])
    })
    expect([...bench.copy.files.keys()].sort()).toEqual(['files/b', 'files/c'])
    expect(text(await bench.files.read('files/b'))).toBe('new')
  })

  it.each([
    [
      'a file that was read is written',
      (bench: TransactionBench) => bench.files.write('files/a', '2'),
    ],
    [
      'a file that was missing is created',
      (bench: TransactionBench) => bench.files.write('files/none', '2'),
    ],
    [
      'a file appears in a listing',
      (bench: TransactionBench) => bench.files.write('files/dir/n', '2'),
    ],
  ])(
    'TX_CONFLICT: %s before the commit, and nothing of the transaction happens',
    async (_, disturb) => {
      const bench = await open()
      await bench.files.write('files/a', '1')
      await bench.files.write('files/dir/m', '1')
      const run = (first: boolean) =>
        bench.run(async ({ files }) => {
          await files.read('files/a')
          await files.read('files/none').catch(() => {})
          await files.list('files/dir/')
          await files.write('files/b', 'x')
          if (first) await disturb(bench)
        })
      expect(await codeOf(run(true))).toBe('TX_CONFLICT')
      expect(bench.copy.files.has('files/b')).toBe(false)
      await run(false)
      expect(bench.copy.files.has('files/b')).toBe(true)
    },
  )

  it('TX_CONFLICT: a change in the same batch conflicts, too', async () => {
    const bench = await open()
    await bench.files.write('files/count', '1')
    const increment = async (): Promise<unknown> => {
      for (;;) {
        try {
          return await bench.run(async ({ files }) => {
            const count = Number(text(await files.read('files/count')))
            await files.write('files/count', String(count + 1))
          })
        } catch (error) {
          if (!HotspareError.is(error, 'TX_CONFLICT')) throw error
        }
      }
    }
    await Promise.all(Array.from({ length: 20 }, increment))
    expect(text(await bench.files.read('files/count'))).toBe('21')
  })

  it('TX_CONFLICT: an append conflicts with a change of the size of its file', async () => {
    const bench = await open()
    await bench.files.write('files/log', 'one ')
    const conflicting = bench.run(async ({ files }) => {
      await files.append('files/log', 'mine')
      await bench.files.append('files/log', 'theirs')
    })
    expect(await codeOf(conflicting)).toBe('TX_CONFLICT')
    expect(text(await bench.files.read('files/log'))).toBe('one theirs')
  })

  it('a path that is written without being read does not conflict', async () => {
    const bench = await open()
    await bench.files.write('files/a', '1')
    await bench.run(async ({ files }) => {
      await files.write('files/a', 'mine')
      expect(text(await files.read('files/a'))).toBe('mine')
      await bench.files.write('files/a', 'theirs')
    })
    expect(text(await bench.files.read('files/a'))).toBe('mine')
  })

  it('PATH_CONFLICT refuses the whole transaction, without effect on later writes of the batch', async () => {
    const bench = await open()
    await bench.files.write('files/a/b', '1')
    const bad = bench.run(async ({ files }) => {
      await files.write('files/x', '1')
      await files.write('files/a', '2')
    })
    const good = bench.run(async ({ files }) => {
      await files.write('files/x/y', '1')
      await files.remove('files/a/b')
      await files.write('files/a', 'now it may')
    })
    expect(await codeOf(bad)).toBe('PATH_CONFLICT')
    await good
    expect([...bench.copy.files.keys()].sort()).toEqual(['files/a', 'files/x/y'])
  })

  it('wait for calls that the callback did not await, and fail with them', async () => {
    const bench = await open()
    await bench.run(({ files }) => {
      void files.write('files/a', 'one')
      void files.append('files/a', ' two')
    })
    expect(text(await bench.files.read('files/a'))).toBe('one two')
    const failing = bench.run(({ files }) => {
      void files.write('files/b', 'x')
      files.write('nowhere/b', 'x').catch(() => {})
    })
    expect(await codeOf(failing)).toBe('PATH_UNCLAIMED')
    expect(bench.copy.files.has('files/b')).toBe(false)
  })

  it('fail with a call that was not awaited, although a later one succeeds', async () => {
    const bench = await open()
    const failing = bench.run(({ files }) => {
      void files.write('nowhere/b', 'x')
      void files.write('files/b', 'x')
    })
    expect(await codeOf(failing)).toBe('PATH_UNCLAIMED')
    const earlier = bench.run(async ({ files }) => {
      void files.write('nowhere/b', 'x')
      await files.write('files/b', 'x')
    })
    expect(await codeOf(earlier)).toBe('PATH_UNCLAIMED')
    expect(bench.copy.files.has('files/b')).toBe(false)
  })

  it('commit after a failure that the callback has handled', async () => {
    const bench = await open()
    await bench.run(async ({ files }) => {
      const missing = files.read('files/none')
      await files.write('files/a', 'x')
      expect(await codeOf(missing)).toBe('FILE_NOT_FOUND')
      expect(await codeOf(files.write('nowhere/b', 'x'))).toBe('PATH_UNCLAIMED')
    })
    expect(text(await bench.files.read('files/a'))).toBe('x')
  })

  it('TX_CLOSED: calls after the end are refused', async () => {
    const bench = await open()
    let kept: Transaction | undefined
    await bench.run((tx) => {
      kept = tx
      tx.update('state', 1)
    })
    expect(() => kept?.update('state', 2)).toThrow(/used after it had ended/)
    expect(await codeOf(kept?.files.write('files/a', 'x') ?? Promise.resolve())).toBe('TX_CLOSED')
  })

  it('refuse classes of the wrong kind, and too many changes', async () => {
    const bench = await open()
    expect(await codeOf(bench.run((tx) => tx.update('none', 1)))).toBe('CLASS_UNKNOWN')
    expect(await codeOf(bench.run((tx) => tx.update('files', 1)))).toBe('CLASS_KIND')
    const many = bench.run((tx) => {
      for (let count = 0; count <= transactionChangesMax; count += 1) tx.update('state', count)
    })
    expect(await codeOf(many)).toBe('WRITE_TOO_LARGE')
  })

  it('refuse a file above the maximum size, whichever call makes it', async () => {
    const bench = await open()
    const tooLarge = { code: 'WRITE_TOO_LARGE', details: { option: 'fileBytesMax' } }
    const most = 2 ** 42
    await expect(
      bench.run(({ files }) => files.truncate('files/a', 2 ** 50)),
    ).rejects.toMatchObject(tooLarge)
    await expect(bench.run(({ files }) => files.patch('files/a', most, 'x'))).rejects.toMatchObject(
      tooLarge,
    )
    const both = bench.run(async ({ files }) => {
      await files.truncate('files/a', most)
      await files.append('files/a', 'x')
    })
    await expect(both).rejects.toMatchObject(tooLarge)
    expect(bench.copy.batches()).toEqual([])
  })

  it('refuse invalid options before the callback is called', async () => {
    const bench = await open()
    let called = false
    const work = (): void => {
      called = true
    }
    const wrong = bench.run(work, { ack: 'x' as never })
    await expect(wrong).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(bench.run(work, { signal: 'now' as never })).rejects.toThrow(TypeError)
    expect(called).toBe(false)
  })

  it('do not wait at the end for a source that hangs', async () => {
    const bench = await open({ limits: { ...writerLimits, inlineBytesMax: 10 } })
    const hanging = (async function* () {
      yield Buffer.alloc(300_000)
      await new Promise(() => {})
    })()
    const call = bench.run(async ({ files }) => {
      void files.write('files/a', hanging)
      await settle()
      expect(await blobs(bench)).toBe(1)
      throw new Error('no')
    })
    await expect(call).rejects.toThrow('no')
    await settle()
    expect(await blobs(bench)).toBe(0)
  })

  it('use the strictest level of their classes, unless options say otherwise', async () => {
    const bench = await open()
    bench.writer.freeze()
    const work = async ({ files }: Transaction): Promise<void> => {
      await files.write('strict/a', 'x')
      await files.write('files/a', 'x')
    }
    const first = bench.run(work).catch(() => {})
    const second = bench.run(work, { ack: 'local', durability: 'memory' }).catch(() => {})
    await settle()
    expect(bench.writer.takeHeld().map(({ ack, durability }) => [ack, durability])).toEqual([
      ['all', 'disk'],
      ['local', 'memory'],
    ])
    void first
    void second
  })

  it('spool streams first, and leave no blobs when they fail', async () => {
    const bench = await open({ limits: { ...writerLimits, inlineBytesMax: 100 } })
    async function* stream(): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < 5; piece += 1) yield Buffer.alloc(100, 'abcde'[piece])
    }
    await bench.run(async ({ files }) => {
      await files.write('files/a', stream())
      expect(text(await files.read('files/a', { offset: 95, length: 10 }))).toBe('aaaaabbbbb')
      await files.append('files/a', 'end')
      expect(text(await files.read('files/a', { offset: 498 }))).toBe('eeend')
    })
    expect(await blobs(bench)).toBe(1)
    const failing = bench.run(async ({ files }) => {
      await files.write('files/b', stream())
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await settle()
    expect(await blobs(bench)).toBe(1)
  })

  it('store the contents of very many small files as blobs before an entry is full', async () => {
    const bench = await open()
    const { receipt } = await bench.run(async ({ files }) => {
      for (let count = 0; count < 80; count += 1) {
        await files.write(`files/${count}`, Buffer.alloc(120 * 1024, count))
      }
    })
    expect(receipt.position.seq).toBe(1)
    expect(await blobs(bench)).toBeGreaterThan(40)
  })

  it('end with their signal in every phase', async () => {
    const bench = await open()
    const abort = new AbortController()
    const hanging = bench.run(() => new Promise(() => {}), { signal: abort.signal })
    expect(await stateOf(hanging)).toBe('pending')
    abort.abort()
    expect(await codeOf(hanging)).toBe('ABORTED')
    expect(await codeOf(bench.run(() => {}, { signal: abort.signal }))).toBe('ABORTED')
  })

  it('can be ended by a node that hands over its role', async () => {
    const bench = await open()
    const open_ = new Set<(error: HotspareError) => void>()
    const source: TransactionSource = {
      ...bench.source,
      onTransaction: (abort) => {
        open_.add(abort)
        return () => open_.delete(abort)
      },
    }
    const hanging = runTransaction(source, () => new Promise(() => {}))
    await settle()
    expect(open_.size).toBe(1)
    for (const abort of open_) abort(new HotspareError('NOT_ACTIVE'))
    await expect(hanging).rejects.toMatchObject({ code: 'NOT_ACTIVE', retryable: true })
    expect(open_.size).toBe(0)
  })
})
