// `npm run mutants`: breaks one safety rule at a time, in a copy of the project, and checks whether
// that is noticed: by the simulator, within a bounded number of seeds, or by the unit tests that
// the mutant names. The list is scripts/mutants/list.json. With `--json` the last line of standard
// output is JSON: `{ mutants, noticed, noticedBySimulator, survived: [], unjudged: [] }`. Exit code
// 1 when one survives, or when the time did not suffice to judge all of them.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { lineOf, report } from './mutants/outcome.mjs'
import { readMutants } from './mutants/patch.mjs'
import { Seeds } from './mutants/seeds.mjs'
import { Trials } from './mutants/trials.mjs'
import { Workshop } from './mutants/workshop.mjs'

const help = `npm run mutants -- [--only ID[,ID]] [--seeds N] [--seed S] [--minutes M] [--jobs J] [--no-tests] [--all-tests]
                   [--json]
  --only ID     these mutants only
  --seeds N     seeds that the simulator gets for each mutant, default 300; 0: the tests alone
  --seed S      the first of them, default 1
  --minutes M   ends after so many minutes, with what is known by then, default 90
  --jobs J      mutants at the same time, default: one for each processor
  --no-tests    the simulator alone
  --all-tests   the named tests, too, where the simulator noticed
  --json        the result as the last line
`

const text = { type: 'string' }
const flag = { type: 'boolean' }
const { values } = parseArgs({
  options: {
    only: text,
    seeds: text,
    seed: text,
    minutes: text,
    jobs: text,
    'no-tests': flag,
    'all-tests': flag,
    json: flag,
    help: flag,
  },
})

const number = (value, otherwise) => {
  const read = value === undefined ? otherwise : Number(value)
  if (!Number.isSafeInteger(read) || read < 0) throw new TypeError(`${value} is no whole number`)
  return read
}

function chosen(all) {
  if (values.only === undefined) return all
  const ids = values.only.split(',')
  const unknown = ids.find((id) => !all.some((mutant) => mutant.id === id))
  if (unknown !== undefined) throw new TypeError(`there is no mutant '${unknown}'`)
  return all.filter(({ id }) => ids.includes(id))
}

async function main() {
  if (values.help === true) return void process.stdout.write(help)
  const mutants = chosen(await readMutants())
  const jobs = Math.max(1, Math.min(number(values.jobs, availableParallelism()), mutants.length))
  const untilMs = performance.now() + number(values.minutes, 90) * 60_000
  // A copy without a mutant, of the same state as the others, so that a build meanwhile has no
  // effect.
  const sound = await Workshop.open()
  const seeds = new Seeds({
    first: number(values.seed, 1),
    count: number(values.seeds, 300),
    sound,
    untilMs,
  })
  const trials = new Trials(mutants, {
    seeds,
    sound,
    untilMs,
    tests: values['no-tests'] !== true,
    allTests: values['all-tests'] === true,
    judged: (trial, left) => process.stdout.write(`${lineOf(trial)}; ${left} left\n`),
  })
  try {
    await Promise.all(Array.from({ length: jobs }, () => trials.work()))
  } finally {
    seeds.close()
    await sound.close()
  }
  const answer = report(trials.all)
  if (values.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`)
  if (answer.survived.length + answer.unjudged.length > 0) process.exitCode = 1
}

// Removes the folders and ends the processes, however this process ends.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => process.exit(code))
}

await main()
