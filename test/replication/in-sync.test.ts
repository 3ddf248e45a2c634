import { describe, expect, it } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import {
  progressSlackBytes,
  progressTimesMax,
} from '../../src/replication/in-sync/follower-record.js'
import type { Receipt } from '../../src/replication/write/writer.js'
import { codeOf, FakeCopy, inSync, openWriter, settle, stateOf } from './writer-support.js'

const change = { kind: 'update', className: 'state', value: 1 } as const

function names(events: readonly { readonly name: string; readonly peer?: string }[]): string[] {
  return events.map(({ name, peer }) => (peer === undefined ? name : `${name} ${peer}`))
}

describe('the in-sync set (promise 4)', () => {
  it('GEN-2: a standby joins by a journal entry, and counts once that is durable on the active', async () => {
    const bench = await openWriter()
    bench.copy.prompt = false
    const beta = bench.writer.addFollower('beta', { promotable: true })
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(bench.writer.status.inSync).toEqual([])
    beta.caughtUp()
    expect(bench.copy.sets()).toEqual([[], ['beta']])
    expect(bench.writer.status.inSync).toEqual([])
    bench.copy.makeDurable()
    expect(bench.writer.status.inSync).toEqual(['beta'])
    expect(names(bench.events)).toEqual(['standbyInSync beta', 'redundant'])
  })

  it('a second standby counts only once its addition is on the disk of the first', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const gamma = inSync(bench, 'gamma')
    expect(bench.writer.status.inSync).toEqual(['beta'])
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal - 1)
    gamma.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(bench.writer.status.inSync).toEqual(['beta'])
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(bench.writer.status.inSync).toEqual(['beta', 'gamma'])
    expect(names(bench.events)).toEqual(['standbyInSync beta', 'redundant', 'standbyInSync gamma'])
  })

  it('an observer never counts', async () => {
    const bench = await openWriter()
    const follower = bench.writer.addFollower('beta', { promotable: false })
    const write = bench.writer.submit(change)
    await settle()
    follower.caughtUp()
    follower.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(write)).toBe('pending')
    expect(bench.copy.sets()).toEqual([[]])
  })

  it('a standby that is being restored does not count before it has caught up', async () => {
    const bench = await openWriter()
    const beta = bench.writer.addFollower('beta', { promotable: true })
    const write = bench.writer.submit(change)
    await settle()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(write)).toBe('pending')
    beta.caughtUp()
    expect(await stateOf(write)).toBe('resolved')
  })
})

