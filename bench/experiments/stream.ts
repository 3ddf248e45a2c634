import { join } from 'node:path'
import { redisServer, startRedisPair } from '../peers/redis.js'
import { type Pair, startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import type { LoadJob } from '../support/load-process.js'
import { Remote } from '../support/remote.js'
import { alternate, type Contestant, findings, ratio, reaches } from '../support/rounds.js'

export const stream: Experiment = {
  name: 'stream',
  goal: 'P8',
  title: 'a stream of updates until the standby has applied the last one',
  target: '>= 1 x Redis for 100 B, >= 1.3 x for 1 KiB',
  run,
}

async function run(context: BenchContext): Promise<Findings> {
  const factor = context.quick ? 0.1 : 1
  const small = { count: 600_000 * factor, bytes: 100 }
  const big = { count: 200_000 * factor, bytes: 1024 }
  const pair = await startPair(join(context.root, 'stream'))
  const contestants: Contestant[] = [
    {
      name: 'hotspare',
      run: async () => ({
        small100PerSecond: await rateOf(pair, small.count, small.bytes),
        big1024PerSecond: await rateOf(pair, big.count, big.bytes),
      }),
    },
  ]
  const notes: string[] = []
  const client = new Remote<LoadJob>('./load-process.ts')
  const redis = redisServer() === undefined ? undefined : await startRedisPair(context.root, 'none')
  if (redis === undefined) notes.push('redis-server is not installed')
  else {
    const port = redis.primaryPort
    const rate = async (count: number, bytes: number): Promise<number> =>
      count / (await client.ask<number>({ kind: 'redisStream', port, count, bytes }))
    contestants.push({
      name: 'redis',
      run: async () => ({
        small100PerSecond: await rate(small.count, small.bytes),
        big1024PerSecond: await rate(big.count, big.bytes),
      }),
    })
    notes.push('Redis gets SETs encoded beforehand, 64 KiB to a write, without replies')
  }
  const rounds = await alternate(context, contestants, { warmUp: true })
  await Promise.all([pair.stop(), redis?.stop(), client.end()])
  const versus = (measure: string): number | undefined =>
    ratio(rounds, ['hotspare', measure], ['redis', measure])
  const ratios = { redis: versus('small100PerSecond'), redis1KiB: versus('big1024PerSecond') }
  const met = reaches([
    [ratios.redis, 1],
    [ratios.redis1KiB, 1.3],
  ])
  return findings(rounds, { ratios, met, notes })
}

/** Updates a second, from the first call on the active until the standby applied the last one. */
async function rateOf(pair: Pair, count: number, bytes: number): Promise<number> {
  await pair.beta.ask({ kind: 'mark' })
  const applied = pair.beta.ask<number>({ kind: 'applied', count })
  const startMs = await pair.alpha.ask<number>({
    kind: 'stream',
    className: 'memory',
    count,
    bytes,
  })
  return (count / ((await applied) - startMs)) * 1000
}
