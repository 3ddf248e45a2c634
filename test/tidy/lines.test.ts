/** How long lines and files may be. */
import { describe, expect, it } from 'vitest'
import { filesBelow, textOf } from './sources.js'

const columnsMax = 100
const linesMax = 400

/** Text that is searched for stays in one piece. */
const holdsText = /'[^']{40,}'|"[^"]{40,}"|`[^`]{40,}|\/.{40,}\//

const files = ['src', 'test', 'bench', 'examples'].flatMap((folder) => filesBelow(folder))

describe('a reader', () => {
  it(`sees ${columnsMax} columns, comments included`, () => {
    const wide = files.flatMap((file) =>
      textOf(file)
        .split('\n')
        .map((line, at) => ({ at: `${file}:${at + 1}`, line }))
        .filter(({ line }) => line.length > columnsMax && !holdsText.test(line))
        .map(({ at }) => at),
    )
    expect(wide).toEqual([])
  })

  it(`turns ${linesMax} lines at most in a file of src`, () => {
    const long = files
      .filter((file) => file.startsWith('src/'))
      .filter((file) => textOf(file).trimEnd().split('\n').length > linesMax)
    expect(long).toEqual([])
  })
})
