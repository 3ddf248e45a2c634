/**
 * The main use on real input: three nodes over TCP, a real directory tree, a kill, a rejoin and a
 * switchover, and the check at the end.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { names, Story } from './story.js'
import { msText, Timeline } from './timeline.js'
import { filesBelow, installedPackages, patienceMs, type Tree } from './tree.js'

const usage = `npm run demo -- [--dir PATH] [--json] [--keep]

  --dir PATH  the directory tree to copy; by default some packages of node_modules
  --json      one JSON object as the last line of standard output
  --limit S   the longest time in seconds, by default 120 and more for a large tree
  --keep      leave the directories of the three nodes behind, and say where they are
`

function treeOf(dir: string | undefined): Tree {
  if (dir === undefined) {
    return installedPackages(fileURLToPath(new URL('../../node_modules', import.meta.url)))
  }
  const folder = resolve(dir)
  return { name: basename(folder), folder, files: filesBelow(folder) }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      json: { type: 'boolean', default: false },
      limit: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return true
  }
  const timeline = new Timeline(process.stdout, names)
  const tree = treeOf(values.dir)
  const root = mkdtempSync(join(tmpdir(), 'hotspare-demo-'))
  const story = new Story(tree, root, timeline)
  // Ends the demo even if a step hangs.
  const limitS = Number(values.limit ?? Math.round(100 + (3 * patienceMs(tree)) / 1000))
  const late = sleep(limitS * 1000).then((): never => {
    throw new Error(`the demo did not end within ${limitS} s`)
  })
  let findings: object
  let isWell = false
  try {
    const found = await Promise.race([story.tell(), late])
    const { ok, failoverMs, switchoverPauseMs, rejoin } = found
    const times = `failover ${msText(failoverMs)}, switchover pause ${msText(switchoverPauseMs)}`
    const text = `${times}, rejoin by ${rejoin.method}`
    if (ok) timeline.good(`all is well: ${text}`)
    else timeline.bad(`something is wrong: ${text}`)
    findings = found
    isWell = ok
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    timeline.bad(reason)
    findings = { ...story.found, ok: false, error: reason }
  }
  await story.end()
  if (values.keep) timeline.say(`left behind: ${root}`)
  else await story.cleanUp()
  // The last line is for programs.
  if (values.json) process.stdout.write(`${JSON.stringify(findings)}\n`)
  return isWell
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  process.exit((await main()) ? 0 : 1)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
