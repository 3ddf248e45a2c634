/** What happens to the disk of a node in the made-up world, and how it is filled by a fetch. */
import { copyOf } from './shell.js'
import type { World } from './world.js'
import type { Disk, NodeSim } from './world-types.js'

export function emptyDisk(): Disk {
  const durable = { promised: undefined, known: undefined, lastStop: 'never' } as const
  return { durable, history: [], seq: 0, inSync: undefined }
}

/** What arrived is durable, unless the disk is slow. */
export function sync(node: NodeSim): void {
  if (!node.lazy) node.synced = node.disk.seq
}

/** A process that ends loses what its disk did not take. */
export function crash(node: NodeSim): void {
  const { disk } = node
  disk.seq = Math.min(disk.seq, node.synced)
  disk.history = disk.history.filter((term) => term.firstSeq <= disk.seq + 1)
}

/**
 * Another machine under the same name, or a disk that was put back to an older state. The node must
 * not run.
 */
export function replaceDisk(world: World, id: string, disk: Disk): void {
  const node = world.node(id)
  if (node.alive) throw new Error(`${id} runs`)
  node.disk = structuredClone(disk)
  node.synced = node.disk.seq
  node.damaged = false
  world.ledger.replaced(id)
}

const stepMs = 100

/** A fetch that takes its time; what came stays for the next attempt, and is told as it comes. */
export function fetchSlowly(world: World, node: NodeSim, id: number, peer: string): void {
  const { boot } = node
  const source = world.node(peer)
  world.later(stepMs, () => {
    if (!node.alive || node.boot !== boot || node.core.round?.waitId !== id) return
    if (node.frozen) return fetchSlowly(world, node, id, peer)
    const cut = world.cut(peer, node.id) || world.cut(node.id, peer)
    if (cut || !source.alive || source.frozen || !source.fetchable) {
      world.input(node, { type: 'fetched', id, ok: false, copy: copyOf(world, node) })
      return
    }
    node.fetchedMs += stepMs
    world.input(node, { type: 'fetchProgress', id, count: node.fetchedMs })
    if (node.core.round?.waitId !== id) return
    if (node.fetchedMs < node.fetchMs) return fetchSlowly(world, node, id, peer)
    node.fetchMs = 0
    takeCopy(node, source)
    world.input(node, { type: 'fetched', id, ok: true, copy: copyOf(world, node) })
  })
}

export function takeCopy(node: NodeSim, source: NodeSim): void {
  node.disk.history = source.disk.history
  node.disk.seq = source.disk.seq
  node.disk.inSync = source.disk.inSync
  sync(node)
}
