// Writes the tables of docs/errors.md from the table in src/error-codes.ts (of the last build). A
// test compares the two; run this after adding a code:
// `npm run build && node scripts/errors-doc.mjs`.
import { readFile, writeFile } from 'node:fs/promises'
import { errorCodes } from '../dist/error-codes.js'

/** The column `retryable` of a code. */
const retryable = (info) => (info.retryableDepends ? 'depends' : info.retryable ? 'yes' : 'no')

const file = new URL('../docs/errors.md', import.meta.url)
const rows = Object.entries(errorCodes).map(
  ([code, info]) => `| \`${code}\` | ${retryable(info)} | ${info.summary} | ${info.whatToDo} |`,
)
const table = [
  '| code | retryable | what happened | what to do |',
  '| --- | --- | --- | --- |',
  ...rows,
].join('\n')
const text = await readFile(file, 'utf8')
const replaced = text.replace(
  /(<!-- codes -->\n)[\s\S]*?(<!-- end of codes -->)/,
  `$1${table.replaceAll('$', '$$$$')}\n$2`,
)
await writeFile(file, replaced)
