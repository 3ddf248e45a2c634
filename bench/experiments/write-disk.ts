import { join } from 'node:path'
import { etcdServer, startEtcd } from '../peers/etcd.js'
import { postgresPrograms, startPostgres } from '../peers/postgres.js'
import { redisServer, startRedisPair } from '../peers/redis.js'
import { startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import { asSample, type Load, type LoadResult } from '../support/load.js'
import type { LoadJob } from '../support/load-process.js'
import { Remote } from '../support/remote.js'
import { alternate, type Contestant, findings, ratio, reaches } from '../support/rounds.js'

export const writeDisk: Experiment = {
  name: 'write-disk',
  goal: 'P6',
  title: 'replicated writes of 100 B, 64 callers, on disk on both sides',
  target: '>= 3 x Redis AOF always + WAIT 1, >= 8 x PostgreSQL, >= 25 x etcd',
  run,
}

async function run(context: BenchContext): Promise<Findings> {
  const load: Load = { callers: 64, seconds: context.quick ? 1 : 3, bytes: 100 }
  const pair = await startPair(join(context.root, 'write-disk'))
  const client = new Remote<LoadJob>('./load-process.ts')
  const stops: (() => Promise<void>)[] = [() => pair.stop(), () => client.end()]
  const notes: string[] = []
  const contestants: Contestant[] = [
    {
      name: 'hotspare',
      run: async () =>
        asSample(await pair.alpha.ask<LoadResult>({ kind: 'load', className: 'disk', load })),
    },
  ]
  const byClient = (name: string, job: LoadJob): Contestant => ({
    name,
    run: async () => asSample(await client.ask<LoadResult>(job)),
  })
  if (redisServer() === undefined) notes.push('redis-server is not installed')
  else {
    const redis = await startRedisPair(context.root, 'always')
    stops.push(() => redis.stop())
    contestants.push(byClient('redis', { kind: 'redis', port: redis.primaryPort, load }))
  }
  if (postgresPrograms() === undefined) notes.push('PostgreSQL is not installed')
  else {
    const postgres = await startPostgres(context.root)
    stops.push(() => postgres.stop())
    // Fewer clients suit it better than 64, so it gets them.
    contestants.push({
      name: 'postgres',
      run: async () => ({ ...(await postgres.load(16, load.seconds)) }),
    })
    notes.push('PostgreSQL is driven by pgbench with 16 clients, prepared inserts')
  }
  if (etcdServer() === undefined) notes.push('etcd is not installed')
  else {
    const etcd = await startEtcd(context.root)
    stops.push(() => etcd.stop())
    contestants.push(byClient('etcd', { kind: 'etcd', port: etcd.leaderPort, load }))
    notes.push('etcd is driven over gRPC, 64 streams of one connection to the leader')
  }
  const rounds = await alternate(context, contestants, { warmUp: true })
  await Promise.all(stops.map((stop) => stop()))
  const versus = (peer: string): number | undefined =>
    ratio(rounds, ['hotspare', 'writesPerSecond'], [peer, 'writesPerSecond'])
  const ratios = { redis: versus('redis'), postgres: versus('postgres'), etcd: versus('etcd') }
  const met = reaches([
    [ratios.redis, 3],
    [ratios.postgres, 8],
    [ratios.etcd, 25],
  ])
  return findings(rounds, { ratios, met, notes })
}
