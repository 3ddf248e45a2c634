import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BenchNode, startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import { alternate, type Contestant, findings, medianOf } from '../support/rounds.js'

export const idle: Experiment = {
  name: 'idle',
  goal: 'P14',
  title: 'the processor time of a pair that has nothing to do, with the defaults',
  target: '< 1 % of a core for both nodes together',
  run,
}

async function run(context: BenchContext): Promise<Findings> {
  const pair = await startPair(join(context.root, 'idle'))
  const usedMs = (node: BenchNode): Promise<number> => node.ask<number>({ kind: 'processor' })
  const contestant: Contestant = {
    name: 'hotspare',
    run: async () => {
      const startMs = performance.now()
      const before = await Promise.all([usedMs(pair.alpha), usedMs(pair.beta)])
      await sleep(context.quick ? 3000 : 10_000)
      const after = await Promise.all([usedMs(pair.alpha), usedMs(pair.beta)])
      const takenMs = performance.now() - startMs
      const activePercent = ((after[0] - before[0]) / takenMs) * 100
      const standbyPercent = ((after[1] - before[1]) / takenMs) * 100
      return { pairPercent: activePercent + standbyPercent, activePercent, standbyPercent }
    },
  }
  // The warm-up also lets work that the start caused finish.
  const rounds = await alternate(context, [contestant], { warmUp: true })
  await pair.stop()
  const percent = medianOf(rounds, 'hotspare', 'pairPercent') ?? Number.NaN
  return findings(rounds, { ratios: {}, met: percent < 1, notes: [] })
}
