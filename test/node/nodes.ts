/** The nodes of one test file: quick, on a network in memory, and stopped after each test. */
import { afterEach } from 'vitest'
import { ClusterNode, type ClusterNodeOptions, SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { type MemoryNetwork, memoryNetwork } from '../../src/transport/memory.js'

/** Makes a node with these options in place of the common ones. */
export type NodeOf = (id: string, given?: Partial<ClusterNodeOptions>) => ClusterNode

/** Where a member listens. */
export function addressOf(id: string): string {
  return `${id}.test`
}

/**
 * What makes the nodes of a test file: alpha and beta, each with an empty disk and one class of
 * files. It is called at the top of the file, because files that run in one process share this
 * module, and each needs a hook of its own.
 */
export function nodesOn(network: MemoryNetwork = memoryNetwork({})): NodeOf {
  const running: ClusterNode[] = []

  afterEach(async () => {
    await Promise.all(running.splice(0).map((node) => node.stop()))
  })

  return (id, given = {}) => {
    const node = new ClusterNode({
      cluster: 'test',
      id,
      members: ['alpha', 'beta'].map((member) => ({ id: member, address: addressOf(member) })),
      storage: memory(),
      transport: network.transport(addressOf(id)),
      policy: new SyncPolicy({ files: synced('files/**') }),
      heartbeatMs: 20,
      deadMs: 500,
      discoveryMs: 100,
      startupWaitMs: 200,
      ...given,
    })
    running.push(node)
    return node
  }
}

/** Alpha and beta, started one after the other: the first is active, the second in sync with it. */
export async function pairOf<Machine extends { readonly node: ClusterNode }>(
  machineOf: (id: string) => Machine,
): Promise<{ alpha: Machine; beta: Machine }> {
  const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
  await alpha.node.start()
  await beta.node.start()
  await alpha.node.inSync()
  return { alpha, beta }
}
