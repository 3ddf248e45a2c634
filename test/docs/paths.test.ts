/** The two paths that docs/architecture.md draws file by file: the files are there, and few. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/architecture.md', root), 'utf8')

/** The files in the table below a heading. */
function filesOf(heading: string): string[] {
  const [, part = ''] = page.split(`### ${heading}\n`)
  const rows = part.split('\n').filter((line, at, all) => {
    const before = all.slice(0, at).filter((one) => one.startsWith('#'))
    return before.length === 0 && line.startsWith('| ')
  })
  return rows.flatMap((row) => [...row.matchAll(/`([\w/-]+\.ts)`/g)].map(([, file = '']) => file))
}

describe.each([
  ['A write, file by file', 40],
  ['A takeover, file by file', 35],
])('%s', (heading, filesMax) => {
  const files = filesOf(heading)

  it('names files of src, each once', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((file) => !existsSync(new URL(`src/${file}`, root)))).toEqual([])
    expect(new Set(files).size).toBe(files.length)
  })

  it(`goes through ${filesMax} files at most`, () => {
    expect(files.length).toBeLessThanOrEqual(filesMax)
  })
})
