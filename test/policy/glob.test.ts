import fc from 'fast-check'
import picomatch from 'picomatch'
import { describe, expect, it } from 'vitest'
import { compileGlobs, expandBraces, normaliseGlobs } from '../../src/policy/glob.js'
import { findOverlap } from '../../src/policy/glob-overlap.js'

const set = (globs: string | string[]) => compileGlobs(normaliseGlobs(globs))

describe('matching', () => {
  const table: [string | string[], string[], string[]][] = [
    ['config/**', ['config', 'config/a', 'config/a/b', 'config/.a'], ['configs', 'x/config', 'a']],
    ['*/**', ['config', 'config/a/b'], []],
    ['**/[ab]/**', ['a', 'x/b', 'b/x/y'], ['x']],
    ['config/*', ['config/a', 'config/.a'], ['config', 'config/a/b']],
    ['**', ['a', '.a', 'a/b', 'a/.b/c'], []],
    ['*', ['a', '.a'], ['a/b']],
    ['**/*.log', ['a.log', 'x/a.log', 'x/y/.log'], ['a.logs', 'a.log/b']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a', 'b', 'a/b/c', 'ab']],
    ['file?.txt', ['file1.txt', 'file..txt'], ['file.txt', 'file12.txt', 'file/.txt']],
    ['{a,b}/*.{x,y}', ['a/1.x', 'b/1.y'], ['c/1.x', 'a/1.z']],
    ['{a,b/{c,d}}', ['a', 'b/c', 'b/d'], ['b', 'c']],
    ['properties.txt', ['properties.txt'], ['propertiesxtxt', 'a/properties.txt']],
    ['[ab].txt', ['a.txt', 'b.txt'], ['c.txt']],
    ['!(a|b).txt', ['c.txt'], ['a.txt', 'b.txt']],
    [
      ['data/**', '!data/tmp/**'],
      ['data/a', 'data/tmpx'],
      ['data/tmp', 'data/tmp/a'],
    ],
    [['!data/tmp/**', 'data/**'], ['data/a'], ['data/tmp/a']],
    ['win\\dows\\*', ['win/dows/a'], ['win/dows/a/b']],
    ['a+b/c@d/e$f/^g', ['a+b/c@d/e$f/^g'], ['aab/c@d/e$f/^g']],
    ['e\u0301/*', ['é/a'], []],
  ]
  it.each(table)('%j', (globs, matching, other) => {
    const { matches } = set(globs)
    for (const path of matching) expect(matches(path), path).toBe(true)
    for (const path of other) expect(matches(path), path).toBe(false)
  })

  const refused: [string | string[], RegExp][] = [
    [[], /at least one/],
    ['', /empty/],
    ['/etc/**', /absolute/],
    ['C:/x', /character ":"/],
    ['../x', /part '\.\.'/],
    ['a/../b', /part '\.\.'/],
    ['./a', /part '\.'/],
    ['a//b', /empty part/],
    ['a/', /empty part/],
    ['.hotspare/**', /reaches into/],
    ['.HOTSPARE', /reaches into/],
    ['{a,.hotspare}/x', /reaches into/],
    ['a**', /stand alone/],
    ['a/**b/c', /stand alone/],
    ['{a', /no '}'/],
    ['a}', /no '{'/],
    ['}{', /no '{'/],
    ['{a}', /comma/],
    ['{1..3}', /comma/],
    ['!a', /only excludes/],
    [['!a', '!b'], /only excludes/],
    [['a', '!!b'], /before the whole glob/],
    ['a/!b', /before the whole glob/],
    ['a"b', /no path can contain/],
    ['con', /no path can match/],
    ['a/b.', /no path can match/],
    ['x'.repeat(2000), /longer than/],
    ['{a,b}'.repeat(9), /expand to more/],
    [Array.from({ length: 300 }, (_, at) => `g${at}`), /at most 256/],
  ]
  it.each(refused)('refuses %j', (globs, reason) => {
    expect(() => normaliseGlobs(globs)).toThrow(reason)
    expect(() => normaliseGlobs(globs)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }) as Error,
    )
  })

  it('refuses what is no string as misuse', () => {
    expect(() => normaliseGlobs([1] as unknown as string[])).toThrow(TypeError)
    expect(() => normaliseGlobs(undefined as unknown as string)).toThrow(TypeError)
  })

  it('expands braces in written order', () => {
    expect(expandBraces('x{a,{b,c}d,}y')).toEqual(['xay', 'xbdy', 'xcdy', 'xy'])
  })
})

