/**
 * Rounds of faults under write load, with real processes: after each round the cluster settles and
 * every write that was acknowledged in it is looked for, at the end all of them on all nodes.
 */
import { parseArgs } from 'node:util'
import { TestCluster } from '../support/cluster.js'
import { faults } from './faults.js'

const usage = `npm run soak -- [--rounds N] [--minutes M] [--nodes N] [--seed S] [--only FAULT,…]

  --rounds N   rounds at most, 300 by default
  --minutes M  time at most, 30 by default; the round under way is completed
  --nodes N    3 by default, at least 3
  --seed S     chooses the faults; random by default, and printed
  --only LIST  of ${Object.keys(faults).join(', ')}
`

const heartbeatMs = 100
const deadMs = 1_000
/** What a round may take beyond the time that was given. */
const graceMs = 120_000
const settleMs = 60_000

interface Summary {
  ok: boolean
  readonly seed: number
  rounds: number
  readonly faults: Record<string, number>
  ackedWrites: number
  lostAckedWrites: number
  /** Acknowledged while no standby was in sync, which the receipts said: those may be lost. */
  degradedWrites: number
  takeoverMs: { readonly median: number; readonly max: number } | undefined
  readonly problems: string[]
}

function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Soak {
  readonly summary: Summary
  readonly #cluster: TestCluster
  readonly #random: () => number
  readonly #names: readonly string[]
  readonly #takeovers: number[] = []
  /** Writes before this place were looked for already. */
  #checked = 0

  constructor(cluster: TestCluster, seed: number, names: readonly string[]) {
    this.#cluster = cluster
    this.#names = names
    this.#random = seeded(seed)
    const counts = { rounds: 0, ackedWrites: 0, lostAckedWrites: 0, degradedWrites: 0 }
    const problems: string[] = []
    this.summary = { ok: true, seed, ...counts, faults: {}, takeoverMs: undefined, problems }
  }

  async round(): Promise<void> {
    const cluster = this.#cluster
    await cluster.beginLoad({ callers: 6, restMs: 1 })
    await cluster.written(20)
    const active = await cluster.active()
    const standbys = cluster.nodes
      .filter((node) => node !== active)
      .map((node) => ({ node, rank: this.#random() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ node }) => node)
    const name = this.#names[Math.floor(this.#random() * this.#names.length)] ?? ''
    const { summary } = this
    summary.rounds += 1
    summary.faults[name] = (summary.faults[name] ?? 0) + 1
    const scene = { cluster, deadMs, active, standbys, random: this.#random }
    const fromMs = performance.now()
    await faults[name]?.({ ...scene, tookOver: (ms) => this.#takeovers.push(ms) })
    await this.#mend()
    await this.#check(name)
    const seconds = ((performance.now() - fromMs) / 1000).toFixed(1)
    const acked = `${cluster.acks.length} writes acknowledged`
    process.stdout.write(
      `${String(summary.rounds).padStart(4)} ${name.padEnd(14)} ${seconds} s, ${acked}\n`,
    )
  }

  async #mend(): Promise<void> {
    const cluster = this.#cluster
    cluster.mend()
    for (const node of cluster.nodes) node.signal('SIGCONT')
    const dead = cluster.nodes.filter((node) => !node.running)
    await Promise.all(dead.map((node) => cluster.start(node)))
    await cluster.settled(settleMs)
  }

  async #check(name: string): Promise<void> {
    const cluster = this.#cluster
    await cluster.endLoad()
    await cluster.caughtUp()
    const acks = cluster.acks.slice(this.#checked)
    this.#checked = cluster.acks.length
    for (const node of cluster.nodes) await this.#look(name, node, acks)
  }

  /** All writes ever acknowledged, on all nodes. */
  async lastCheck(): Promise<void> {
    for (const node of this.#cluster.nodes) await this.#look('end', node, this.#cluster.acks)
    this.finish()
  }

  finish(): void {
    const { summary } = this
    const { acks } = this.#cluster
    const sorted = this.#takeovers.toSorted((a, b) => a - b).map(Math.round)
    const median = sorted[Math.floor(sorted.length / 2)]
    if (median !== undefined) summary.takeoverMs = { median, max: sorted.at(-1) ?? median }
    summary.ackedWrites = acks.length
    summary.degradedWrites = acks.filter(({ degraded }) => degraded).length
    summary.ok = summary.problems.length === 0
  }

  async #look(
    name: string,
    node: TestCluster['nodes'][number],
    acks: TestCluster['acks'],
  ): Promise<void> {
    const safe = acks.filter(({ degraded }) => !degraded)
    const missing = await this.#cluster.missing(node, safe)
    if (missing.length === 0) return
    this.summary.lostAckedWrites += missing.length
    const what = `${missing.length} writes missing on ${node.id}, such as ${missing.slice(0, 3).join(', ')}`
    this.summary.problems.push(`round ${this.summary.rounds} (${name}): ${what}`)
  }

  /** What the nodes did last, for whoever looks into a failure. */
  async describe(): Promise<void> {
    for (const node of this.#cluster.nodes) {
      process.stderr.write(`\n${node.id}${node.running ? '' : ', not running'}\n`)
      for (const { atWallMs, name, event } of node.events.slice(-25)) {
        if (name === 'restoreProgress') continue
        process.stderr.write(
          `  ${new Date(atWallMs).toISOString()} ${name} ${JSON.stringify(event)}\n`,
        )
      }
      const status = await Promise.race([node.status(), Promise.resolve(undefined)]).catch(String)
      if (status !== undefined) process.stderr.write(`  ${JSON.stringify(status)}\n`)
    }
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '300' },
      minutes: { type: 'string', default: '30' },
      nodes: { type: 'string', default: '3' },
      seed: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const rounds = Number(values.rounds)
  const limitMs = Number(values.minutes) * 60_000
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)) || 0
  const names = values.only?.split(',') ?? Object.keys(faults)
  const known = names.every((name) => Object.hasOwn(faults, name))
  if (values.help || !known || !(rounds > 0) || !(limitMs > 0) || !(Number(values.nodes) >= 3)) {
    process.stdout.write(usage)
    return values.help
  }
  process.stdout.write(`seed ${seed}\n`)
  const cluster = await TestCluster.running({
    nodes: Number(values.nodes),
    proxied: true,
    heartbeatMs,
    deadMs,
  })
  const soak = new Soak(cluster, seed, names)
  const late = setTimeout(() => {
    process.stderr.write('a round did not end in time\n')
    process.exit(1)
  }, limitMs + graceMs)
  const endMs = performance.now() + limitMs
  try {
    while (soak.summary.rounds < rounds && performance.now() < endMs) await soak.round()
    await soak.lastCheck()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    soak.summary.problems.push(`round ${soak.summary.rounds}: ${reason}`)
    soak.finish()
  }
  if (!soak.summary.ok) await soak.describe()
  await cluster.end()
  clearTimeout(late)
  process.stdout.write(`${JSON.stringify(soak.summary)}\n`)
  return soak.summary.ok
}

// A connection of a proxy that lingers holds up nobody.
process.exit((await main()) ? 0 : 1)
