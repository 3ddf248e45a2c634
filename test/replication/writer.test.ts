import { describe, expect, it, vi } from 'vitest'
import { goesOn, partsOf, termOf } from '../../src/changes/entry.js'
import { HotspareError } from '../../src/errors.js'
import { writerLimits } from '../../src/replication/write/types.js'
import type { Receipt } from '../../src/replication/write/writer.js'
import {
  codeOf,
  FakeCopy,
  inSync,
  openWriter,
  policy,
  settle,
  stateOf,
  term,
} from './writer-support.js'

function update(className: string, value: unknown = 1) {
  return { kind: 'update', className, value } as const
}

describe('opening', () => {
  it('makes the term and an empty in-sync set durable in the journal', async () => {
    const copy = new FakeCopy()
    copy.prompt = false
    copy.seq = 41
    copy.ackedSeq = 30
    const opening = openWriter({}, copy)
    expect(await stateOf(opening)).toBe('pending')
    copy.makeDurable()
    await opening
    expect(
      copy.entries.map(({ header }) => [header.kind, header.firstSeq, header.ackedSeq]),
    ).toEqual([
      ['term', 42, 30],
      ['inSync', 42, 30],
    ])
    expect(termOf(copy.entries[0]!)).toEqual(term)
  })

  it('fails with the failure of the storage', async () => {
    const copy = new FakeCopy()
    copy.prompt = false
    const opening = openWriter({}, copy)
    await settle()
    copy.fail()
    expect(await codeOf(opening)).toBe('STORAGE_FULL')
  })

  it('fails when a checkpoint fails meanwhile, although the journal has the term', async () => {
    const copy = new FakeCopy()
    copy.prompt = false
    const opening = openWriter({}, copy)
    await settle()
    copy.failBeside()
    copy.makeDurable()
    expect(await codeOf(opening)).toBe('STORAGE_FULL')
  })

  it('fork() appends an empty change', async () => {
    const bench = await openWriter({ degraded: true })
    bench.writer.fork()
    const kinds = bench.copy.entries.map(({ header }) => [header.kind, header.count])
    expect(kinds).toEqual([
      ['term', 0],
      ['inSync', 0],
      ['changes', 1],
    ])
    const entry = bench.copy.entries.at(-1)
    expect(entry && partsOf(entry)).toEqual([{ kind: 'transaction', changes: [] }])
    const { position } = await bench.writer.submit(update('state', 'first'))
    expect(position).toEqual({ term, seq: 2 })
  })

  it('another term is durable before anything is written in it', async () => {
    const bench = await openWriter({ degraded: true })
    await bench.writer.submit(update('state', 'old'))
    bench.copy.prompt = false
    const next = { ...term, epoch: 9 }
    const opening = bench.writer.openTerm(next)
    // A write with durability `memory` waits for nothing but the term.
    const write = bench.writer.submit(update('volatile', 'new'))
    await settle()
    expect(bench.copy.entries.at(-1)?.header.kind).toBe('term')
    bench.copy.makeDurable()
    await opening
    bench.copy.prompt = true
    const receipt = await write
    expect(receipt.position).toEqual({ term: next, seq: 2 })
    expect(bench.copy.entries.at(-1)?.header.epoch).toBe(9)
  })
})

