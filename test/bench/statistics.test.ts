import { describe, expect, test } from 'vitest'
import type { Rounds, Sample } from '../../bench/support/rounds.js'
import { findings, ratio, reaches } from '../../bench/support/rounds.js'
import { Histogram, median, quantile } from '../../bench/support/statistics.js'

describe('quantiles', () => {
  test('interpolate between neighbours', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5)
    expect(quantile([1, 2, 3], 1)).toBe(3)
    expect(quantile([7], 0.99)).toBe(7)
  })

  test('a median does not need sorted values and leaves them alone', () => {
    const values = [9, 1, 5]
    expect(median(values)).toBe(5)
    expect(values).toEqual([9, 1, 5])
  })

  test('of nothing are not a number', () => {
    expect(median([])).toBeNaN()
  })
})

describe('a histogram', () => {
  test('is exact below 128 and within 1.6 % above', () => {
    for (const value of [1, 63, 64, 127, 128, 129, 255, 256, 1000, 65_535, 65_536, 12_345_678]) {
      const histogram = new Histogram()
      histogram.record(value)
      const found = histogram.quantile(0.5)
      expect(Math.abs(found - value)).toBeLessThanOrEqual(value < 128 ? 0 : value * 0.016)
    }
  })

  test('agrees with the quantiles of the values themselves', () => {
    const histogram = new Histogram()
    const values = Array.from({ length: 10_000 }, (_, index) => 10 + index * 3)
    for (const value of values) histogram.record(value)
    for (const fraction of [0.01, 0.5, 0.99]) {
      const exact = quantile(values, fraction)
      expect(Math.abs(histogram.quantile(fraction) - exact)).toBeLessThan(exact * 0.02)
    }
    expect(histogram.worst).toBe(10 + 9999 * 3)
    expect(histogram.count).toBe(10_000)
  })
})

describe('rounds', () => {
  const rounds = (samples: Readonly<Record<string, readonly Sample[]>>): Rounds => ({
    count: 3,
    samples: new Map(Object.entries(samples)),
  })
  const measured = rounds({
    hotspare: [{ rate: 30 }, { rate: 100 }, { rate: 60 }],
    redis: [{ rate: 10 }, { rate: 10 }, { rate: 30 }],
  })

  test('a ratio is the median of the ratios within each round', () => {
    expect(ratio(measured, ['hotspare', 'rate'], ['redis', 'rate'])).toBe(3)
  })

  test('there is no ratio to a peer that is missing, and then no verdict', () => {
    const versus = ratio(measured, ['hotspare', 'rate'], ['etcd', 'rate'])
    expect(versus).toBeUndefined()
    expect(reaches([[versus, 3]])).toBeNull()
    const found = findings(measured, { ratios: { etcd: versus }, met: null, notes: [] })
    expect(found.ratios).toEqual({})
  })

  test('a goal is met when all its ratios are', () => {
    expect(reaches([[3, 3]])).toBe(true)
    expect(
      reaches([
        [3, 3],
        [1, 8],
      ]),
    ).toBe(false)
  })

  test('values are medians by contestant and measure', () => {
    const found = findings(measured, { ratios: {}, met: true, notes: [], values: { files: 7 } })
    expect(found.values).toEqual({ 'hotspare.rate': 60, 'redis.rate': 10, files: 7 })
  })
})
