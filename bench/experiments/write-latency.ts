import { join } from 'node:path'
import { postgresPrograms, startPostgres } from '../peers/postgres.js'
import { type RedisPersistence, redisServer, startRedisPair } from '../peers/redis.js'
import { startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import type { Load, LoadResult } from '../support/load.js'
import type { LoadJob } from '../support/load-process.js'
import type { StateClass } from '../support/node-job.js'
import { Remote } from '../support/remote.js'
import {
  alternate,
  type Contestant,
  findings,
  ratio,
  reaches,
  type Sample,
} from '../support/rounds.js'

export const writeLatency: Experiment = {
  name: 'write-latency',
  goal: 'P7',
  title: 'one caller, in memory and on disk on both sides',
  target: 'on disk p50 <= PostgreSQL (1 x), in memory p50 <= 2 x Redis + WAIT 1 (0.5 x)',
  run,
}

async function run(context: BenchContext): Promise<Findings> {
  const load: Load = { callers: 1, seconds: context.quick ? 0.6 : 2, bytes: 100 }
  const pair = await startPair(join(context.root, 'write-latency'))
  const client = new Remote<LoadJob>('./load-process.ts')
  const stops: (() => Promise<void>)[] = [() => pair.stop(), () => client.end()]
  const notes: string[] = []
  const own = (className: StateClass): Contestant => ({
    name: `hotspare-${className}`,
    run: async () => latencies(await pair.alpha.ask<LoadResult>({ kind: 'load', className, load })),
  })
  const contestants: Contestant[] = [own('memory'), own('disk')]
  const addRedis = async (name: string, persistence: RedisPersistence): Promise<void> => {
    const redis = await startRedisPair(context.root, persistence)
    stops.push(() => redis.stop())
    const job: LoadJob = { kind: 'redis', port: redis.primaryPort, load }
    contestants.push({ name, run: async () => latencies(await client.ask<LoadResult>(job)) })
  }
  if (redisServer() === undefined) notes.push('redis-server is not installed')
  else {
    await addRedis('redis', 'none')
    await addRedis('redis-aof', 'always')
  }
  if (postgresPrograms() === undefined) notes.push('PostgreSQL is not installed')
  else {
    const postgres = await startPostgres(context.root)
    stops.push(() => postgres.stop())
    contestants.push({
      name: 'postgres',
      run: async () => {
        const { p50Micros, p99Micros } = await postgres.load(1, Math.ceil(load.seconds))
        return { p50Micros, p99Micros }
      },
    })
  }
  const rounds = await alternate(context, contestants, { warmUp: true })
  await Promise.all(stops.map((stop) => stop()))
  const versus = (peer: string, className: StateClass): number | undefined =>
    ratio(rounds, [peer, 'p50Micros'], [`hotspare-${className}`, 'p50Micros'])
  const ratios = {
    redis: versus('redis', 'memory'),
    postgres: versus('postgres', 'disk'),
    redisAof: versus('redis-aof', 'disk'),
  }
  const met = reaches([
    [ratios.redis, 0.5],
    [ratios.postgres, 1],
  ])
  return findings(rounds, { ratios, met, notes })
}

function latencies({ p50Micros, p99Micros }: LoadResult): Sample {
  return { p50Micros, p99Micros }
}
