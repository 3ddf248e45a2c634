/** A standby that is repeatedly too slow stays out of the in-sync set for longer each time. */
import { describe, expect, it } from 'vitest'
import { pauseFactorMax } from '../../src/replication/in-sync/readmission.js'
import type { WriterOptions } from '../../src/replication/write/types.js'
import { type Bench, inSync, openWriter, settle } from './writer-support.js'

const change = { kind: 'update', className: 'state', value: 1 } as const
const degradeAfterMs = 2000

type Standby = ReturnType<typeof inSync>

/**
 * One write each second, while beta's disk needs three seconds. Answers when beta left, in ms from
 * the beginning.
 */
async function writeSlowly(bench: Bench, beta: Standby, forMs: number): Promise<number[]> {
  const startMs = bench.clock.nowMs()
  const left: number[] = []
  const arrived: number[] = []
  for (let atMs = 0; atMs < forMs; atMs += 500) {
    if (atMs % 1000 === 0) bench.writer.submit(change).catch(() => undefined)
    await settle()
    arrived.push(bench.copy.lastOrdinal)
    const onDisk = arrived.at(-7)
    if (onDisk !== undefined) beta.received(onDisk, onDisk)
    // It catches up between two bursts.
    if (atMs % 10_000 > 7000) beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
    await settle()
    bench.clock.advance(500)
    await settle()
    for (let seen = left.length; seen < lostTimes(bench); seen += 1) {
      left.push(bench.clock.nowMs() - startMs)
    }
  }
  return left
}

function lostTimes(bench: Bench): number {
  return bench.events.filter(({ name }) => name === 'standbyLost').length
}

async function openSlow(
  options: Partial<WriterOptions> = {},
): Promise<{ readonly bench: Bench; readonly beta: Standby }> {
  const bench = await openWriter(options)
  const beta = inSync(bench, 'beta')
  beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
  return { bench, beta }
}

/** Beta leaves one write unacknowledged for too long, then answers. */
async function stumble(bench: Bench, beta: Standby): Promise<void> {
  bench.writer.submit(change).catch(() => undefined)
  await settle()
  bench.clock.advance(degradeAfterMs)
  await settle()
  beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
  await settle()
}

/** Beta acknowledges everything. */
async function answerAll(bench: Bench, beta: Standby): Promise<void> {
  await settle()
  beta.received(bench.copy.lastOrdinal, bench.copy.lastOrdinal)
  await settle()
}

