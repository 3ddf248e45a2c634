import { execFileSync, type SpawnOptions } from 'node:child_process'
import {
  appendFileSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { findProgram, freePorts, run, Service, until } from '../support/processes.js'
import { quantile } from '../support/statistics.js'

/** A primary and a synchronous standby. */
export interface PostgresPair {
  /** Runs a load; every client awaits its commit, which waits until both sides have flushed it. */
  load(clients: number, seconds: number): Promise<PostgresResult>
  stop(): Promise<void>
}

export interface PostgresResult {
  readonly writesPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
}

/** The folder of the installed server's programs; undefined when there is none. */
export function postgresPrograms(): string | undefined {
  for (const version of installedVersions()) {
    const folder = `/usr/lib/postgresql/${version}/bin`
    if (findProgram(['initdb'], [folder]) === join(folder, 'initdb')) return folder
  }
  const elsewhere = findProgram(['initdb'])
  return elsewhere?.slice(0, -'/initdb'.length)
}

function installedVersions(): string[] {
  try {
    return readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a))
  } catch {
    return []
  }
}

/** PostgreSQL refuses to run as root, so as root its own user runs it. */
function asUser(): SpawnOptions {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * Starts a primary with one synchronous standby (`synchronous_commit = on`) and a table for the
 * load.
 */
export async function startPostgres(root: string): Promise<PostgresPair> {
  const folder = postgresPrograms()
  if (folder === undefined) throw new Error('PostgreSQL is not installed')
  const [primaryPort = 0, standbyPort = 0] = await freePorts(2)
  const base = join(root, `postgres-${primaryPort}`)
  mkdirSync(base)
  const user = asUser()
  if (user.uid !== undefined && user.gid !== undefined) chownSync(base, user.uid, user.gid)
  const options: SpawnOptions = { ...user, cwd: base }
  const primary = join(base, 'primary')
  const standby = join(base, 'standby')
  const login = ['-h', '127.0.0.1', '-U', 'bench']
  await run(join(folder, 'initdb'), ['-D', primary, '-A', 'trust', '-U', 'bench', '-N'], options)
  appendFileSync(join(primary, 'postgresql.conf'), settings(base))
  const launch = (directory: string, port: number): Service =>
    new Service(join(folder, 'postgres'), ['-D', directory, '-p', String(port)], options)
  const services = [launch(primary, primaryPort)]
  const stop = async (): Promise<void> => {
    // Immediate, because the data is not needed and a fast stop of the primary would wait for its
    // standby.
    await Promise.all(services.map((service) => service.stop('SIGQUIT')))
  }
  const sql = (command: string): Promise<string> =>
    run(
      join(folder, 'psql'),
      [...login, '-p', String(primaryPort), '-d', 'postgres', '-qAtc', command],
      options,
    )
  try {
    await until('the PostgreSQL primary', () => sql('select 1').then(Boolean, () => false))
    await run(
      join(folder, 'pg_basebackup'),
      [...login, '-p', String(primaryPort), '-D', standby, '-R', '-X', 'stream', '-c', 'fast'],
      options,
    )
    services.push(launch(standby, standbyPort))
    await sql("alter system set synchronous_standby_names = '*'")
    await sql('select pg_reload_conf()')
    await until('the synchronous standby', async () =>
      (await sql('select sync_state from pg_stat_replication')).includes('sync'),
    )
    await sql('create table state (id bigserial, value text not null)')
  } catch (error) {
    await stop()
    throw new Error(`PostgreSQL: ${services[0]?.printed ?? ''}`, { cause: error })
  }
  const script = join(base, 'insert.sql')
  writeFileSync(script, `insert into state (value) values ('${'a'.repeat(100)}');\n`)
  const target = [...login, '-p', String(primaryPort)]
  let loads = 0
  return {
    load: async (clients, seconds) => {
      loads += 1
      const prefix = join(base, `latencies-${loads}`)
      const threads = String(Math.min(clients, 2))
      const shape = ['-n', '-M', 'prepared', '-c', String(clients), '-j', threads, '-f', script]
      const log = ['-l', '--log-prefix', prefix, '-T', String(seconds)]
      const printed = await run(
        join(folder, 'pgbench'),
        [...target, ...shape, ...log, 'postgres'],
        options,
      )
      return resultOf(printed, base, `latencies-${loads}`)
    },
    stop,
  }
}

function settings(base: string): string {
  return [
    '',
    "listen_addresses = '127.0.0.1'",
    `unix_socket_directories = '${base}'`,
    'max_connections = 100',
    'shared_buffers = 256MB',
    'max_wal_size = 4GB',
    'checkpoint_timeout = 30min',
    'wal_level = replica',
    'fsync = on',
    'synchronous_commit = on',
    '',
  ].join('\n')
}

function resultOf(printed: string, base: string, prefix: string): PostgresResult {
  const rate = /tps = ([\d.]+)/.exec(printed)?.[1]
  if (rate === undefined) throw new Error(`pgbench printed no rate: ${printed}`)
  const micros: number[] = []
  for (const name of readdirSync(base)) {
    if (!name.startsWith(`${prefix}.`)) continue
    for (const line of readFileSync(join(base, name), 'latin1').split('\n')) {
      const taken = line.split(' ')[2]
      if (taken !== undefined) micros.push(Number(taken))
    }
  }
  micros.sort((a, b) => a - b)
  return {
    writesPerSecond: Number(rate),
    p50Micros: quantile(micros, 0.5),
    p99Micros: quantile(micros, 0.99),
  }
}