describe('degrading', () => {
  it('GEN-8: writes wait once after the last in-sync standby fell silent, then continue alone', async () => {
    const bench = await openWriter()
    inSync(bench, 'beta').received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(10_000)
    const first = bench.writer.submit(change)
    await settle()
    bench.clock.advance(1999)
    expect(await stateOf(first)).toBe('pending')
    const second = bench.writer.submit(change)
    await settle()
    bench.clock.advance(1)
    await settle()
    const expected = { ack: 'local', durable: true, degraded: true }
    expect(await first).toMatchObject(expected)
    expect(await second).toMatchObject(expected)
    expect(bench.writer.status).toMatchObject({ degraded: true, inSync: [] })
    // From now on writes do not wait.
    expect(await stateOf(bench.writer.submit(change))).toBe('resolved')
    expect(names(bench.events).slice(-2)).toEqual(['standbyLost beta', 'degraded'])
    expect(bench.copy.sets().at(-1)).toEqual([])
  })

  it('writes are acknowledged as degraded only once the removal is durable on the active', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    bench.copy.prompt = false
    const write = bench.writer.submit({ kind: 'update', className: 'volatile', value: 1 })
    await settle()
    beta.lost(true)
    expect(await stateOf(write)).toBe('pending')
    bench.copy.makeDurable()
    expect(await write).toMatchObject({ ack: 'local', degraded: true })
  })

  it('writes do not wait for a standby that is proven gone', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    beta.lost(true)
    expect(await stateOf(write)).toBe('resolved')
    expect((await write).ack).toBe('local')
  })

  it('GEN-3: a standby that is gone or silent is not added again before it answers', async () => {
    for (const proven of [true, false]) {
      const bench = await openWriter()
      const beta = inSync(bench, 'beta')
      beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
      const pass = async (ms: number, answers: boolean): Promise<void> => {
        for (let at = 0; at < ms; at += 50) {
          bench.clock.advance(50)
          bench.copy.makeDurable()
          if (answers) beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
          await settle()
        }
      }
      await pass(3000, true)
      bench.writer.submit(change).catch(() => undefined)
      await settle()
      await pass(1800, true)
      beta.lost(proven)
      await pass(5000, false)
      expect(names(bench.events)).toEqual([
        'standbyInSync beta',
        'redundant',
        'standbyLost beta',
        'degraded',
      ])
      expect(bench.writer.status.inSync).toEqual([])
      beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
      bench.copy.makeDurable()
      expect(bench.writer.status.inSync).toEqual(proven ? [] : ['beta'])
    }
  })

  it('a standby whose stream ended stays in the set when it is back and answers in time', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    beta.lost(false)
    bench.clock.advance(1500)
    const write = bench.writer.submit(change)
    await settle()
    const again = bench.writer.addFollower('beta', { promotable: true })
    again.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await write).toMatchObject({ ack: 'standby', degraded: false })
    bench.clock.advance(1000)
    again.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(60_000)
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('the wait for a standby whose stream ended counts from the end of the stream', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    beta.lost(false)
    bench.clock.advance(1500)
    const write = bench.writer.submit(change)
    await settle()
    bench.clock.advance(499)
    expect(await stateOf(write)).toBe('pending')
    bench.clock.advance(1)
    expect(await stateOf(write)).toBe('resolved')
  })

  it('a new stream without an answer does not restart the wait', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    bench.clock.advance(1000)
    beta.lost(false)
    bench.writer.addFollower('beta', { promotable: true })
    bench.clock.advance(999)
    expect(await stateOf(write)).toBe('pending')
    bench.clock.advance(1)
    expect(await stateOf(write)).toBe('resolved')
  })

  it('a standby whose new stream never answers is removed, even when nothing is written', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    await settle()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(60_000)
    bench.writer.addFollower('beta', { promotable: true })
    bench.clock.advance(1999)
    expect(bench.writer.status.inSync).toEqual(['beta'])
    bench.clock.advance(1)
    await settle()
    expect(bench.writer.status).toMatchObject({ inSync: [], degraded: true })
  })

  it('what a follower acknowledged from memory does not count on its new stream', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const gamma = inSync(bench, 'gamma')
    const before = bench.copy.lastOrdinal
    for (const follower of [beta, gamma]) follower.received(before, before)
    const write = bench.writer.submit(
      { kind: 'update', className: 'volatile', value: 1 },
      { ack: 'all' },
    )
    await settle()
    beta.received(bench.copy.lastOrdinal, before)
    const again = bench.writer.addFollower('beta', { promotable: true })
    gamma.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(write)).toBe('pending')
    again.received(bench.copy.lastOrdinal, before)
    expect(await stateOf(write)).toBe('resolved')
  })

  it('a standby that was just added owes no answer to earlier entries', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const before = bench.copy.lastOrdinal
    beta.received(before, before)
    bench.writer.submit(change).catch(() => {})
    await settle()
    bench.clock.advance(1500)
    const gamma = bench.writer.addFollower('gamma', { promotable: true })
    gamma.received(bench.copy.lastOrdinal, before)
    gamma.caughtUp()
    bench.clock.advance(1999)
    await settle()
    expect(bench.writer.status.followers).toMatchObject([
      { id: 'beta', state: 'following' },
      { id: 'gamma', state: 'inSync' },
    ])
    gamma.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await settle()
    expect(bench.writer.status).toMatchObject({ inSync: ['gamma'], degraded: false })
  })

  it('lost() with sinceMs counts the silence from that time', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(5000)
    beta.lost(false, bench.clock.nowMs() - 2000)
    bench.clock.advance(0)
    await settle()
    expect(bench.writer.status.degraded).toBe(true)
  })

  it('GEN-8: a standby whose disk hangs is removed, although it still receives', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const onDisk = bench.copy.lastOrdinal
    beta.received(onDisk, onDisk)
    for (let elapsedMs = 0; elapsedMs <= 2000; elapsedMs += 100) {
      bench.writer.submit({ kind: 'update', className: 'volatile', value: 1 }).catch(() => {})
      await settle()
      beta.received(bench.copy.lastOrdinal, onDisk)
      bench.clock.advance(100)
    }
    await settle()
    expect(bench.writer.status).toMatchObject({ degraded: true, inSync: [] })
  })

  it('a slow standby that keeps answering stays in the set', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    let answered = bench.copy.lastOrdinal
    for (let round = 0; round < 200; round += 1) {
      bench.writer.submit(change).catch(() => {})
      await new Promise((resolve) => setImmediate(resolve))
      bench.clock.advance(100)
      // It always lags by 1.5 s.
      if (round > 15) answered += 1
      beta.received(answered, answered)
    }
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('when one of two standbys is silent, level all waits for its removal and level standby does not', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const gamma = inSync(bench, 'gamma')
    const answer = (follower: typeof beta): void =>
      follower.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    answer(beta)
    answer(gamma)
    const standby = bench.writer.submit(change)
    const all = bench.writer.submit(change, { ack: 'all' })
    await settle()
    answer(beta)
    expect(await stateOf(standby)).toBe('resolved')
    expect(await stateOf(all)).toBe('pending')
    bench.clock.advance(2000)
    answer(beta)
    await settle()
    expect(await all).toMatchObject({ ack: 'all', degraded: false })
    expect(bench.writer.status).toMatchObject({ inSync: ['beta'], degraded: false })
    expect(names(bench.events)).not.toContain('degraded')
    expect(names(bench.events)).toContain('standbyLost gamma')
  })

  it('all with an empty set behaves like standby with an empty set', async () => {
    const bench = await openWriter({ degraded: true })
    expect(await bench.writer.submit(change, { ack: 'all' })).toMatchObject({
      ack: 'local',
      degraded: true,
      durable: true,
    })
  })

  it('a term without reachable standbys starts degraded; any other waits once', async () => {
    const alone = await openWriter({ degraded: true })
    expect(names(alone.events)).toEqual(['degraded'])
    const bench = await openWriter()
    const write = bench.writer.submit(change)
    await settle()
    bench.clock.advance(1999)
    expect(await stateOf(write)).toBe('pending')
    bench.clock.advance(1)
    expect(await stateOf(write)).toBe('resolved')
    expect(names(bench.events)).toEqual(['degraded'])
  })

  it('writes of a sole member never wait', async () => {
    const bench = await openWriter({ members: [{ id: 'alpha', promotable: true }] })
    expect(await bench.writer.submit(change)).toMatchObject({ ack: 'local', degraded: true })
  })

  it('when a standby is in sync again, one event is emitted and writes get their level', async () => {
    const bench = await openWriter({ degraded: true })
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    expect(await stateOf(write)).toBe('pending')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await write).toMatchObject({ ack: 'standby', degraded: false })
    expect(names(bench.events)).toEqual(['degraded', 'standbyInSync beta', 'redundant'])
  })

  it('with block, writes wait until a standby is in sync', async () => {
    const bench = await openWriter({ onNoStandby: 'block' })
    const write = bench.writer.submit(change)
    const local = bench.writer.submit({ kind: 'update', className: 'local', value: 1 })
    const abort = new AbortController()
    const aborted = bench.writer.submit(change, { signal: abort.signal })
    await settle()
    bench.clock.advance(60_000)
    expect(await stateOf(write)).toBe('pending')
    expect(await stateOf(local)).toBe('resolved')
    expect(bench.writer.status).toMatchObject({ degraded: false, blocked: true })
    abort.abort()
    expect(await codeOf(aborted)).toBe('WRITES_BLOCKED')
    inSync(bench, 'beta').received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await write).ack).toBe('standby')
    expect(bench.events.filter(({ name }) => name === 'degraded')).toEqual([
      { name: 'degraded', blocked: true },
    ])
  })

  it('after a freeze of the active itself, no standby is removed for that time', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    bench.clock.freeze(30_000)
    expect(bench.writer.status.inSync).toEqual(['beta'])
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await write).ack).toBe('standby')
    // The grace for the freeze is used once: silence after it counts.
    const second = bench.writer.submit(change)
    await settle()
    bench.clock.advance(2000)
    expect(await stateOf(second)).toBe('resolved')
    expect((await second).ack).toBe('local')
  })

  it('leave() removes a standby at once, and it may come back', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    beta.leave('its disk is full')
    await settle()
    expect((await write).ack).toBe('local')
    expect(bench.events).toContainEqual({
      name: 'standbyLost',
      peer: 'beta',
      reason: 'its disk is full',
    })
    beta.caughtUp()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await settle()
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('calls on a replaced handle do nothing', async () => {
    const bench = await openWriter()
    const old = inSync(bench, 'beta')
    bench.writer.addFollower('beta', { promotable: true })
    const write = bench.writer.submit(change)
    await settle()
    old.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await stateOf(write)).toBe('pending')
    old.lost(true)
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('an idle cluster runs no timers', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    await settle()
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(10_000)
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(10_000)
    expect(bench.clock.timers).toBe(0)
  })

  it('GEN-3: status says how far followers are behind', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(bench.writer.status.followers).toMatchObject([
      { id: 'beta', state: 'inSync', lagSeq: 0, lagBytes: 0, lagMs: 0 },
    ])
    const writes: Promise<Receipt>[] = []
    for (let count = 0; count < 3; count += 1) {
      writes.push(bench.writer.submit(change))
      await settle()
      bench.clock.advance(100)
    }
    const lag = bench.writer.status.followers[0]
    expect(lag).toMatchObject({ lagSeq: 3, lagMs: 300 })
    expect(lag?.lagBytes).toBeGreaterThan(100)
    beta.received(bench.copy.lastOrdinal - 1, bench.copy.lastOrdinal - 1)
    expect(bench.writer.status.followers[0]).toMatchObject({ lagSeq: 1, lagMs: 100 })
    // A follower that never answered may lack everything, including what is older than this term.
    const copy = new FakeCopy()
    copy.seq = 70
    const fresh = await openWriter({}, copy)
    fresh.writer.addFollower('gamma', { promotable: true })
    expect(fresh.writer.status.followers[0]?.lagSeq).toBe(70)
  })
})

