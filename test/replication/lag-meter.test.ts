import { describe, expect, it } from 'vitest'
import { LagMeter } from '../../src/replication/in-sync/lag-meter.js'

describe('the lag of a follower', () => {
  it('is exact when it is small, however much was written before', () => {
    const meter = new LagMeter(0, 0, 0)
    let nowMs = 0
    for (let ordinal = 1; ordinal <= 100_000; ordinal += 1) {
      nowMs += 20
      meter.note(ordinal, ordinal * 3, 100, nowMs)
    }
    expect(meter.lagOf(99_998, nowMs)).toEqual({ lagSeq: 6, lagBytes: 200, lagMs: 20 })
    expect(meter.lagOf(100_000, nowMs)).toEqual({ lagSeq: 0, lagBytes: 0, lagMs: 0 })
  })

  it('is approximate when it is large', () => {
    const meter = new LagMeter(0, 0, 0)
    for (let ordinal = 1; ordinal <= 100_000; ordinal += 1)
      meter.note(ordinal, ordinal, 10, ordinal)
    const { lagSeq, lagBytes, lagMs } = meter.lagOf(40_000, 100_000)
    expect(Math.abs(lagSeq - 60_000)).toBeLessThan(100)
    expect(Math.abs(lagBytes - 600_000)).toBeLessThan(1000)
    expect(Math.abs(lagMs - 60_000)).toBeLessThan(100)
  })

  it('does not include time in which nothing was written', () => {
    const meter = new LagMeter(0, 0, 0)
    for (let ordinal = 1; ordinal <= 5; ordinal += 1)
      meter.note(ordinal, ordinal, 10, 1000 + ordinal)
    meter.note(6, 6, 10, 500_000)
    expect(meter.lagOf(5, 500_100)).toEqual({ lagSeq: 1, lagBytes: 10, lagMs: 100 })
  })

  it('is exact around a large entry among small ones', () => {
    const meter = new LagMeter(0, 0, 0)
    const large = 64 * 1024 * 1024
    for (let ordinal = 1; ordinal <= 9; ordinal += 1) meter.note(ordinal, ordinal, 10, 100)
    meter.note(10, 10, large, 100)
    expect(meter.lagOf(9, 100).lagBytes).toBe(large)
    expect(meter.lagOf(8, 100).lagBytes).toBe(large + 10)
  })
})
