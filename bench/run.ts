import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { experiments } from './experiments/index.js'
import type { BenchContext, Experiment, Findings } from './support/experiment.js'
import { describeMachine } from './support/machine.js'
import { printable } from './support/table.js'

const usage = `npm run bench -- NAME [--json] [--rounds N] [--quick]
npm run bench -- all

  --json      one JSON object per experiment, alone on its line, the last one last
  --rounds N  measured rounds, 5 by default; every contestant runs once a round
  --quick     smaller data, 2 rounds: to see that it works, not to judge
  --keep      leave the data where it is

Data goes below $TMPDIR, traffic to the loopback. After thousands of files were removed some file
systems create new ones several times more slowly, for minutes, so let a run of join-small,
join-mixed or files not follow another at once, or keep the data and remove it later. With
HOTSPARE_BENCH_PROFILE=DIR the nodes write processor profiles there. Names:
${experiments.map(({ name, title }) => `  ${name.padEnd(14)} ${title}`).join('\n')}`

/** The time after which a run is aborted. */
const hardLimitMs = 8 * 60_000

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const name = positionals[0]
  const chosen = experiments.filter((one) => name === 'all' || one.name === name)
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5))
  if (values.help || positionals.length !== 1 || chosen.length === 0 || !(rounds >= 1)) {
    process.stderr.write(`${usage}\n`)
    process.exitCode = values.help ? 0 : 2
    return
  }
  const root = mkdtempSync(join(tmpdir(), 'hotspare-bench-'))
  process.once('exit', () => {
    if (values.keep) process.stderr.write(`the data stays in ${root}\n`)
    else rmSync(root, { recursive: true, force: true })
  })
  // Servers that run as another user must reach their own directories below.
  chmodSync(root, 0o755)
  process.stdout.write(`${describeMachine()}\n\n`)
  for (const experiment of chosen) {
    const budgetMs = values.quick ? 20_000 : 140_000
    const log = (line: string): void => {
      process.stderr.write(`${experiment.name}: ${line}\n`)
    }
    const found = await bounded(experiment, { rounds, quick: values.quick, budgetMs, root, log })
    process.stdout.write(`${printable(experiment, found)}\n`)
    if (values.json) process.stdout.write(`${JSON.stringify(asJson(experiment, found))}\n`)
  }
}

async function bounded(experiment: Experiment, context: BenchContext): Promise<Findings> {
  const abort = new AbortController()
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${experiment.name} did not end within ${hardLimitMs / 60_000} minutes`))
    }, hardLimitMs)
    abort.signal.addEventListener('abort', () => clearTimeout(timer))
  })
  try {
    return await Promise.race([experiment.run(context), late])
  } finally {
    abort.abort()
  }
}

function asJson(experiment: Experiment, found: Findings): Readonly<Record<string, unknown>> {
  return {
    bench: experiment.name,
    goal: experiment.goal,
    rounds: found.rounds,
    ratios: found.ratios,
    values: found.values,
    met: found.met,
  }
}

process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
await main()
process.exit()