describe('content that is transferred to a member counts as progress (promise 4)', () => {
  const put = { kind: 'put', className: 'files', path: 'files/large', mode: 0o644 } as const
  const mib = 1024 * 1024
  const blob = { id: 'large', bytes: 64 * mib, crc: 0 }

  /**
   * Beta is in sync and lacks a change with a large content, which is transferred to it endlessly.
   */
  async function fetching(timesOfIt: number): Promise<{ counted: number; members: string[] }> {
    const bench = await openWriter({ degradeAfterMs: 2000 })
    const beta = inSync(bench, 'beta')
    bench.copy.prompt = false
    bench.writer.adopt([{ ...put, bytes: undefined, blob }], new Map())
    let counted = 0
    const pieces = (timesOfIt * blob.bytes) / mib
    for (let piece = 1; piece <= pieces; piece += 1) {
      bench.clock.advance(1000)
      const arrivedBytes = piece * mib
      const progress = { bytes: mib, restores: false, arrivedBytes, offeredBytes: 0 }
      if (beta.progressed(progress)) counted += 1
    }
    bench.copy.makeDurable()
    const { inSync: members } = bench.writer.status
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
    return { counted, members: [...members] }
  }

  it('SYN-1: until the member has all that it lacks, however long that takes', async () => {
    expect(await fetching(1)).toEqual({ counted: 64, members: ['beta'] })
  })

  it('SYN-1: a member that gets more than it can need without an answer leaves the set', async () => {
    const { counted, members } = await fetching(10)
    const most = (progressTimesMax * blob.bytes + progressSlackBytes) / mib
    expect(counted).toBeGreaterThanOrEqual(most)
    expect(counted).toBeLessThanOrEqual(most + 1)
    expect(members).toEqual([])
  })

  it('adopted changes count with their contents in the lag of a standby', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(bench.writer.status.followers[0]?.lagBytes).toBe(0)
    bench.writer.adopt([{ ...put, bytes: undefined, blob }], new Map())
    expect(bench.writer.status.followers[0]?.lagBytes).toBeGreaterThan(blob.bytes)
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.writer.close(new HotspareError('NOT_ACTIVE'))
  })
})
