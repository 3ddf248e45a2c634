/**
 * `npm run sim -- --seed S` replays one run; `--seeds N [--seed S]` runs S … S+N-1. The last line
 * but one counts what happened; the last line of standard output is JSON: `{ ok, seeds, firstSeed,
 * violations: [{ seed, checker, message }] }`. The exit code is 1 when a promise was broken.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
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

/** The result of one seed. */
interface Findings {
  readonly seed: number
  /** Text for people; may be empty. */
  readonly text: string
  readonly found: readonly Found[]
  /** Pairs of a kind of event and its count. */
  readonly counts: readonly [string, number][]
}

interface Task {
  readonly first: number
  readonly count: number
  readonly nodes: number | undefined
  readonly profile: ProfileName | undefined
  readonly verbose: boolean
}

/** Seeds that a worker gets at a time. */
const stretchSeeds = 5
/** Each worker process must have at least this many seeds. */
const workerSeedsMin = 10

const help = `npm run sim -- [--seed S] [--seeds N] [--nodes 2..5] [--profile NAME] [--workers W] [--verbose]
  --seed S      the first seed, default 1
  --seeds N     how many, default 1
  --nodes N     members of the cluster; default: the seed decides
  --profile P   ${profileNames.join(', ')}; default: the seed decides
  --workers W   processes, default: one for each processor, and one for few seeds
  --verbose     prints what happens; in one process
`

function wholeNumber(text: string | undefined, name: string, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) throw new TypeError(`--${name} is ${text}`)
  return value
}

function taskOf(): { task: Task; workers: number } | undefined {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: {
      seed: text,
      seeds: text,
      nodes: text,
      profile: text,
      workers: text,
      verbose: flag,
      help: flag,
    },
  })
  if (values.help === true) return undefined
  const profile = profileNames.find((name) => name === values.profile)
  if (values.profile !== undefined && profile === undefined)
    throw new TypeError(`--profile is ${values.profile}`)
  const verbose = values.verbose === true
  const count = wholeNumber(values.seeds, 'seeds', 1) ?? 1
  const wanted = wholeNumber(values.workers, 'workers', 1) ?? availableParallelism()
  return {
    task: {
      first: wholeNumber(values.seed, 'seed', 0) ?? 1,
      count,
      nodes: wholeNumber(values.nodes, 'nodes', 1),
      profile,
      verbose,
    },
    workers: verbose ? 1 : Math.min(wanted, Math.ceil(count / workerSeedsMin)),
  }
}

async function runSeed(seed: number, { count, nodes, profile, verbose }: Task): Promise<Findings> {
  const options: SimulationOptions = {
    ...(nodes === undefined ? {} : { nodes }),
    ...(profile === undefined ? {} : { profile }),
    ...(verbose ? { verbose: (line: string) => process.stdout.write(`${line}\n`) } : {}),
  }
  const beganMs = performance.now()
  const result = await simulate(seed, options)
  const tookMs = Math.round(performance.now() - beganMs)
  const { violations, profile: name, nodes: size, hash, virtualMs, events } = result
  const failed = violations.length > 0
  let text = ''
  if (failed || verbose || count <= 10) {
    const facts = `${name} ${size} nodes, ${Math.round(virtualMs / 1000)} s, ${events} events, `
    const writes = `${result.writes} writes, ${result.acknowledged} acknowledged, ${tookMs} ms, hash ${hash}`
    text += `seed ${seed}: ${failed ? 'FAILED' : 'ok'} ${facts}${writes}\n`
  }
  for (const { checker, message } of violations) text += `  ${checker}: ${message}\n`
  const found = violations.map((violation) => ({ seed, ...violation }))
  return { seed, text, found, counts: [...result.counts] }
}

/** Collects the results of seeds in any order and prints them in the order of the seeds. */
class Summary {
  readonly #counts = new Map<string, number>()
  readonly #waiting = new Map<number, Findings>()
  readonly violations: Found[] = []
  #next: number

  constructor(first: number) {
    this.#next = first
  }

  take(findings: Findings): void {
    this.#waiting.set(findings.seed, findings)
    for (let next = this.#waiting.get(this.#next); next !== undefined; ) {
      this.#waiting.delete(this.#next)
      process.stdout.write(next.text)
      this.violations.push(...next.found)
      for (const [kind, count] of next.counts) {
        this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count)
      }
      this.#next += 1
      next = this.#waiting.get(this.#next)
    }
  }

  counts(): string {
    const sorted = [...this.#counts].sort(([left], [right]) => (left < right ? -1 : 1))
    return sorted.map(([kind, count]) => `${kind} ${count}`).join(', ')
  }
}

/** Distributes the seeds among child processes, a few at a time. */
async function runWorkers(task: Task, workers: number, summary: Summary): Promise<void> {
  const end = task.first + task.count
  let next = task.first
  const stretch = (): [number, number] => {
    const from = next
    next = Math.min(end, next + stretchSeeds)
    return [from, next]
  }
  await Promise.all(Array.from({ length: workers }, () => runWorker(task, stretch, summary)))
}

function runWorker(task: Task, stretch: () => [number, number], summary: Summary): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // A larger young generation makes collecting short-lived objects cheaper.
      execArgv: ['--max-semi-space-size=64'],
    })
    let [at, to] = stretch()
    const hand = (): void => {
      if (at < to) child.send({ task, from: at, to } satisfies Stretch)
      else child.disconnect()
    }
    child.on('message', (message) => {
      summary.take(message as Findings)
      at += 1
      if (at < to) return
      ;[at, to] = stretch()
      hand()
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (at < to) reject(new Error(`the process for seed ${at} ended with ${code}`))
      else resolve()
    })
    hand()
  })
}

/** The seeds that a worker runs next. */
interface Stretch {
  readonly task: Task
  readonly from: number
  readonly to: number
}

/** In a worker: runs the seeds that it is sent until the parent disconnects. */
function serve(send: (findings: Findings) => void): void {
  let work = Promise.resolve()
  process.on('message', (message) => {
    const { task, from, to } = message as Stretch
    work = work.then(async () => {
      for (let seed = from; seed < to; seed += 1) send(await runSeed(seed, task))
    })
  })
}

async function main(): Promise<void> {
  if (process.send !== undefined) return serve((findings) => void process.send?.(findings))
  const asked = taskOf()
  if (asked === undefined) return void process.stdout.write(help)
  const { task, workers } = asked
  const summary = new Summary(task.first)
  if (workers > 1) await runWorkers(task, workers, summary)
  else {
    for (let seed = task.first; seed < task.first + task.count; seed += 1) {
      summary.take(await runSeed(seed, task))
    }
  }
  const { violations } = summary
  process.stdout.write(`${summary.counts()}\n`)
  const ok = violations.length === 0
  const answer = { ok, seeds: task.count, firstSeed: task.first, violations }
  process.exitCode = ok ? 0 : 1
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

await main()
