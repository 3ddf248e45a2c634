/** Whole nodes in virtual time, on disks and links whose speed a test chooses. */
import {
  type AckLevel,
  type ClusterNode,
  type ClusterNodeOptions,
  ClusterNode as Node,
  type NodeLogEvent,
  SyncPolicy,
  synced,
} from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { drained, VirtualClock } from '../../src/testing/simulator/machine/virtual-clock.js'
import { type MemoryNetwork, memoryNetwork } from '../../src/transport/memory.js'
import { type Speed, slowStorage } from './slow-storage.js'

/** An event of a node, with its time. */
export interface TimedEvent {
  readonly atMs: number
  readonly node: string
  readonly name: NodeLogEvent['name']
  readonly event: NodeLogEvent['event']
}

/** See the head of the file. */
export class VirtualCluster {
  readonly clock = new VirtualClock()
  readonly network: MemoryNetwork
  readonly told: TimedEvent[] = []
  readonly nodes = new Map<string, ClusterNode>()
  readonly #speeds = new Map<string, Speed>()
  readonly #ids: readonly string[]
  #nextByte = 0

  constructor(ids: readonly string[]) {
    this.#ids = ids
    this.network = memoryNetwork({
      clock: this.clock,
      random: { number: () => 0.5 },
      latencyMs: 1,
      secure: true,
    })
    for (const id of ids) this.#speeds.set(id, {})
  }

  /** The speed of a machine's storage, which may be changed at any time. */
  speed(id: string): Speed {
    const speed = this.#speeds.get(id)
    if (speed === undefined) throw new Error(`there is no machine ${id}`)
    return speed
  }

  node(id: string): ClusterNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`${id} was not made`)
    return node
  }

  /** Creates a node without starting it. */
  make(id: string, given: Partial<ClusterNodeOptions> = {}): ClusterNode {
    const { clock } = this
    const node = new Node({
      cluster: 'virtual',
      id,
      members: this.#ids.map((member) => ({ id: member, address: `${member}:1` })),
      transport: this.network.transport(`${id}:1`),
      storage: slowStorage(memory({ clock }), clock, this.speed(id)),
      policy: new SyncPolicy({ files: synced('files/**') }),
      clock,
      random: { bytes: (count) => this.#bytes(count), number: () => 0.5 },
      startupWaitMs: 100,
      discoveryMs: 200,
      logger: ({ name, event }) => this.told.push({ atMs: clock.nowMs(), node: id, name, event }),
      ...given,
    })
    this.nodes.set(id, node)
    return node
  }

  #bytes(count: number): Uint8Array {
    this.#nextByte += 1
    const bytes = Buffer.alloc(count)
    bytes.writeUInt16LE(this.#nextByte, 0)
    return bytes
  }

  /** Advances virtual time. */
  async run(ms: number): Promise<void> {
    await drained()
    await this.clock.advance(this.clock.nowMs() + ms)
  }

  /**
   * Advances virtual time until the condition holds, and answers how long that took. @throws when
   * it takes longer than `maxMs`
   */
  async until(what: string, condition: () => boolean, maxMs: number): Promise<number> {
    const beganMs = this.clock.nowMs()
    await drained()
    if (!condition()) await this.clock.advance(beganMs + maxMs, condition)
    if (!condition()) throw new Error(`not within ${maxMs} ms: ${what}\n${this.tail()}`)
    return this.clock.nowMs() - beganMs
  }

  /** Advances virtual time until a promise is settled. */
  async settle<T>(work: Promise<T>, maxMs = 60_000): Promise<T> {
    let done = false
    const ended = (): void => {
      done = true
    }
    work.then(ended, ended)
    await this.until('a promise', () => done, maxMs)
    return await work
  }

  /** The events of one node with this name. */
  events(node: string, name: TimedEvent['name']): TimedEvent[] {
    return this.told.filter((one) => one.node === node && one.name === name)
  }

  tail(): string {
    const lines = this.told.filter(({ name }) => name !== 'restoreProgress').slice(-40)
    return lines
      .map(({ atMs, node, name, event }) => `${atMs} ${node} ${name} ${JSON.stringify(event)}`)
      .join('\n')
  }
}

/** The amount of writes. */
export interface Load {
  readonly callers: number
  readonly restMs: number
  readonly bytes: number
  /** The acknowledgement level of the writes. Default `standby`. */
  readonly ack?: AckLevel
  /** The number of files that each caller writes in turn. Default 20. */
  readonly files?: number
}

/**
 * Concurrent callers, each of which writes, waits for the acknowledgement, pauses, and writes
 * again.
 */
export class Callers {
  written = 0
  /** The longest time of one write since this was set to 0. */
  slowestMs = 0
  readonly degraded: number[] = []
  #running = true

  constructor(cluster: VirtualCluster, id: string, options: Load) {
    for (let caller = 0; caller < options.callers; caller += 1) {
      void this.#call(cluster, id, caller, options)
    }
  }

  async #call(cluster: VirtualCluster, id: string, caller: number, load: Load): Promise<void> {
    const { clock } = cluster
    const content = new Uint8Array(load.bytes).fill(caller)
    for (let count = 0; this.#running; count += 1) {
      const beganMs = clock.nowMs()
      const path = `files/${caller}/${count % (load.files ?? 20)}`
      const receipt = await cluster
        .node(id)
        .files.write(path, content, { ack: load.ack ?? 'standby' })
      this.slowestMs = Math.max(this.slowestMs, clock.nowMs() - beganMs)
      this.written += 1
      if (receipt.degraded) this.degraded.push(clock.nowMs())
      await new Promise<void>((resolve) => clock.setTimer(load.restMs, resolve))
    }
  }

  stop(): void {
    this.#running = false
  }
}
