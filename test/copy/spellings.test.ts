import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DistinctPaths, Spellings } from '../../src/copy/files/spellings.js'
import { foldPath } from '../../src/util/fold-path.js'

test.each([
  ['a/B.TXT', 'a/b.txt'],
  ['Ärger/É', 'ärger/é'],
  ['ΟΔΟΣ', 'οδος'],
  ['οδοσ', 'οδος'],
  ['Straße', 'strasse'],
  ['STRAẞE', 'strasse'],
  ['ﬁle', 'file'],
])('%s is folded to %s', (path, folded) => {
  expect(foldPath(path)).toBe(foldPath(folded))
})

test('folding again changes nothing, and upper and lower case fold alike', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 8 }), (text) => {
      const folded = foldPath(text)
      expect(foldPath(folded)).toBe(folded)
      expect(foldPath(text.normalize('NFC').toUpperCase())).toBe(folded)
    }),
    { numRuns: 1000 },
  )
})

const letters = fc.constantFrom('a', 'A', 'b', 'B', 'ß')
const pathOf = fc.array(letters, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))

test('the other spellings of a path are found as a search through all files finds them', () => {
  const step = fc.record({ path: pathOf, adds: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), pathOf, (steps, wanted) => {
      const spellings = new Spellings()
      const files = new Set<string>()
      for (const { path, adds } of steps) {
        if (files.has(path) === adds) continue
        if (adds) files.add(path)
        else files.delete(path)
        if (adds) spellings.add(path)
        else spellings.remove(path)
      }
      const there = new Set<string>()
      for (const file of files) for (const one of withFolders(file)) there.add(one)
      const expected = withFolders(wanted)
        .filter((one) => !there.has(one))
        .flatMap((one) =>
          [...there].filter((other) => other !== one && foldPath(other) === foldPath(one)),
        )
      const found = spellings.othersOf(wanted, (one) => there.has(one))
      expect(found.sort()).toEqual(expected.sort())
    }),
    { numRuns: 1000 },
  )
})

function withFolders(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}

test('paths that are taken together are told apart, folders too', () => {
  const distinct = new DistinctPaths()
  expect(distinct.add('data/a')).toBeUndefined()
  expect(distinct.add('data/a')).toBeUndefined()
  expect(distinct.add('data/b')).toBeUndefined()
  expect(distinct.add('data/A')).toBe('data/a')
  expect(distinct.add('Data/c')).toBe('data')
  expect(distinct.add('DATA')).toBe('Data')
})
