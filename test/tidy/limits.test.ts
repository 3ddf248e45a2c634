/** The page of limits has each number of the sources, with its value and its doc comment. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { limits, limitsTables } from '../../scripts/limits-doc.mjs'
import { filesBelow, textOf } from './sources.js'

describe('docs/limits.md', () => {
  const page = readFileSync('docs/limits.md', 'utf8')

  it('has the limits as they are: run node scripts/limits-doc.mjs', () => {
    const [, tables] = /<!-- limits -->\n([\s\S]*)\n<!-- end of limits -->/.exec(page) ?? []
    expect(tables).toBe(limitsTables())
  })

  it('names nothing a layout that is no constant of the sources', () => {
    expect(limits().stale).toEqual([])
  })

  it('lists each constant that is called a limit', () => {
    const known = new Set([...limits().limits, ...limits().layouts].map(({ name }) => name))
    const called = filesBelow('src')
      .filter((file) => !file.startsWith('src/testing/'))
      .flatMap((file) => [
        ...textOf(file).matchAll(/^(?:export )?const (\w*(?:Max|Min|_MAX|_MIN))\b/gm),
      ])
      .map(([, name]) => name ?? '')
    expect(called.length).toBeGreaterThan(100)
    expect(called.filter((name) => !known.has(name))).toEqual([])
  })
})
