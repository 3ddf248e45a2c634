import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, freePorts, Service, until } from '../support/processes.js'
import { redisCommand } from '../support/redis-client.js'

/** A primary and its replica. */
export interface RedisPair {
  readonly primary: Service
  readonly primaryPort: number
  readonly replicaPort: number
  stop(): Promise<void>
}

/** The installed server; undefined when there is none. */
export function redisServer(): string | undefined {
  return findProgram(['redis-server'])
}

/** How a server keeps its data: not at all, or each write flushed to its append-only file. */
export type RedisPersistence = 'none' | 'always'

/** Starts a primary and a replica that has caught up. */
export async function startRedisPair(
  root: string,
  persistence: RedisPersistence,
): Promise<RedisPair> {
  const program = redisServer()
  if (program === undefined) throw new Error('redis-server is not installed')
  const [primaryPort = 0, replicaPort = 0] = await freePorts(2)
  const launch = (port: number, more: readonly string[]): Service => {
    const directory = join(root, `redis-${port}`)
    mkdirSync(directory)
    const append = persistence === 'always' ? 'yes' : 'no'
    return new Service(program, [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
      ...['--appendonly', append, '--appendfsync', 'always', '--auto-aof-rewrite-percentage', '0'],
      ...['--repl-diskless-sync-delay', '0', '--repl-backlog-size', '64mb'],
      ...more,
    ])
  }
  const primary = launch(primaryPort, [])
  await until('the Redis primary', () => answers(primaryPort))
  const replica = launch(replicaPort, ['--replicaof', '127.0.0.1', String(primaryPort)])
  await until('the Redis replica', async () => {
    if (!(await answers(replicaPort))) return false
    return (await redisCommand(replicaPort, 'INFO', 'replication')).includes(
      'master_link_status:up',
    )
  })
  // The first WAIT that counts one replica: from here on, both take part.
  await until('the first WAIT', async () => {
    await redisCommand(primaryPort, 'SET', 'ready', '1')
    return (await redisCommand(primaryPort, 'WAIT', '1', '100')).startsWith(':1')
  })
  return {
    primary,
    primaryPort,
    replicaPort,
    stop: async () => {
      await Promise.all([primary.stop('SIGKILL'), replica.stop('SIGKILL')])
    },
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await redisCommand(port, 'PING')).startsWith('+PONG')
  } catch {
    return false
  }
}
