import { join } from 'node:path'
import { redisServer, startRedisPair } from '../peers/redis.js'
import { startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import { asSample, type Load, type LoadResult } from '../support/load.js'
import type { LoadJob } from '../support/load-process.js'
import { Remote } from '../support/remote.js'
import { alternate, type Contestant, findings, ratio, reaches } from '../support/rounds.js'

export const writeMemory: Experiment = {
  name: 'write-memory',
  goal: 'P5',
  title: 'replicated writes of 100 B, 64 callers, in memory',
  target: '>= 3 x Redis SET + WAIT 1',
  run,
}

async function run(context: BenchContext): Promise<Findings> {
  const load: Load = { callers: 64, seconds: context.quick ? 1 : 3, bytes: 100 }
  const pair = await startPair(join(context.root, 'write-memory'))
  const contestants: Contestant[] = [
    {
      name: 'hotspare',
      run: async () =>
        asSample(await pair.alpha.ask<LoadResult>({ kind: 'load', className: 'memory', load })),
    },
  ]
  const notes: string[] = []
  const client = new Remote<LoadJob>('./load-process.ts')
  const redis = redisServer() === undefined ? undefined : await startRedisPair(context.root, 'none')
  if (redis === undefined) notes.push('redis-server is not installed')
  else {
    const job: LoadJob = { kind: 'redis', port: redis.primaryPort, load }
    contestants.push({
      name: 'redis',
      run: async () => asSample(await client.ask<LoadResult>(job)),
    })
  }
  const rounds = await alternate(context, contestants, { warmUp: true })
  await Promise.all([pair.stop(), redis?.stop(), client.end()])
  const versus = ratio(rounds, ['hotspare', 'writesPerSecond'], ['redis', 'writesPerSecond'])
  return findings(rounds, { ratios: { redis: versus }, met: reaches([[versus, 3]]), notes })
}
