import { join } from 'node:path'
import { findProgram, freePorts, Service, until } from '../support/processes.js'

/** Three nodes on the loopback. */
export interface EtcdCluster {
  /** The client port of the leader, so that no call is forwarded. */
  readonly leaderPort: number
  stop(): Promise<void>
}

/** The installed server; undefined when there is none. */
export function etcdServer(): string | undefined {
  return findProgram(['etcd'])
}

/** Starts three nodes with their default durability. */
export async function startEtcd(root: string): Promise<EtcdCluster> {
  const program = etcdServer()
  if (program === undefined) throw new Error('etcd is not installed')
  const ports = await freePorts(6)
  const clientPorts = ports.slice(0, 3)
  const peerPorts = ports.slice(3)
  const cluster = peerPorts.map((port, index) => `n${index}=http://127.0.0.1:${port}`).join(',')
  const services = clientPorts.map((clientPort, index) => {
    const client = `http://127.0.0.1:${clientPort}`
    const peer = `http://127.0.0.1:${peerPorts[index] ?? 0}`
    return new Service(program, [
      ...['--name', `n${index}`, '--data-dir', join(root, `etcd-${peerPorts[index] ?? 0}`)],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--log-level', 'error'],
    ])
  })
  const stop = async (): Promise<void> => {
    await Promise.all(services.map((service) => service.stop('SIGKILL')))
  }
  let leaderPort: number | undefined
  try {
    await until('an etcd leader', async () => {
      leaderPort = await leaderOf(clientPorts)
      return leaderPort !== undefined
    })
  } catch (error) {
    await stop()
    throw new Error(services[0]?.printed, { cause: error })
  }
  return { leaderPort: leaderPort ?? 0, stop }
}

interface EtcdStatus {
  readonly header?: { readonly member_id?: string }
  readonly leader?: string
}

async function leaderOf(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/v3/maintenance/status`, {
        method: 'POST',
        body: '{}',
      })
      const status = (await answer.json()) as EtcdStatus
      if (status.leader !== undefined && status.leader === status.header?.member_id) return port
    } catch {
      // Not up yet.
    }
  }
  return undefined
}
