/**
 * The main job on real input: three nodes over TCP, a real directory tree, a kill, a rejoin and a switchover, and the
 * account at the end.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { names, Story } from './story.js'
import { msText, Timeline } from './timeline.js'
import { filesBelow, installedPackages, type Tree } from './tree.js'

const usage = `npm run demo -- [--dir PATH] [--json] [--keep]

  --dir PATH  the directory tree to copy; by default some packages of node_modules
  --json      one JSON object as the last line of standard output
  --keep      leave the directories of the three nodes behind, and say where they are
`

/** Whatever hangs, the demo ends. */
const limitMs = 120_000

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
  try {
    const found = await story.tell()
    const { ok, failoverMs, switchoverPauseMs, rejoin } = found
    const times = `failover ${msText(failoverMs)}, switchover pause ${msText(switchoverPauseMs)}`
    const text = `${times}, rejoin by ${rejoin.method}`
    if (ok) timeline.good(`all is well: ${text}`)
    else timeline.bad(`something is wrong: ${text}`)
    if (values.json) process.stdout.write(`${JSON.stringify(found)}\n`)
    return ok
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    timeline.bad(reason)
    if (values.json) process.stdout.write(`${JSON.stringify({ ok: false, error: reason })}\n`)
    return false
  } finally {
    if (values.keep) timeline.say(`left behind: ${root}`)
    else await story.cleanUp()
  }
}

const late = setTimeout(() => {
  process.stderr.write(`the demo did not end within ${limitMs / 1000} s\n`)
  process.exit(1)
}, limitMs)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
clearTimeout(late)
