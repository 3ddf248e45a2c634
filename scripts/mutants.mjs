// `npm run mutants`: breaks one safety rule at a time, in a copy of the project, and looks who notices: first the
// simulator, within a bounded number of seeds, then the unit tests that the mutant names. The list is
// scripts/mutants/list.json. The last line of standard output is JSON with `--json`:
// `{ mutants, noticed, noticedBySimulator, survived: [] }`. Exit code 1 when one survives.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { readMutants } from './mutants/patch.mjs'
import { Seeds } from './mutants/seeds.mjs'
import { failingTests } from './mutants/unit-tests.mjs'
import { Workshop } from './mutants/workshop.mjs'

const help = `npm run mutants -- [--only ID[,ID]] [--seeds N] [--seed S] [--jobs J] [--no-tests] [--all-tests] [--json]
  --only ID     these mutants only
  --seeds N     seeds that the simulator gets for each mutant, default 300
  --seed S      the first of them, default 1
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

/** Breaks one rule and looks who notices. */
async function judge(mutant, workshop, options) {
  const beganMs = performance.now()
  await workshop.apply(mutant)
  try {
    const simulator = await options.seeds.firstNoticed(workshop, mutant)
    const wantsTests = options.tests && (options.allTests || simulator === undefined)
    const tests = wantsTests
      ? await failingTests(workshop, mutant.tests ?? [], options.sound)
      : undefined
    const seconds = Math.round((performance.now() - beganMs) / 1000)
    return { mutant, simulator, tests, seconds }
  } finally {
    await workshop.restore()
  }
}

const isNoticed = ({ simulator, tests }) => simulator !== undefined || tests !== undefined

function lineOf({ mutant, simulator, tests, seconds }) {
  const bySeed =
    simulator === undefined
      ? 'not noticed by the simulator'
      : `simulator: ${simulator.tried} seeds, ${simulator.profile ?? 'any'} ${simulator.seed}, ${simulator.checker}`
  const byTests = tests === undefined ? '' : `; tests: ${tests}`
  const verdict = simulator === undefined && tests === undefined ? 'SURVIVED ' : ''
  return `${verdict}${mutant.id}: ${bySeed}${byTests} (${seconds} s)`
}

async function main() {
  if (values.help === true) return void process.stdout.write(help)
  const mutants = chosen(await readMutants())
  const jobs = Math.max(1, Math.min(number(values.jobs, availableParallelism()), mutants.length))
  // Without any mutant, and of the same state as the others, whatever is built meanwhile.
  const sound = await Workshop.open()
  const options = {
    sound,
    seeds: new Seeds(number(values.seed, 1), number(values.seeds, 300), sound),
    tests: values['no-tests'] !== true,
    allTests: values['all-tests'] === true,
  }
  const results = []
  const left = [...mutants]
  const work = async () => {
    const workshop = await Workshop.open()
    try {
      for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
        const result = await judge(mutant, workshop, options)
        results.push(result)
        process.stdout.write(`[${results.length}/${mutants.length}] ${lineOf(result)}\n`)
      }
    } finally {
      await workshop.close()
    }
  }
  try {
    await Promise.all(Array.from({ length: jobs }, work))
  } finally {
    options.seeds.close()
    await sound.close()
  }
  report(mutants, results)
}

function report(mutants, results) {
  results.sort((left, right) => mutants.indexOf(left.mutant) - mutants.indexOf(right.mutant))
  process.stdout.write('\n')
  for (const result of results) {
    const { simulator, mutant } = result
    const seeds = simulator === undefined ? '-' : String(simulator.tried)
    const verdict = isNoticed(result) ? '' : '  SURVIVED'
    process.stdout.write(`${seeds.padStart(5)}  ${mutant.id.padEnd(36)} ${mutant.rule}${verdict}\n`)
  }
  const survived = results.filter((result) => !isNoticed(result)).map(({ mutant }) => mutant.id)
  const bySimulator = results.filter(({ simulator }) => simulator !== undefined).length
  process.stdout.write(
    `${results.length} mutants, ${results.length - survived.length} noticed, ${bySimulator} by the simulator\n`,
  )
  if (values.json === true) {
    const answer = {
      mutants: results.length,
      noticed: results.length - survived.length,
      noticedBySimulator: bySimulator,
      survived,
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  if (survived.length > 0) process.exitCode = 1
}

await main()
