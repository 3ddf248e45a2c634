import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../src/error-codes.js'
import { assertInvariant, HotspareError, whatHappened } from '../../src/errors.js'

const document = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8')

/** The rows of the tables in docs/errors.md: code, retryable, what happened, what to do. */
const rows = [...document.matchAll(/^\| `([A-Z_]+)` \| (yes|no|depends) \| (.*?) \| (.*?) \|$/gm)]

describe('docs/errors.md', () => {
  it('lists each code once, in the order of the table', () => {
    expect(rows.map((row) => row[1])).toEqual(Object.keys(errorCodes))
  })

  it.each(Object.entries(errorCodes))('says of %s what the table says', (code, info) => {
    const row = rows.find((each) => each[1] === code)
    const retryable = info.retryableDepends ? 'depends' : info.retryable ? 'yes' : 'no'
    expect(row?.slice(2)).toEqual([retryable, info.summary, info.whatToDo])
  })

  it.each(Object.entries(errorCodes))('%s is described in whole sentences', (code, info) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
    for (const sentence of [info.summary, info.whatToDo]) {
      expect(sentence).toMatch(/^[A-Z].*\.$/)
      expect(sentence).not.toContain('|')
      // People see the message alone, in a log or a status.
      expect(sentence).not.toContain('details')
    }
  })
})

describe('HotspareError', () => {
  it('says its remedy once, also as the reason of another one', () => {
    const inner = new HotspareError('STORAGE_FULL', 'the disk of beta is full')
    expect(whatHappened(inner)).toBe('the disk of beta is full.')
    const outer = new HotspareError('STORAGE_FULL', whatHappened(inner))
    expect(outer.message).toBe(inner.message)
    expect(whatHappened(new Error('plain'))).toBe('Error: plain')
  })

  it('says what happened and what to do next', () => {
    const error = new HotspareError('NOT_ACTIVE', 'node beta is a standby; alpha is active', {
      details: { nodeId: 'beta', active: 'alpha' },
    })
    expect(error.message).toBe(
      `node beta is a standby; alpha is active. ${errorCodes.NOT_ACTIVE.whatToDo}`,
    )
    expect(error).toMatchObject({
      code: 'NOT_ACTIVE',
      retryable: true,
      details: { active: 'alpha' },
    })
    expect(error.name).toBe('HotspareError')
    expect(error.stack).toMatch(/^HotspareError: node beta/)
    expect(Object.keys(error)).not.toContain('name')
  })

  it('falls back on the summary, and has no empty cause', () => {
    const error = new HotspareError('QUEUE_FULL')
    expect(error.message).toContain(errorCodes.QUEUE_FULL.summary)
    expect(error.details).toEqual({})
    expect('cause' in error).toBe(false)
  })

  it('keeps its cause, and lets a caller know better about retrying', () => {
    const cause = new Error('EIO')
    const error = new HotspareError('STORAGE_FAILED', 'write failed', { cause, retryable: true })
    expect(error.cause).toBe(cause)
    expect(error.retryable).toBe(true)
  })

  it('is recognised, by code too', () => {
    const error: unknown = new HotspareError('STOPPED')
    expect(HotspareError.is(error)).toBe(true)
    expect(HotspareError.is(error, 'STOPPED')).toBe(true)
    expect(HotspareError.is(error, 'ABORTED')).toBe(false)
    expect(HotspareError.is(new Error('x'))).toBe(false)
    expect(HotspareError.is(undefined)).toBe(false)
  })
})

describe('assertInvariant', () => {
  it('throws INTERNAL only when the condition is false', () => {
    assertInvariant(true, 'fine')
    expect(() => assertInvariant(false, 'sequence went back from 7 to 6')).toThrow(
      /^sequence went back from 7 to 6\. .*report/,
    )
  })
})
