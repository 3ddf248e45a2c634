import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BenchNode, startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import { machineMs, type Written } from '../support/node-job.js'
import { alternate, type Contestant, findings } from '../support/rounds.js'
import { median, quantile } from '../support/statistics.js'

export const switchover: Experiment = {
  name: 'switchover',
  goal: 'P10',
  title: 'planned handovers under the load of 64 callers',
  target: 'no failed write, write pause p99 < 50 ms',
  run,
}

const pauseGoalMs = 50

async function run(context: BenchContext): Promise<Findings> {
  const handovers = context.quick ? 4 : 10
  const pair = await startPair(join(context.root, 'switchover'))
  const nodes: [BenchNode, BenchNode] = [pair.alpha, pair.beta]
  const pauses: number[] = []
  const failures: string[] = []
  const contestant: Contestant = {
    name: 'hotspare',
    run: async (round) => {
      const load = { callers: 64, seconds: 0, bytes: 100 }
      for (const node of nodes) await node.ask({ kind: 'beginWrites', className: 'disk', load })
      const moments: [number, number][] = []
      for (let count = 0; count < handovers; count += 1) {
        await sleep(300)
        const [from, to] = nodes
        const startMs = machineMs()
        await from.ask({ kind: 'switchover', to: to.plan.id })
        await to.ask({ kind: 'inSync', members: 1 })
        moments.push([startMs, machineMs()])
        nodes.reverse()
      }
      await sleep(300)
      const written = await Promise.all(
        nodes.map((node) => node.ask<Written>({ kind: 'endWrites' })),
      )
      const found = moments.map(([startMs, endMs]) => longestGap(written, startMs - 50, endMs + 50))
      if (round >= 0) pauses.push(...found)
      const failed = written.flatMap((one) => one.failures)
      failures.push(...failed)
      return {
        pauseMs: median(found),
        worstPauseMs: Math.max(...found),
        worstWriteMs: Math.max(...written.map(({ worstMs }) => worstMs)),
        writes: written.reduce((sum, one) => sum + one.acknowledged, 0),
        failedWrites: failed.length,
      }
    },
  }
  const rounds = await alternate(context, [contestant], { warmUp: true })
  await pair.stop()
  const sorted = [...pauses].sort((a, b) => a - b)
  const pauseP99Ms = quantile(sorted, 0.99)
  const notes = [...new Set(failures)].map((code) => `a write failed with ${code}`)
  return findings(rounds, {
    ratios: {},
    met: failures.length === 0 && pauseP99Ms < pauseGoalMs,
    notes: [...notes, `pauses of ${sorted.length} handovers, p99 ${pauseP99Ms.toFixed(1)} ms`],
    values: { pauseP99Ms, handovers: sorted.length },
  })
}

/** The longest time within these bounds in which no node acknowledged anything. */
function longestGap(written: readonly Written[], fromMs: number, toMs: number): number {
  const busy = written.flatMap((one) => one.busy).sort((a, b) => a[0] - b[0])
  let longest = 0
  let reachedMs = fromMs
  for (const [startMs, endMs] of busy) {
    if (endMs < fromMs || startMs > toMs) continue
    longest = Math.max(longest, startMs - reachedMs)
    reachedMs = Math.max(reachedMs, endMs)
  }
  return Math.max(longest, toMs - reachedMs)
}