describe('a standby that is too slow (promise 4)', () => {
  it('GEN-8: stays out twice as long each time, so that few writes are delayed', async () => {
    const { bench, beta } = await openSlow()
    const left = await writeSlowly(bench, beta, 600_000)
    expect(left.length).toBeLessThanOrEqual(14)
    const pausesMs = left.slice(1).map((atMs, at) => atMs - (left[at] ?? 0))
    expect(pausesMs.at(-1)).toBeGreaterThanOrEqual(pauseFactorMax * degradeAfterMs)
    expect(Math.max(...pausesMs)).toBeLessThanOrEqual(pauseFactorMax * degradeAfterMs + 20_000)
  })

  it('may return at once after the first time', async () => {
    const { bench, beta } = await openSlow()
    await stumble(bench, beta)
    await answerAll(bench, beta)
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('returns by itself when the pause is over, also when nothing is written', async () => {
    const { bench, beta } = await openSlow()
    for (let time = 0; time < 3; time += 1) {
      await stumble(bench, beta)
      await answerAll(bench, beta)
      if (time < 1) continue
      const pauseMs = degradeAfterMs * time
      bench.clock.advance(pauseMs - 1)
      await settle()
      expect(bench.writer.status.inSync).toEqual([])
      bench.clock.advance(1)
      await answerAll(bench, beta)
      expect(bench.writer.status.inSync).toEqual(['beta'])
    }
    const reasons = bench.events.flatMap((event) =>
      event.name === 'standbyLost' ? [event.reason] : [],
    )
    expect(reasons).toEqual([
      'it is too slow',
      'it is too slow, again: it stays out for 2000 ms',
      'it is too slow, again: it stays out for 4000 ms',
    ])
  })

  it('does not affect how the other standbys are timed while it stays out', async () => {
    const { bench, beta } = await openSlow()
    for (let time = 0; time < 2; time += 1) {
      await stumble(bench, beta)
      await answerAll(bench, beta)
    }
    const gamma = inSync(bench, 'gamma')
    await answerAll(bench, gamma)
    expect(bench.writer.status.inSync).toEqual(['gamma'])
    bench.writer.submit(change).catch(() => undefined)
    await settle()
    bench.clock.advance(degradeAfterMs)
    await settle()
    expect(bench.events.filter(({ name }) => name === 'standbyLost').at(-1)).toMatchObject({
      peer: 'gamma',
    })
  })

  it('joins only once it lags less than writes may wait', async () => {
    const bench = await openWriter({ degraded: true })
    const write = (): void => void bench.writer.submit(change, { ack: 'local' }).catch(() => {})
    const beta = bench.writer.addFollower('beta', { promotable: true })
    write()
    await settle()
    const behind = bench.copy.lastOrdinal
    for (let at = 0; at < 30; at += 1) {
      bench.clock.advance(100)
      write()
      await settle()
    }
    beta.received(bench.copy.lastOrdinal, behind)
    beta.caughtUp()
    expect(bench.copy.sets()).toEqual([[]])
    beta.received(bench.copy.lastOrdinal, behind + 15)
    expect(bench.copy.sets()).toEqual([[], ['beta']])
  })

  it('has its record cleared when it has kept up for long enough', async () => {
    const { bench, beta } = await openSlow()
    await stumble(bench, beta)
    await answerAll(bench, beta)
    for (let elapsedMs = 0; elapsedMs <= pauseFactorMax * degradeAfterMs; elapsedMs += 1000) {
      bench.writer.submit(change).catch(() => undefined)
      await answerAll(bench, beta)
      bench.clock.advance(1000)
    }
    await stumble(bench, beta)
    await answerAll(bench, beta)
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('is not one that is gone or silent', async () => {
    const { bench, beta } = await openSlow()
    let follower = beta
    for (let time = 0; time < 5; time += 1) {
      bench.writer.submit(change).catch(() => undefined)
      await settle()
      follower.lost(time % 2 === 0)
      bench.clock.advance(degradeAfterMs)
      await settle()
      expect(bench.writer.status.inSync).toEqual([])
      follower = inSync(bench, 'beta')
      await answerAll(bench, follower)
      expect(bench.writer.status.inSync).toEqual(['beta'])
    }
  })

  it('has its record cleared when its process is a new one', async () => {
    const { bench, beta } = await openSlow()
    await stumble(bench, beta)
    await answerAll(bench, beta)
    await stumble(bench, beta)
    await answerAll(bench, beta)
    expect(bench.writer.status.inSync).toEqual([])
    beta.lost(true)
    await answerAll(bench, inSync(bench, 'beta'))
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('keeps its record when the same process opens a new stream', async () => {
    const { bench, beta } = await openSlow()
    await stumble(bench, beta)
    await answerAll(bench, beta)
    await stumble(bench, beta)
    beta.lost(false)
    const again = inSync(bench, 'beta')
    await answerAll(bench, again)
    expect(bench.writer.status.inSync).toEqual([])
    bench.clock.advance(degradeAfterMs)
    await answerAll(bench, again)
    expect(bench.writer.status.inSync).toEqual(['beta'])
  })

  it('is admitted at once while writes are blocked for lack of a standby', async () => {
    const { bench, beta } = await openSlow({ onNoStandby: 'block' })
    for (let time = 0; time < 5; time += 1) {
      await stumble(bench, beta)
      await answerAll(bench, beta)
      expect(bench.writer.status.inSync).toEqual(['beta'])
    }
  })
})
