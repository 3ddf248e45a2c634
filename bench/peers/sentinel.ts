import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, freePorts, Service, until } from '../support/processes.js'
import { redisCommand } from '../support/redis-client.js'
import { redisServer, startRedisPair } from './redis.js'

/** Whether both programs are installed. */
export function sentinelInstalled(): boolean {
  return sentinelProgram() !== undefined && redisServer() !== undefined
}

function sentinelProgram(): string | undefined {
  return findProgram(['redis-sentinel'])
}

/**
 * Kills the primary of a fresh pair that three sentinels watch (down after 1 000 ms, quorum 2), and
 * gives the milliseconds until the replica accepts a write.
 */
export async function sentinelFailover(root: string): Promise<number> {
  const pair = await startRedisPair(root, 'none')
  const sentinels = await startSentinels(root, pair.primaryPort)
  try {
    await settled(sentinels.ports)
    const startMs = performance.now()
    pair.primary.kill('SIGKILL')
    for (;;) {
      // A promotion closes all connections, so a failed attempt is repeated.
      const answer = await redisCommand(pair.replicaPort, 'SET', 'after', '1').catch(() => '')
      if (answer.startsWith('+OK')) return performance.now() - startMs
      if (performance.now() - startMs > 30_000) throw new Error('the sentinels did not fail over')
      await sleep(1)
    }
  } finally {
    await Promise.all(sentinels.services.map((service) => service.stop('SIGKILL')))
    await pair.stop()
  }
}

interface Sentinels {
  readonly services: readonly Service[]
  readonly ports: readonly number[]
}

async function startSentinels(root: string, primaryPort: number): Promise<Sentinels> {
  const program = sentinelProgram()
  if (program === undefined) throw new Error('redis-sentinel is not installed')
  const ports = await freePorts(3)
  const services = ports.map((port) => {
    const directory = join(root, `sentinel-${port}`)
    mkdirSync(directory)
    const file = join(directory, 'sentinel.conf')
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel monitor bench 127.0.0.1 ${primaryPort} 2`,
      'sentinel down-after-milliseconds bench 1000',
      'sentinel failover-timeout bench 10000',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return new Service(program, [file])
  })
  return { services, ports }
}

/** Waits until each sentinel knows the replica and both other sentinels. */
async function settled(ports: readonly number[]): Promise<void> {
  await until(
    'the sentinels to know each other',
    async () => {
      const views = await Promise.all(
        ports.map((port) => redisCommand(port, 'INFO', 'sentinel').catch(() => '')),
      )
      return views.every(
        (view) => view.includes('status=ok') && view.includes('slaves=1,sentinels=3'),
      )
    },
    30_000,
  )
}
