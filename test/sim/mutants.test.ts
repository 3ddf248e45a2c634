/** The list of mutants must match the code that it breaks; `npm run mutants` runs them. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { patched, readMutants } from '../../scripts/mutants/patch.mjs'
import { profileNames } from '../../src/testing/simulator/faults.js'

const root = new URL('../../', import.meta.url)
const mutants = await readMutants()

describe('the list of mutants', () => {
  it('has every mutant once', () => {
    const ids = mutants.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThanOrEqual(40)
  })

  it.each(mutants)('$id: its code occurs once, and its tests and profiles exist', (mutant) => {
    const source = readFileSync(new URL(mutant.file, root), 'utf8')
    expect(patched(source, mutant)).not.toBe(source)
    for (const file of mutant.tests ?? []) expect(existsSync(new URL(file, root)), file).toBe(true)
    for (const profile of mutant.profiles ?? []) expect(profileNames).toContain(profile)
  })

  it('a mutant whose code does not occur, or occurs twice, is refused', () => {
    const mutant = { id: 'x', file: 'f.ts', before: 'a(b)', after: '', rule: '' }
    expect(patched('x\n  a(b)\n', mutant)).toBe('x\n  \n')
    expect(() => patched('nothing', mutant)).toThrow('0 times in f.ts')
    expect(() => patched('a(b) a(b)', mutant)).toThrow('2 times in f.ts')
    expect(() => patched('ba(b)', mutant)).toThrow('0 times in f.ts')
  })
})
