/**
 * `npm run sim -- --seed S` replays one run; `--seeds N [--seed S]` runs S … S+N-1. The last line but one says what
 * happened how often, the last line of standard output is JSON: `{ ok, seeds, firstSeed, violations: [{ seed, checker, message }] }`. Exit code 1 when a promise was broken.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ProfileName } from './faults.js'
import { profileNames } from './faults.js'
import type { SimulationOptions } from './run.js'
import { simulate } from './run.js'

interface Found {
  readonly seed: number
  readonly checker: string
  readonly message: string
}

/** What one process found. */
interface Findings {
  readonly found: Found[]
  /** Pairs of a kind of thing and how often it happened. */
  readonly counts: [string, number][]
}

interface Task {
  readonly first: number
  readonly count: number
  /** Every how many seeds one is run: tasks of several processes interleave. */
  readonly step: number
  readonly nodes: number | undefined
  readonly profile: ProfileName | undefined
  readonly verbose: boolean
}

const help = `npm run sim -- [--seed S] [--seeds N] [--nodes 2..5] [--profile NAME] [--jobs J] [--verbose]
  --seed S      the first seed, default 1
  --seeds N     how many, default 1
  --nodes N     members of the cluster; default: the seed decides
  --profile P   ${profileNames.join(', ')}; default: the seed decides
  --jobs J      processes, default 1
  --verbose     prints what happens
`

function wholeNumber(text: string | undefined, name: string, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) throw new TypeError(`--${name} is ${text}`)
  return value
}

function taskOf(): { task: Task; jobs: number } | undefined {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: {
      seed: text,
      seeds: text,
      nodes: text,
      profile: text,
      jobs: text,
      step: text,
      verbose: flag,
      help: flag,
    },
  })
  if (values.help === true) return undefined
  const profile = profileNames.find((name) => name === values.profile)
  if (values.profile !== undefined && profile === undefined)
    throw new TypeError(`--profile is ${values.profile}`)
  return {
    task: {
      first: wholeNumber(values.seed, 'seed', 0) ?? 1,
      count: wholeNumber(values.seeds, 'seeds', 1) ?? 1,
      step: wholeNumber(values.step, 'step', 1) ?? 1,
      nodes: wholeNumber(values.nodes, 'nodes', 1),
      profile,
      verbose: values.verbose === true,
    },
    jobs: wholeNumber(values.jobs, 'jobs', 1) ?? 1,
  }
}

async function runSeeds(task: Task): Promise<Findings> {
  const { first, count, step, nodes, profile, verbose } = task
  const options: SimulationOptions = {
    ...(nodes === undefined ? {} : { nodes }),
    ...(profile === undefined ? {} : { profile }),
    ...(verbose ? { verbose: (line: string) => process.stdout.write(`${line}\n`) } : {}),
  }
  const found: Found[] = []
  const counts = new Map<string, number>()
  for (let at = 0; at < count; at += 1) {
    const seed = first + at * step
    const beganMs = performance.now()
    const result = await simulate(seed, options)
    const tookMs = Math.round(performance.now() - beganMs)
    addCounts(counts, result.counts)
    const failed = result.violations.length > 0
    if (failed || verbose || count <= 10) {
      const { profile: name, nodes: size, hash, virtualMs, events, writes, acknowledged } = result
      const facts = `${name} ${size} nodes, ${Math.round(virtualMs / 1000)} s, ${events} events, `
      const counts = `${writes} writes, ${acknowledged} acknowledged, ${tookMs} ms, hash ${hash}`
      process.stdout.write(`seed ${seed}: ${failed ? 'FAILED' : 'ok'} ${facts}${counts}\n`)
    }
    for (const { checker, message } of result.violations) {
      process.stdout.write(`  ${checker}: ${message}\n`)
      found.push({ seed, checker, message })
    }
  }
  return { found, counts: [...counts] }
}

function addCounts(sums: Map<string, number>, counts: Iterable<[string, number]>): void {
  for (const [kind, count] of counts) sums.set(kind, (sums.get(kind) ?? 0) + count)
}

/** Shares the seeds among child processes. */
async function runJobs(task: Task, jobs: number): Promise<Findings> {
  const runs = Array.from({ length: jobs }, (_, job) => {
    const count = Math.ceil((task.count - job) / jobs)
    return count <= 0 ? [] : [runChild({ ...task, first: task.first + job, count, step: jobs })]
  }).flat()
  const all = await Promise.all(runs)
  const found = all.flatMap((each) => each.found).sort((left, right) => left.seed - right.seed)
  const counts = new Map<string, number>()
  for (const each of all) addCounts(counts, each.counts)
  return { found, counts: [...counts] }
}

function runChild({ first, count, step, nodes, profile }: Task): Promise<Findings> {
  const argv = ['--seed', String(first), '--seeds', String(count), '--step', String(step)]
  if (nodes !== undefined) argv.push('--nodes', String(nodes))
  if (profile !== undefined) argv.push('--profile', profile)
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), argv, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // What is thrown away young is collected more cheaply from a larger space.
      execArgv: ['--max-semi-space-size=64'],
    })
    let findings: Findings | undefined
    child.on('message', (message) => {
      findings = message as Findings
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (findings === undefined)
        reject(new Error(`the process for seed ${first} ended with ${code}`))
      else resolve(findings)
    })
  })
}

async function main(): Promise<void> {
  const asked = taskOf()
  if (asked === undefined) return void process.stdout.write(help)
  const { task, jobs } = asked
  if (process.send !== undefined) {
    process.send(await runSeeds(task), () => process.disconnect())
    return
  }
  const { found: violations, counts } = await (jobs > 1 ? runJobs(task, jobs) : runSeeds(task))
  const sorted = counts.sort(([left], [right]) => (left < right ? -1 : 1))
  process.stdout.write(`${sorted.map(([kind, count]) => `${kind} ${count}`).join(', ')}\n`)
  const ok = violations.length === 0
  const answer = { ok, seeds: task.count, firstSeed: task.first, violations }
  process.exitCode = ok ? 0 : 1
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

await main()
