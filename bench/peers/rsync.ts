import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isListening } from '../support/machine.js'
import { findProgram, freePorts, run, Service, until } from '../support/processes.js'
import { flushFileSystem } from '../support/trees.js'

/** A daemon that receives trees, on the loopback. */
export interface RsyncDaemon {
  /**
   * Copies a tree with `rsync -a` to `name` below the daemon's folder, then flushes the file
   * system.
   */
  copy(source: string, name: string): Promise<RsyncCopy>
  /** The folder in which the copies are. */
  readonly folder: string
  stop(): Promise<void>
}

export interface RsyncCopy {
  /** The time of `rsync -a`. */
  readonly copyMs: number
  /** The same with the flush that makes the copy durable. */
  readonly durableMs: number
  /** Bytes that rsync reports as sent and received. */
  readonly wireBytes: number
}

export function rsyncInstalled(): boolean {
  return findProgram(['rsync']) !== undefined
}

export async function startRsync(root: string): Promise<RsyncDaemon> {
  const program = findProgram(['rsync'])
  if (program === undefined) throw new Error('rsync is not installed')
  const [port = 0] = await freePorts(1)
  const base = join(root, `rsync-${port}`)
  const folder = join(base, 'copies')
  mkdirSync(folder, { recursive: true })
  const config = join(base, 'rsyncd.conf')
  const asRoot = process.getuid?.() === 0 ? ['uid = 0', 'gid = 0'] : []
  const lines = [
    ...['use chroot = no', `pid file = ${join(base, 'pid')}`, `log file = ${join(base, 'log')}`],
    ...asRoot,
    ...['[copies]', `path = ${folder}`, 'read only = no'],
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const where = ['--address', '127.0.0.1', '--port', String(port)]
  const daemon = new Service(program, ['--daemon', '--no-detach', '--config', config, ...where])
  await until('the rsync daemon', () => isListening(port))
  return {
    folder,
    copy: async (source, name) => {
      const startMs = performance.now()
      const target = `rsync://127.0.0.1:${port}/copies/${name}/`
      const printed = await run(program, [
        ...['-a', '--stats', '--no-human-readable', '--exclude', '/.hotspare'],
        ...[`${source}/`, target],
      ])
      const copyMs = performance.now() - startMs
      await flushFileSystem(folder)
      const durableMs = performance.now() - startMs
      return { copyMs, durableMs, wireBytes: bytesOf(printed) }
    },
    stop: () => daemon.stop(),
  }
}

function bytesOf(printed: string): number {
  const sent = /Total bytes sent: (\d+)/.exec(printed)?.[1]
  const received = /Total bytes received: (\d+)/.exec(printed)?.[1]
  return Number(sent) + Number(received)
}