describe('batches', () => {
  it('contain the writes of one turn, in one entry', async () => {
    const bench = await openWriter({ degraded: true })
    const receipts = await Promise.all(
      Array.from({ length: 64 }, (_, at) => bench.writer.submit(update('state', at))),
    )
    expect(bench.copy.batches().map((batch) => batch.length)).toEqual([64])
    expect(receipts.map(({ position }) => position.seq)).toEqual(
      Array.from({ length: 64 }, (_, at) => at + 1),
    )
  })

  it('contain the next writes of all callers that were acknowledged together', async () => {
    const bench = await openWriter({ degraded: true })
    // Different numbers of steps between the acknowledgement and the next call.
    const call = async (steps: number): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        await bench.writer.submit(update('state', round))
        for (let step = 0; step < steps; step += 1) await undefined
      }
    }
    await Promise.all(Array.from({ length: 64 }, (_, at) => call(at % 8)))
    expect(bench.copy.batches().map((batch) => batch.length)).toEqual(Array(10).fill(64))
  })

  it('collect the writes that arrive while the disk is busy, in one entry', async () => {
    const bench = await openWriter({ degraded: true })
    bench.copy.prompt = false
    const first = bench.writer.submit(update('state', 0))
    await settle()
    const later: Promise<Receipt>[] = []
    for (let at = 1; at <= 5; at += 1) {
      later.push(bench.writer.submit(update('state', at)))
      await settle()
    }
    expect(bench.copy.batches().map((batch) => batch.length)).toEqual([1])
    bench.copy.makeDurable()
    await first
    await settle()
    expect(bench.copy.batches().map((batch) => batch.length)).toEqual([1, 5])
    bench.copy.makeDurable()
    await Promise.all(later)
  })

  it('with memory writes do not wait for the disk, nor behind writes that do', async () => {
    const bench = await openWriter({ degraded: true })
    bench.copy.prompt = false
    const disk = bench.writer.submit(update('state', 0))
    await settle()
    const behind = bench.writer.submit(update('state', 1))
    const volatile = bench.writer.submit(update('volatile', 2))
    expect(await stateOf(volatile)).toBe('resolved')
    expect(await stateOf(disk)).toBe('pending')
    bench.copy.makeDurable()
    await Promise.all([disk, behind])
  })

  it('end at batchChangesMax and batchBytesMax', async () => {
    const limits = { ...writerLimits, batchChangesMax: 10, batchBytesMax: 1000 }
    const bench = await openWriter({ degraded: true, limits })
    const sizesOf = async (values: unknown[]): Promise<number[]> => {
      const before = bench.copy.batches().length
      await Promise.all(values.map((value) => bench.writer.submit(update('volatile', value))))
      return bench.copy
        .batches()
        .slice(before)
        .map((batch) => batch.length)
    }
    expect(await sizesOf(Array(25).fill('x'))).toEqual([10, 10, 5])
    expect(await sizesOf(Array(5).fill('x'.repeat(400)))).toEqual([2, 2, 1])
    expect(await sizesOf(Array(2).fill('x'.repeat(4000)))).toEqual([1, 1])
  })

  it('are split until a write that cannot be encoded or is too large is refused alone', async () => {
    const bench = await openWriter({ degraded: true })
    const huge = 'x'.repeat(17 * 1024 * 1024)
    const values = [1, 2, 2n ** 80n, 3, { huge }, 4, 5]
    const outcomes = await Promise.all(
      values.map((value) => codeOf(bench.writer.submit(update('state', value)))),
    )
    expect(outcomes.map((code) => code.slice(0, 15))).toEqual([
      'resolved',
      'resolved',
      'VALUE_INVALID',
      'resolved',
      'WRITE_TOO_LARGE',
      'resolved',
      'resolved',
    ])
    const stored = bench.copy.batches().flat()
    expect(stored.map((change) => change.kind === 'update' && change.value)).toEqual([
      1, 2, 3, 4, 5,
    ])
    expect(bench.copy.seq).toBe(5)
  })

  it('do not block the event loop while acknowledgements come at once', async () => {
    const bench = await openWriter({ degraded: true })
    let running = true
    let count = 0
    const call = async (): Promise<void> => {
      while (running) {
        await bench.writer.submit(update('volatile'))
        count += 1
      }
    }
    const calls = Promise.all([call(), call()])
    await new Promise((resolve) => setTimeout(resolve, 20))
    running = false
    await calls
    expect(count).toBeGreaterThan(100)
  })

  it('do not block the event loop for long when many writes arrive', async () => {
    const bench = await openWriter({ degraded: true })
    const append = vi.spyOn(bench.copy, 'append')
    const writes = Array.from({ length: 20_000 }, () => bench.writer.submit(update('volatile')))
    await new Promise((resolve) => setImmediate(resolve))
    expect(append.mock.calls.length).toBeLessThan(10)
    await Promise.all(writes)
    expect(append.mock.calls.length).toBeGreaterThanOrEqual(20)
  })
})

