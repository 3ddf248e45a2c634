import { describe, expect, it } from 'vitest'
import { epochMax } from '../../src/history/position.js'
import { encode } from '../../src/protocol/codec.js'
import { fromDisk, fromPeer, optional, wordOf } from '../../src/protocol/fields.js'

const term = { epoch: 3, nodeId: 'alpha', bootId: 'boot' }

describe('a reader of untrusted values', () => {
  it('says what it read, which field does not fit, and by its code where that came from', () => {
    expect(() => fromPeer('a greeting').count(-1, 'seq')).toThrow(
      expect.objectContaining({
        code: 'PROTOCOL_VIOLATION',
        message: expect.stringContaining('the field seq of a greeting is malformed'),
        details: { field: 'seq' },
      }),
    )
    const disk = fromDisk('a notebook')
    const refused = { code: 'STORAGE_CORRUPT', message: expect.stringContaining('a notebook') }
    expect(() => disk.text(1, 'title')).toThrow(expect.objectContaining(refused))
    expect(() => disk.decode(Uint8Array.of(0xc1))).toThrow(expect.objectContaining(refused))
    expect(() => disk.decode(encode('long'), { bytesMax: 2 })).toThrow(
      expect.objectContaining(refused),
    )
  })

  it('returns what fits, and refuses what is of another type, too long or too large', () => {
    const read = fromPeer('a message')
    const refusals: [string, () => unknown][] = [
      ['an array as a map', () => read.fields([], 'f')],
      ['bytes as a map', () => read.fields(new Uint8Array(1), 'f')],
      ['a date as a map', () => read.fields(new Date(), 'f')],
      ['a fraction', () => read.count(0.5, 'f')],
      ['a number above its limit', () => read.count(8, 'f', 7)],
      ['a number that is not exact', () => read.count(2 ** 53, 'f')],
      ['NaN', () => read.number(Number.NaN, 'f')],
      ['a long text', () => read.text('x'.repeat(1025), 'f')],
      ['an empty name', () => read.name('', 'f')],
      ['a number as a flag', () => read.flag(1, 'f')],
      ['a word that is none', () => read.word('maybe', 'f', ['yes', 'no'])],
      ['an array as bytes', () => read.bytes([1], 'f')],
      ['a long list', () => read.list([1, 2], 'f', 1)],
      ['a list of other things', () => read.texts(['a', 1], 'f', 2, 1)],
      ['a large map', () => read.textMap({ a: 'x', b: 'y' }, 'f', 1, 1)],
      [
        'terms that do not rise',
        () =>
          read.history(
            [0, 1].map((n) => ({ ...term, firstSeq: n })),
            'f',
          ),
      ],
    ]
    for (const [what, refused] of refusals) {
      expect(refused, what).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    }
    expect(read.number(-1.5, 'f')).toBe(-1.5)
    expect(read.texts(['a'], 'f', 1, 1)).toEqual(['a'])
    expect(wordOf('maybe', ['yes', 'no'])).toBeUndefined()
    expect(optional(null, () => 1)).toBeUndefined()
  })

  it('looks at no field that it is not asked for', () => {
    expect(fromPeer('a message').term({ ...term, added: 'later' }, 'term')).toEqual(term)
  })

  it('takes an epoch above the highest that a peer may name from its own disk only', () => {
    const above = { ...term, epoch: epochMax + 1 }
    expect(fromDisk('a document').term(above, 'term')).toEqual(above)
    expect(() => fromPeer('a message').term(above, 'term')).toThrow()
  })

  it('reads texts of any length from its own disk', () => {
    expect(fromDisk('a document').text('x'.repeat(2000), 'path')).toHaveLength(2000)
  })
})
