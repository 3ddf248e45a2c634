import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyPlain, requirePlain, valueDepthMax } from '../../src/changes/plain-value.js'
import { decode, encode } from '../../src/protocol/codec.js'

class Note {
  text = 'x'
}

function nested(depth: number): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value }
  return value
}

const loop: unknown[] = []
loop.push(loop)

const refused: readonly [value: unknown, message: string][] = [
  [() => 1, 'a function at value'],
  [{ a: [1, Symbol('x')] }, 'a symbol at value["a"][1]'],
  [new Date(Number.NaN), 'an invalid Date'],
  [{ at: new Date('garbage') }, 'an invalid Date at value["at"]'],
  [nested(valueDepthMax + 1), 'too many levels'],
  [loop, 'too many levels, or itself,'],
  [new Map([[{ a: 1 }, 2]]), 'an instance of Map'],
  [new Set([1]), 'an instance of Set'],
  [new Note(), 'an instance of Note'],
  [new Error('x'), 'an instance of Error'],
  [/x/, 'an instance of RegExp'],
  [new Float32Array([1.5]), 'an instance of Float32Array'],
  [new Uint16Array(2), 'an instance of Uint16Array'],
  [new Uint8ClampedArray(2), 'an instance of Uint8ClampedArray'],
  [new ArrayBuffer(2), 'an instance of ArrayBuffer'],
  [new DataView(new ArrayBuffer(2)), 'an instance of DataView'],
  [Promise.resolve(1), 'an instance of Promise'],
  [Object.create({ inherited: 1 }), 'an instance of Object'],
  [2n ** 64n, 'a bigint of more than 64 bits'],
  ['a\ud800', 'half of a surrogate pair'],
  [{ '\udc00': 1 }, 'half of a surrogate pair'],
  [JSON.parse('{"a":{"__proto__":1}}'), 'the key \'__proto__\' at value["a"]'],
]

describe('plain data', () => {
  test.each(refused)('%# is refused by name', (value, message) => {
    expect(() => requirePlain(value, 'the change')).toThrow(
      expect.objectContaining({
        code: 'VALUE_INVALID',
        message: expect.stringContaining(`the change contains ${message}`),
      }),
    )
  })

  test('whatever is accepted comes back as it was', () => {
    const numbers = fc.oneof(fc.double(), fc.integer()).map((number) => number + 0)
    const dates = fc.date({ noInvalidDate: true })
    const texts = fc.string({ unit: 'binary' }).filter((text) => text !== '__proto__')
    const bytes = fc.uint8Array().map((one) => Buffer.from(one))
    const bigints = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
    const leaf = fc.oneof(numbers, dates, texts, bytes, bigints, fc.boolean())
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.constantFrom(null, undefined),
        fc.array(tie('tree')),
        fc.dictionary(texts, tie('tree'), { noNullPrototype: true }),
      ),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        requirePlain(value, 'the change')
        expect(decode(encode(value))).toStrictEqual(value)
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  test('what comes back as something else', () => {
    const back = (value: unknown): unknown => {
      requirePlain(value, 'the change')
      return decode(encode(value))
    }
    expect(Object.is(back(-0), 0)).toBe(true)
    expect(back(new Array(2))).toStrictEqual([undefined, undefined])
    expect(back({ [Symbol('x')]: 1, a: 1 })).toStrictEqual({ a: 1 })
    expect(back(new Uint8Array([1]))).toStrictEqual(Buffer.of(1))
    const foreign = runInNewContext('({ a: [1, { b: 2 }] })') as unknown
    expect(back(foreign)).toStrictEqual({ a: [1, { b: 2 }] })
  })

  test('the deepest value that is accepted survives a transaction and a switchover around it', () => {
    const around = [[[[{ value: { value: { value: nested(valueDepthMax) } } }]]]]
    requirePlain(nested(valueDepthMax), 'the change')
    expect(decode(encode(around))).toStrictEqual(around)
  })

  test('an object may have more keys than fit 16 bits', () => {
    const large = Object.fromEntries(Array.from({ length: 70_000 }, (_, at) => [`k${at}`, at]))
    requirePlain(large, 'the change')
    expect(decode(encode(large))).toEqual(large)
  })

  test('a copy shares nothing with what it was made of, where that is plain data', () => {
    const value = { list: [1], bytes: Buffer.of(1) }
    const copy = copyPlain(value) as typeof value
    copy.list.push(2)
    copy.bytes.fill(0)
    expect(value).toEqual({ list: [1], bytes: Buffer.of(1) })
    const map = new Map()
    expect(copyPlain(map)).toBe(map)
  })
})
