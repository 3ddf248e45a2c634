import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeJob, NodePlan, Started } from './node-job.js'
import { freePorts } from './processes.js'
import { Remote } from './remote.js'

/** A node in a process of its own. */
export class BenchNode {
  readonly plan: NodePlan
  readonly #remote: Remote<NodeJob> = new Remote<NodeJob>('./node-process.ts')

  private constructor(plan: NodePlan) {
    this.plan = plan
  }

  /** Starts the process and loads the library, but not the node. */
  static async prepare(plan: NodePlan): Promise<BenchNode> {
    mkdirSync(plan.directory, { recursive: true })
    const node = new BenchNode(plan)
    await node.ask({ kind: 'prepare', plan })
    return node
  }

  ask<Value = void>(job: NodeJob): Promise<Value> {
    return this.#remote.ask<Value>(job)
  }

  start(adopt: boolean = false): Promise<Started> {
    return this.ask<Started>({ kind: 'start', adopt })
  }

  signal(signal: NodeJS.Signals): void {
    this.#remote.signal(signal)
  }

  kill(): Promise<void> {
    return this.#remote.kill()
  }

  /** Stops the node in order, then its process. */
  async stop(): Promise<void> {
    await this.ask({ kind: 'stop' })
    await this.#remote.end()
  }
}

/** Two nodes that know each other. */
export interface Pair {
  readonly alpha: BenchNode
  readonly beta: BenchNode
  stop(): Promise<void>
}

/** The plans of two nodes below a folder; `alpha` comes first in takeover order. */
export async function planPair(
  folder: string,
  more: { readonly startupWaitMs?: number } = {},
): Promise<readonly [NodePlan, NodePlan]> {
  const [first = 0, second = 0] = await freePorts(2)
  const members = [
    { id: 'alpha', address: `127.0.0.1:${first}` },
    { id: 'beta', address: `127.0.0.1:${second}` },
  ]
  const plan = (id: string): NodePlan => ({ id, members, directory: join(folder, id), ...more })
  return [plan('alpha'), plan('beta')]
}

/** Starts an empty pair and waits until `alpha` is active and `beta` is in sync. */
export async function startPair(folder: string): Promise<Pair> {
  const [first, second] = await planPair(folder)
  const [alpha, beta] = await Promise.all([BenchNode.prepare(first), BenchNode.prepare(second)])
  await Promise.all([alpha.start(), beta.start()])
  await alpha.ask({ kind: 'role', role: 'active' })
  await beta.ask({ kind: 'role', role: 'standby' })
  await alpha.ask({ kind: 'inSync', members: 1 })
  const stop = async (): Promise<void> => {
    // The standby first: otherwise it would take over for a moment.
    await beta.stop()
    await alpha.stop()
  }
  return { alpha, beta, stop }
}
