import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { behaviourDocument } from '../../scripts/behaviour-doc.mjs'

describe('docs/behaviour.md', () => {
  const page = readFileSync('docs/behaviour.md', 'utf8')

  it('names the tests as they are: run node scripts/behaviour-doc.mjs', () => {
    expect(page).toBe(behaviourDocument())
  })

  it('has at least one test for each behaviour', () => {
    expect(page).not.toContain('**nothing**')
  })
})