describe('acknowledgements (GEN-2, promise 4)', () => {
  const table = [
    // level, and whether it is acknowledged after: append, local disk, standby memory, standby
    // disk, both standbys' disks
    ['local', 'memory', [true, true, true, true, true]],
    ['local', 'disk', [false, true, true, true, true]],
    ['standby', 'memory', [false, false, true, true, true]],
    ['standby', 'disk', [false, false, false, true, true]],
    ['all', 'memory', [false, false, false, false, true]],
    ['all', 'disk', [false, false, false, false, true]],
  ] as const
  it.each(table)('GEN-2: %s in %s', async (ack, durability, expected) => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const gamma = inSync(bench, 'gamma')
    const before = bench.copy.lastOrdinal
    beta.received(before, before)
    gamma.received(before, before)
    bench.copy.prompt = false
    const write = bench.writer.submit(update('state'), { ack, durability })
    const seen = [(await stateOf(write)) === 'resolved']
    const ordinal = bench.copy.lastOrdinal
    const look = async (): Promise<void> => {
      seen.push((await stateOf(write)) === 'resolved')
    }
    bench.copy.makeDurable()
    await look()
    beta.received(ordinal, before)
    await look()
    beta.received(ordinal, ordinal)
    await look()
    gamma.received(ordinal, ordinal)
    await look()
    expect(seen).toEqual(expected)
    const receipt = await write
    expect(receipt).toMatchObject({ ack, degraded: false, position: { term, seq: 1 } })
    if (durability === 'disk') expect(receipt.durable).toBe(true)
  })

  it('durable tells whether the write is on disk at every place that its level names', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    bench.copy.prompt = false
    const first = bench.writer.submit(update('volatile'))
    await settle()
    beta.received(bench.copy.lastOrdinal, 0)
    expect((await first).durable).toBe(false)
    const second = bench.writer.submit(update('volatile'))
    await settle()
    bench.copy.makeDurable()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await second).durable).toBe(true)
  })

  it('the receipt has what apply returned, and what it threw is thrown after the acknowledgement', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const thrown = new RangeError('no')
    bench.copy.apply = (value) =>
      value === 'bad' ? { ok: false, error: thrown } : { ok: true, value: `did ${String(value)}` }
    const good = bench.writer.submit(update('state', 'good'))
    const bad = bench.writer.submit(update('state', 'bad'))
    expect(await stateOf(bad)).toBe('pending')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await good).result).toBe('did good')
    await expect(bad).rejects.toBe(thrown)
    expect(bench.copy.seq).toBe(2)
  })

  it('a class that is unknown or of another kind is refused', async () => {
    const bench = await openWriter({ degraded: true })
    expect(await codeOf(bench.writer.submit(update('none')))).toBe('CLASS_UNKNOWN')
    expect(await codeOf(bench.writer.submit(update('own')))).toBe('CLASS_UNKNOWN')
    expect(await codeOf(bench.writer.submit(update('files')))).toBe('CLASS_KIND')
    const put = { kind: 'remove', className: 'state', path: 'files/a' } as const
    expect(await codeOf(bench.writer.submit(put))).toBe('CLASS_KIND')
    expect(bench.copy.seq).toBe(0)
  })
})

