import { join } from 'node:path'
import { sentinelFailover, sentinelInstalled } from '../peers/sentinel.js'
import { startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import { machineMs } from '../support/node-job.js'
import { alternate, type Contestant, findings, medianOf, ratio } from '../support/rounds.js'

export const failover: Experiment = {
  name: 'failover',
  goal: 'P9',
  title: 'the active is gone until the next one acknowledges a write, with the defaults',
  target: 'SIGKILL <= 50 ms and <= 0.05 x Sentinel; SIGSTOP <= deadMs + 2 heartbeats (2 400 ms)',
  run,
}

const killGoalMs = 50
const sentinelGoal = 20
const silentGoalMs = 2400

async function run(context: BenchContext): Promise<Findings> {
  const lose = (name: string, signal: NodeJS.Signals): Contestant => ({
    name,
    run: async (round) => {
      const pair = await startPair(join(context.root, 'failover', `${name}${round}`))
      // A short load first, because an idle pair without data would fail over faster.
      const load = { callers: 16, seconds: 0.2, bytes: 100 }
      await pair.alpha.ask({ kind: 'load', className: 'disk', load })
      const written = pair.beta.ask<number>({ kind: 'firstWrite', className: 'disk' })
      const lostMs = machineMs()
      pair.alpha.signal(signal)
      const failoverMs = (await written) - lostMs
      await Promise.all([pair.alpha.kill(), pair.beta.kill()])
      return { failoverMs }
    },
  })
  const contestants = [lose('hotspare', 'SIGKILL'), lose('hotspare-silent', 'SIGSTOP')]
  const notes: string[] = []
  if (!sentinelInstalled()) notes.push('redis-sentinel is not installed')
  else {
    contestants.push({
      name: 'sentinel',
      run: async () => ({ failoverMs: await sentinelFailover(context.root) }),
    })
  }
  const rounds = await alternate(context, contestants, { warmUp: false })
  const versus = ratio(rounds, ['sentinel', 'failoverMs'], ['hotspare', 'failoverMs'])
  const killedMs = medianOf(rounds, 'hotspare', 'failoverMs') ?? Number.NaN
  const silentMs = medianOf(rounds, 'hotspare-silent', 'failoverMs') ?? Number.NaN
  const own = killedMs <= killGoalMs && silentMs <= silentGoalMs
  const met = versus === undefined ? (own ? null : false) : own && versus >= sentinelGoal
  return findings(rounds, { ratios: { sentinel: versus }, met, notes })
}
