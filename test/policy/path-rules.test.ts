import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import {
  checkPath,
  isValidPath,
  pathBytesMax,
  pathProblem,
  segmentBytesMax,
} from '../../src/policy/path-rules.js'

const valid: string[] = [
  'a',
  'messages/42.txt',
  'a/b/c/d/e',
  '.profile',
  'dir/.hidden',
  'data/.hotspare',
  '.hotspare2/x',
  'hotspare/x',
  'with space/in the middle.txt',
  'ünïcode/日本語/👨‍👩‍👧.png',
  'console.log',
  'nullable',
  'com/x',
  'com10',
  'lpt',
  '-dash',
  '#hash/@at/+plus/(paren)/[bracket]/{brace}',
  '!bang',
  '..a/...b',
  `${'s'.repeat(segmentBytesMax)}`,
  `${'s'.repeat(segmentBytesMax)}/x`,
  Array.from({ length: pathBytesMax / 2 }, () => 'a')
    .join('/')
    .concat('b'),
]

const invalid: [string, RegExp][] = [
  ['', /empty/],
  ['/etc/passwd', /absolute/],
  ['.', /part '\.'/],
  ['..', /part '\.\.'/],
  ['a/../b', /part '\.\.'/],
  ['a/./b', /part '\.'/],
  ['../a', /part '\.\.'/],
  ['a//b', /empty part/],
  ['a/', /empty part/],
  ['a\\b', /character \\/],
  ['c:/windows', /character :/],
  ['file:stream', /character :/],
  ['a\0b', /control/],
  ['a\nb', /control/],
  ['a\u0085b', /control/],
  ['a\u007fb', /control/],
  ['a<b', /character </],
  ['a>b', /character >/],
  ['a"b', /character "/],
  ['a|b', /character \|/],
  ['what?', /character \?/],
  ['a*', /character \*/],
  ['.hotspare', /reaches into/],
  ['.hotspare/journal/1', /reaches into/],
  ['.HotSpare/meta', /reaches into/],
  ['.hot\u200bspare/meta', /reaches into/],
  ['.hotſpare/meta', /reaches into/],
  ['HOTSPA~1/meta', /reaches into/],
  ['a/b.', /ends with a dot or a space/],
  ['a /b', /ends with a dot or a space/],
  ['.../b', /ends with a dot or a space/],
  ['con', /device/],
  ['CON.txt', /device/],
  ['a/nul', /device/],
  ['a/Nul.tar.gz/b', /device/],
  ['com1', /device/],
  ['LPT9.log', /device/],
  ['com¹', /device/],
  ['con .txt', /device/],
  ['CONIN$', /device/],
  ['e\u0301', /NFC/],
  ['a\ud800', /surrogate/],
  ['\udc00a', /surrogate/],
  ['s'.repeat(segmentBytesMax + 1), /part longer than 255/],
  ['é'.repeat(128), /part longer than 255/],
  [`${'a/'.repeat(pathBytesMax / 2)}b`, /longer than 1024/],
  ['x'.repeat(10_000_000), /longer than 1024/],
]

describe('checkPath', () => {
  it.each(valid)('accepts %j', (path) => {
    expect(checkPath(path)).toBe(path)
  })

  it.each(invalid)('refuses %#: $1', (path, reason) => {
    expect(isValidPath(path)).toBe(false)
    const refused = catchError(() => checkPath(path))
    expect(refused.code).toBe('PATH_INVALID')
    expect(refused.message).toMatch(reason)
    expect(refused.message.length).toBeLessThan(1000)
  })

  it('says how a path becomes NFC', () => {
    expect(() => checkPath('u\u0308')).toThrow("is not in Unicode form NFC. Call .normalize('NFC')")
  })

  it('refuses what is no string as misuse', () => {
    expect(() => checkPath(42 as unknown as string)).toThrow(TypeError)
  })

  it('gives the quick test and the full rules the same answer', () => {
    // A prefix that the quick test does not know but the rules allow forces the full rules.
    const forced = (path: string): string | undefined => pathProblem(`ü/${path}`)
    const part = fc.stringMatching(/^[a-zA-Z0-9_. -]{1,8}$/)
    const device = fc.constantFrom('con', 'NUL', 'aux.txt', 'com1', 'com1 .x', 'prn ', 'lpt0.a.b')
    const path = fc.array(fc.oneof(part, device), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(path, (parts) => {
        const text = parts.join('/')
        fc.pre(!/^(\.hotspare|hotspa~)/i.test(text))
        expect(pathProblem(text)).toBe(forced(text))
      }),
      { numRuns: 2000 },
    )
  })

  it('accepts nothing that leaves the root, whatever it is given', () => {
    const nasty = fc.string({
      unit: fc.constantFrom('.', '/', '\\', 'a', ':', '\0', ' ', '~', '1'),
    })
    fc.assert(
      fc.property(nasty, (path) => {
        if (!isValidPath(path)) return
        const parts = path.split('/')
        expect(parts.every((part) => part !== '' && part !== '.' && part !== '..')).toBe(true)
        expect(path).not.toMatch(/[\\:\0]/)
      }),
      { numRuns: 2000 },
    )
  })

  it('answers hostile input at once', () => {
    // Inputs that make a backtracking expression slow; the test's own time limit is the check.
    for (const unit of ['a', 'a.', 'a ', 'con', 'a/', '. ']) {
      for (let length = 1; length < 1100; length += 7) pathProblem(`${unit.repeat(length)}.`)
    }
  })
})

function catchError(action: () => unknown): HotspareError {
  try {
    action()
  } catch (error) {
    if (HotspareError.is(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