describe('the tenure', () => {
  it('GEN-1: without it no write is sequenced, and waiting writes are refused when it ends', async () => {
    const bench = await openWriter({ degraded: true })
    const details = { activeId: 'beta' }
    const error = new HotspareError('NOT_ACTIVE', 'beta is active', { details })
    bench.tenure.doubtful = true
    const write = bench.writer.submit(update('state'))
    await settle()
    expect(await stateOf(write)).toBe('pending')
    expect(bench.copy.seq).toBe(0)
    bench.writer.close(error)
    await expect(write).rejects.toMatchObject({ code: 'NOT_ACTIVE', details })
    expect(bench.copy.seq).toBe(0)
  })

  it('while it is in doubt, no write is sequenced or acknowledged', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const placed = bench.writer.submit(update('state', 1))
    await settle()
    const waiting = bench.writer.submit(update('state', 2))
    bench.tenure.doubtful = true
    await settle()
    expect(bench.copy.seq).toBe(1)
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(placed)).toBe('pending')
    bench.clock.advance(50)
    expect(await stateOf(placed)).toBe('pending')
    bench.tenure.doubtful = false
    bench.clock.advance(50)
    await settle()
    expect(await stateOf(placed)).toBe('resolved')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await waiting).position.seq).toBe(2)
  })

  it('when it turns out to be lost, nothing is acknowledged', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const placed = bench.writer.submit(update('state', 1))
    await settle()
    const waiting = bench.writer.submit(update('state', 2))
    bench.tenure.doubtful = true
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await settle()
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
    expect(await codeOf(placed)).toBe('OUTCOME_UNKNOWN')
    expect(await codeOf(waiting)).toBe('NOT_ACTIVE')
    expect(bench.clock.timers).toBe(0)
  })
})

describe('closing', () => {
  it('rejects queued writes with the reason, and sequenced ones with OUTCOME_UNKNOWN', async () => {
    const bench = await openWriter()
    inSync(bench, 'beta')
    const placed = bench.writer.submit(update('state', 1))
    await settle()
    const waiting = bench.writer.submit(update('state', 2))
    const drained = bench.writer.drained()
    const error = new HotspareError('NOT_ACTIVE')
    bench.writer.close(error)
    bench.writer.close(new HotspareError('STOPPED'))
    await expect(placed).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      cause: error,
      details: { seq: 1 },
    })
    await expect(waiting).rejects.toBe(error)
    await expect(drained).rejects.toBe(error)
    await expect(bench.writer.submit(update('state', 3))).rejects.toBe(error)
    expect(bench.clock.timers).toBe(0)
    await settle()
    expect(bench.copy.seq).toBe(1)
  })

  it('happens when the journal fails', async () => {
    const bench = await openWriter()
    inSync(bench, 'beta')
    const placed = bench.writer.submit(update('state', 1))
    await settle()
    bench.copy.fail()
    const later = bench.writer.submit(update('state', 2))
    expect(await codeOf(placed)).toBe('OUTCOME_UNKNOWN')
    expect(await codeOf(later)).toBe('STORAGE_FULL')
  })
})

describe('freezing', () => {
  it('queues writes in order, and sequences none', async () => {
    const bench = await openWriter({ degraded: true })
    await bench.writer.submit(update('state', 0))
    bench.writer.freeze()
    const writes = [1, 2, 3].map((value) => bench.writer.submit(update('state', value)))
    expect(await bench.writer.drained()).toBe(1)
    bench.writer.unfreeze()
    await Promise.all(writes)
    expect(
      bench.copy
        .batches()
        .flat()
        .map((one) => one.kind === 'update' && one.value),
    ).toEqual([0, 1, 2, 3])
  })

  it('still acknowledges sequenced writes, and drains to the local disk', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    bench.copy.prompt = false
    const write = bench.writer.submit(update('state'))
    await settle()
    bench.writer.freeze()
    const drained = bench.writer.drained()
    expect(await stateOf(drained)).toBe('pending')
    bench.copy.makeDurable()
    expect(await drained).toBe(1)
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(write)).toBe('resolved')
  })

  it('lets the queued writes be taken, with their levels', async () => {
    const bench = await openWriter()
    bench.writer.freeze()
    const write = bench.writer.submit(update('state', 7), { ack: 'all' })
    const held = bench.writer.takeHeld()
    expect(held).toMatchObject([{ intent: update('state', 7), ack: 'all', durability: 'disk' }])
    const receipt: Receipt = {
      position: { term, seq: 99 },
      ack: 'all',
      durable: true,
      degraded: false,
    }
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
    held[0]?.resolve(receipt)
    expect(await write).toBe(receipt)
    expect(bench.copy.seq).toBe(0)
  })

  it('drained without a freeze waits for the queue', async () => {
    const bench = await openWriter({ degraded: true })
    const write = bench.writer.submit(update('state'))
    expect(await bench.writer.drained()).toBe(1)
    await write
  })
})

