import { describe, expect, it } from 'vitest'
import { AppendSize } from '../../src/copy/journal/append-size.js'

const mib = 1024 * 1024

/**
 * The size after so many appends of all that is allowed, on a disk with this sync time and rate.
 */
function sizeOn(syncMs: (at: number) => number, bytesPerSecond: number): number {
  const size = new AppendSize()
  for (let at = 0; at < 40; at += 1) {
    size.note(size.bytes, syncMs(at) + (size.bytes * 1000) / bytesPerSecond)
  }
  return size.bytes
}

describe('how much one append carries', () => {
  it('all that waits on a fast disk', () => {
    expect(sizeOn(() => 0.3, 500 * mib)).toBe(8 * mib)
  })

  it('what a slow disk takes in a moment', () => {
    const bytes = sizeOn(() => 1, mib)
    expect(bytes).toBeGreaterThanOrEqual(64 * 1024)
    expect(bytes).toBeLessThan(0.3 * mib)
  })

  it('much on a disk whose sync takes long, whatever it carries', () => {
    expect(sizeOn((at) => 600 + (at % 7) * 20, 500 * mib)).toBe(8 * mib)
  })
})