describe('overlap', () => {
  const table: [string | string[], string | string[], string | undefined][] = [
    ['a', 'b', undefined],
    ['a', 'a', 'a'],
    ['config/**', 'config', 'config'],
    ['config/**', 'configs/**', undefined],
    ['data/**', 'data/tmp/**', 'data/tmp'],
    [['data/**', '!data/tmp/**'], 'data/tmp/**', undefined],
    [['data/**', '!data/tmp/*'], 'data/tmp/**', 'data/tmp'],
    ['logs/*.log', 'logs/a*', 'logs/a.log'],
    ['logs/*.log', 'logs/*.txt', undefined],
    ['**/*.log', 'logs/**', 'logs/.log'],
    ['a/*/c', 'a/b/*', 'a/b/c'],
    ['a/**/z', 'a/*/y', undefined],
    ['*', '*/*', undefined],
    ['**', 'x', 'x'],
    ['??', '???', undefined],
    ['a?', '?b', 'ab'],
    ['{a,b}/x', '{b,c}/x', 'b/x'],
    ['[ab]', 'a', 'a'],
    ['[ab]', 'c', undefined],
    // Brackets against wildcards are left to run time.
    ['[ab]', '?', undefined],
    // The exclusion with brackets covers the path found, so nothing is proven.
    [['?', '![x]'], 'x*', undefined],
    [['**', '!**/*.tmp'], '**/*.tmp', undefined],
    [['**', '!a/**', '!b/**'], ['a/**', 'b/**'], undefined],
    [['**', '!a/**'], ['a/**', 'b/**'], 'b'],
    // The shortest common path is excluded, a longer one is not.
    [['data/**', '!data'], 'data/**', 'data/x'],
    [['**', '!?', '!??'], '*', 'xxx'],
  ]
  it.each(table)('%j and %j meet at %j', (left, right, path) => {
    expect(findOverlap(set(left), set(right))?.path).toBe(path)
    const mirrored = findOverlap(set(right), set(left))?.path
    expect(mirrored === undefined).toBe(path === undefined)
  })

  const segment = fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[ab]{1,2}$/) },
    {
      weight: 3,
      arbitrary: fc.stringMatching(/^[ab?]{0,2}\*?[ab?]{0,2}$/).filter((text) => text !== ''),
    },
    { weight: 1, arbitrary: fc.constant('**') },
    { weight: 1, arbitrary: fc.constant('{a,b*}') },
  )
  const glob = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
  const path = fc
    .array(fc.stringMatching(/^[ab]{1,3}$/), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
  const globs = fc
    .tuple(glob, fc.option(glob, { nil: undefined }), fc.option(glob, { nil: undefined }))
    .map(([first, more, excluded]) => [
      first,
      ...(more === undefined ? [] : [more]),
      ...(excluded === undefined ? [] : [`!${excluded}`]),
    ])

  it('never misses a path that both match, and never reports one that either does not', () => {
    fc.assert(
      fc.property(globs, globs, fc.array(path, { minLength: 5, maxLength: 20 }), (a, b, paths) => {
        const [left, right] = [set(a), set(b)]
        const found = findOverlap(left, right)
        if (found === undefined) {
          for (const each of paths) expect(left.matches(each) && right.matches(each)).toBe(false)
        } else {
          expect(left.matches(found.path) && right.matches(found.path)).toBe(true)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('agrees with every path over a small alphabet', () => {
    const parts = ['a', 'b', 'x', 'aa', 'ab', 'ba', 'xa', 'ax']
    const paths = parts.flatMap((one) => [one, ...parts.map((two) => `${one}/${two}`)])
    const short = fc
      .array(fc.stringMatching(/^([ab?*]|[ab?][ab?*]|[ab?*][ab?]|\*\*)$/), {
        minLength: 1,
        maxLength: 2,
      })
      .map((list) => list.join('/'))
    fc.assert(
      fc.property(short, short, (a, b) => {
        const [left, right] = [set(a), set(b)]
        const shared = paths.find((each) => left.matches(each) && right.matches(each))
        if (shared !== undefined) expect(findOverlap(left, right), shared).toBeDefined()
      }),
      { numRuns: 2000 },
    )
  })

  it('reads a glob as picomatch reads it, braces included', () => {
    fc.assert(
      fc.property(glob, path, (text, each) => {
        // picomatch reads '**' beside braces, and 'x/**' against 'x', in ways of its own; what is
        // compared is everything else.
        fc.pre(!text.includes('**') || (!text.includes('{') && !text.endsWith('/**')))
        const expected = picomatch(text, { dot: true })(each)
        expect(set(text).matches(each)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  it('gives up rather than hang on globs made to be hard', () => {
    const hard = (letter: string): string => `**/${`*${letter}*?`.repeat(20)}/**/${letter}*`
    findOverlap(set(hard('a')), set(hard('b')))
  })
})