describe('giving up', () => {
  it('a write that is not sequenced never happens', async () => {
    const bench = await openWriter({ degraded: true })
    bench.writer.freeze()
    const abort = new AbortController()
    const write = bench.writer.submit(update('state', 1), { signal: abort.signal })
    const other = bench.writer.submit(update('state', 2))
    abort.abort(new Error('why'))
    await expect(write).rejects.toMatchObject({
      code: 'ABORTED',
      retryable: true,
      cause: new Error('why'),
    })
    expect(bench.writer.status).toMatchObject({ queuedWrites: 1 })
    bench.writer.unfreeze()
    expect((await other).position.seq).toBe(1)
    expect(bench.copy.batches().flat()).toHaveLength(1)
  })

  it('a sequenced write has happened, and its error says so', async () => {
    const bench = await openWriter()
    inSync(bench, 'beta')
    const abort = new AbortController()
    const write = bench.writer.submit(update('state'), { signal: abort.signal })
    await settle()
    abort.abort()
    await expect(write).rejects.toMatchObject({
      code: 'ABORTED',
      retryable: false,
      details: { seq: 1 },
    })
    // A retry would make it happen twice.
    await expect(write).rejects.toThrow(/is in the journal at 1\. Read the data on the active/)
    await expect(write).rejects.not.toThrow('Call again')
  })

  it('a signal that is already aborted counts, and listeners are removed when the write is settled', async () => {
    const bench = await openWriter({ degraded: true })
    expect(
      await codeOf(bench.writer.submit(update('state'), { signal: AbortSignal.abort() })),
    ).toBe('ABORTED')
    const { signal } = new AbortController()
    const remove = vi.spyOn(signal, 'removeEventListener')
    await bench.writer.submit(update('state'), { signal })
    expect(remove).toHaveBeenCalledOnce()
  })
})

describe('limits (promise 9)', () => {
  it('queueWritesMax counts all writes that are not acknowledged', async () => {
    const bench = await openWriter({ limits: { ...writerLimits, queueWritesMax: 3 } })
    const beta = inSync(bench, 'beta')
    const writes = [1, 2, 3].map((value) => bench.writer.submit(update('state', value)))
    await settle()
    const refused = bench.writer.submit(update('state', 4))
    await expect(refused).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      retryable: true,
      details: { option: 'queueWritesMax', limit: 3 },
    })
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await Promise.all(writes)
    expect(await stateOf(bench.writer.submit(update('state', 5)))).toBe('pending')
  })

  it('queueBytesMax counts writes that are not sequenced; one write always fits an empty queue', async () => {
    const limits = { ...writerLimits, queueBytesMax: 1000 }
    const bench = await openWriter({ degraded: true, limits })
    bench.writer.freeze()
    const large = bench.writer.submit(update('state', 'x'.repeat(5000)))
    expect(await codeOf(bench.writer.submit(update('state', 'y')))).toBe('QUEUE_FULL')
    bench.writer.unfreeze()
    await large
    await bench.writer.submit(update('state', 'y'))
  })

  it('nothing is appended to a congested copy until it is decongested', async () => {
    const bench = await openWriter({ degraded: true })
    bench.copy.congested = true
    const write = bench.writer.submit(update('state'))
    await settle()
    expect(bench.copy.seq).toBe(0)
    bench.copy.decongest()
    expect((await write).position.seq).toBe(1)
  })
})

