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
  it('GEN-2: a standby joins by a journaled fact, and counts when it is durable on the active', async () => {
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

  it('the second one counts only when the first has its addition on disk', async () => {
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

  it('one that is restoring does not count before it has caught up', async () => {
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
  it('GEN-8: waits once, from when the last in-sync standby fell silent, then goes on alone', async () => {
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
    // From now on nobody waits.
    expect(await stateOf(bench.writer.submit(change))).toBe('resolved')
    expect(names(bench.events).slice(-2)).toEqual(['standbyLost beta', 'degraded'])
    expect(bench.copy.sets().at(-1)).toEqual([])
  })

  it('degraded holds only when the removal is durable on the active', async () => {
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

  it('there is no wait for a standby that is proven gone', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    beta.lost(true)
    expect(await stateOf(write)).toBe('resolved')
    expect((await write).ack).toBe('local')
  })

  it('GEN-3: one that is gone, and one that is silent, are not added again before they answer', async () => {
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

  it('a stream that ended leaves its standby the time to come back and answer', async () => {
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

  it('a stream that ended and does not come back: the wait counts from its end', async () => {
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

  it('a new stream without an answer does not begin the wait anew', async () => {
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

  it('a new stream that never answers is silence, even when nothing is written', async () => {
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

  it('what a follower had in memory does not count any more on its new stream', async () => {
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

  it('one that was just added owes nothing from before', async () => {
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

  it('sinceMs: a standby found silent was silent before', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    bench.clock.advance(5000)
    beta.lost(false, bench.clock.nowMs() - 2000)
    bench.clock.advance(0)
    await settle()
    expect(bench.writer.status.degraded).toBe(true)
  })

  it('GEN-8: a standby whose disk hangs receives and leaves the set all the same', async () => {
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

  it('a slow standby that keeps answering stays', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    let answered = bench.copy.lastOrdinal
    for (let round = 0; round < 200; round += 1) {
      bench.writer.submit(change).catch(() => {})
      await new Promise((resolve) => setImmediate(resolve))
      bench.clock.advance(100)
      // It is 1.5 s behind all the time.
      if (round > 15) answered += 1
      beta.received(answered, answered)
    }
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('of two, a silent one is removed and the other goes on: all waits, standby does not', async () => {
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

  it('a term opened with nobody in reach starts degraded; otherwise it waits once', async () => {
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

  it('a sole member never waits', async () => {
    const bench = await openWriter({ members: [{ id: 'alpha', promotable: true }] })
    expect(await bench.writer.submit(change)).toMatchObject({ ack: 'local', degraded: true })
  })

  it('redundant again: one event, and writes get their level', async () => {
    const bench = await openWriter({ degraded: true })
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    expect(await stateOf(write)).toBe('pending')
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect(await write).toMatchObject({ ack: 'standby', degraded: false })
    expect(names(bench.events)).toEqual(['degraded', 'standbyInSync beta', 'redundant'])
  })

  it('block: writes wait for ever, and go on when a standby is in sync', async () => {
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

  it('a node that was frozen itself accuses nobody', async () => {
    const bench = await openWriter()
    const beta = inSync(bench, 'beta')
    const write = bench.writer.submit(change)
    await settle()
    bench.clock.freeze(30_000)
    expect(bench.writer.status.inSync).toEqual(['beta'])
    beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    expect((await write).ack).toBe('standby')
    // It is not forgiven for ever.
    const second = bench.writer.submit(change)
    await settle()
    bench.clock.advance(2000)
    expect(await stateOf(second)).toBe('resolved')
    expect((await second).ack).toBe('local')
  })

  it('leave: a standby that says it cannot hold the data is out at once, and may come back', async () => {
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

  it('a handle that was replaced does nothing', async () => {
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
    // One that never answered may lack everything, whatever was written in this term.
    const copy = new FakeCopy()
    copy.seq = 70
    const fresh = await openWriter({}, copy)
    fresh.writer.addFollower('gamma', { promotable: true })
    expect(fresh.writer.status.followers[0]?.lagSeq).toBe(70)
  })
})

describe('content that moves to a member counts as an answer (promise 4)', () => {
  const put = { kind: 'put', className: 'files', path: 'files/large', mode: 0o644 } as const
  const mib = 1024 * 1024
  const blob = { id: 'large', bytes: 64 * mib, crc: 0 }

  /** Beta is in sync and lacks a change with a large content, which moves to it without an end. */
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

  it('SYN-1: until it has all that it lacks, however long that takes', async () => {
    expect(await fetching(1)).toEqual({ counted: 64, members: ['beta'] })
  })

  it('SYN-1: but not for ever: who gets more than it can need and has nothing leaves the set', async () => {
    const { counted, members } = await fetching(10)
    const most = (progressTimesMax * blob.bytes + progressSlackBytes) / mib
    expect(counted).toBeGreaterThanOrEqual(most)
    expect(counted).toBeLessThanOrEqual(most + 1)
    expect(members).toEqual([])
  })

  it('what is adopted counts with its contents in what a standby lacks', async () => {
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
