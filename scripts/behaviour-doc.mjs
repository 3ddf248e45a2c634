// Writes docs/behaviour.md: each behaviour with the tests whose titles carry its id.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Files with tests, and the ids in the titles of each. */
export function idsByFile() {
  const files = readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => join('test', String(path)).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.ts') || path.endsWith('.txt'))
    .sort()
  const found = new Map()
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8')
    // A title is a string that begins with ids: `ROL-1: …` or `ROL-1, ROL-2: …`; a script says it
    // in its first line.
    const titles = text.matchAll(
      /(?:['"`]|^# )((?:[A-Z]{3,4}-\d+)(?:(?:, | and |\/)[A-Z]{3,4}-\d+)*):/gm,
    )
    const ids = new Set([...titles].flatMap((match) => match[1].match(/[A-Z]{3,4}-\d+/g)))
    if (ids.size > 0) found.set(file, ids)
  }
  return found
}

/** The document as it should be. */
export function behaviourDocument() {
  const groups = JSON.parse(readFileSync(join(root, 'scripts/behaviours.json'), 'utf8'))
  const files = idsByFile()
  const lines = [
    '# Behaviour',
    '',
    'What a cluster does, each with the tests that show it. The ids stand in the titles of the tests, so',
    "`npm test -- -t 'ROL-6'` runs those of one behaviour. This page is written by `node scripts/behaviour-doc.mjs`.",
  ]
  for (const [group, behaviours] of Object.entries(groups)) {
    lines.push('', `## ${group}`, '', '| id | behaviour | shown by |', '| --- | --- | --- |')
    for (const [id, text] of Object.entries(behaviours)) {
      const shown = [...files]
        .filter(([, ids]) => ids.has(id))
        .map(([file]) => `[${file.slice(5)}](../${file})`)
      lines.push(`| ${id} | ${text} | ${shown.join(', ') || '**nothing**'} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, 'docs/behaviour.md'), behaviourDocument())
}