describe('the acknowledged mark', () => {
  it('is in each entry, and does not pass the first write that waits', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const first = bench.writer.submit(update('state', 1))
    await settle()
    await bench.writer.submit(update('local', 2))
    await bench.writer.submit(update('local', 3))
    expect(bench.copy.entries.at(-1)?.header).toMatchObject({ firstSeq: 3, ackedSeq: 0 })
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await first
    await bench.writer.submit(update('local', 4))
    expect(bench.copy.entries.at(-1)?.header).toMatchObject({ firstSeq: 4, ackedSeq: 3 })
  })

  it('does not pass the first write that waits, at any level', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const gamma = inSync(bench, 'gamma')
    const before = bench.copy.lastOrdinal
    for (const follower of [beta, gamma]) follower.received(before, before)
    const writes = [
      bench.writer.submit(update('state', 1)),
      bench.writer.submit(update('state', 2), { ack: 'all' }),
      bench.writer.submit(update('state', 3), { ack: 'all', durability: 'memory' }),
    ]
    await settle()
    await bench.writer.submit(update('local', 4))
    await bench.writer.submit(update('local', 5))
    expect(bench.copy.entries.at(-1)?.header.ackedSeq).toBe(0)
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await bench.writer.submit(update('local', 6))
    expect(bench.copy.entries.at(-1)?.header.ackedSeq).toBe(1)
    gamma.received(bench.copy.lastOrdinal, 0)
    await bench.writer.submit(update('local', 7))
    expect(bench.copy.entries.at(-1)?.header.ackedSeq).toBe(1)
    gamma.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await Promise.all(writes)
  })

  it('is appended once within a second when no entry carries it', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(update('state'))
    await settle()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await write
    const before = bench.copy.entries.length
    bench.clock.advance(999)
    expect(bench.copy.entries.length).toBe(before)
    bench.clock.advance(1)
    expect(bench.copy.entries.length).toBe(before + 1)
    expect(bench.copy.entries.at(-1)?.header).toMatchObject({
      kind: 'inSync',
      ackedSeq: 1,
      firstSeq: 2,
    })
    expect(bench.copy.sets().at(-1)).toEqual(['beta'])
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(60_000)
    expect(bench.copy.entries.length).toBe(before + 1)
  })

  it('is appended once and at once when the role is given up', async () => {
    const bench = await openWriter({ degraded: true })
    await bench.writer.submit(update('state'))
    const before = bench.copy.entries.length
    bench.writer.freeze()
    bench.writer.mark()
    bench.writer.mark()
    expect(
      bench.copy.entries.slice(before).map(({ header }) => [header.kind, header.ackedSeq]),
    ).toEqual([['inSync', 1]])
  })

  it('continues in another term of the same tenure, but not in the first term of a tenure', async () => {
    const bench = await openWriter({ degraded: true })
    await bench.writer.openTerm({ epoch: 9, nodeId: 'alpha', bootId: 'boot' })
    const terms = bench.copy.entries.filter(({ header }) => header.kind === 'term')
    expect(terms.map((entry) => goesOn(entry))).toEqual([false, true])
  })

  it('does not include inherited changes before anything was acknowledged in this term', async () => {
    const copy = new FakeCopy()
    copy.seq = 50
    copy.ackedSeq = 40
    const bench = await openWriter({}, copy)
    inSync(bench, 'beta')
    expect(copy.entries.map(({ header }) => header.ackedSeq)).toEqual([40, 40, 40])
  })
})

it('the policy of these tests has a class of each kind', () => {
  expect(policy.names()).toEqual(['state', 'volatile', 'local', 'files', 'strict', 'own'])
})
