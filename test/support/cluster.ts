/** A cluster of node processes on the loopback, with a record of all acknowledged writes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { has } from './ledger.js'
import { type Ack, type Load, logPath, slotPath, type Tuning } from './node-jobs.js'
import { freePorts } from './ports.js'
import { LinkProxy } from './proxy.js'
import { TestNode } from './test-node.js'
import { retryUntil } from './wait.js'

export const nodeNames: readonly string[] = ['alpha', 'beta', 'gamma', 'delta', 'epsilon']

export interface ClusterOptions extends Tuning {
  readonly nodes: number
  /** Whether every node reaches every other one through a proxy, so that links can be cut. */
  readonly proxied?: boolean
  /** Directories of nodes that are not below the cluster's own directory. */
  readonly folders?: { readonly [id: string]: string }
}

/** Timeouts that are short enough for tests and long enough for a busy machine. */
const tuned: Tuning = { heartbeatMs: 100, deadMs: 1_000, discoveryMs: 500, startupWaitMs: 3_000 }

export class TestCluster {
  readonly nodes: readonly TestNode[]
  readonly acks: Ack[] = []
  readonly folder: string
  readonly #proxies: ReadonlyMap<string, LinkProxy>
  #load: Load | undefined

  private constructor(
    folder: string,
    plans: readonly TestNode['plan'][],
    proxies: ReadonlyMap<string, LinkProxy>,
  ) {
    this.folder = folder
    this.#proxies = proxies
    this.nodes = plans.map((plan) => new TestNode(plan, (ack) => this.acks.push(ack)))
  }

  static async create(options: ClusterOptions): Promise<TestCluster> {
    const { nodes: count, proxied = false, folders = {}, ...tuning } = options
    const names = nodeNames.slice(0, count)
    const folder = mkdtempSync(join(tmpdir(), 'hotspare-test-'))
    const ports = await freePorts(count + (proxied ? count * (count - 1) : 0))
    const own = new Map(names.map((id) => [id, ports.shift() ?? 0]))
    const proxies = new Map<string, LinkProxy>()
    const plans = names.map((id) => {
      const members = names.map((to) => {
        const target = own.get(to) ?? 0
        if (!proxied || to === id) return { id: to, address: `127.0.0.1:${target}` }
        const proxy = new LinkProxy(ports.shift() ?? 0, target)
        proxies.set(`${id}>${to}`, proxy)
        return { id: to, address: `127.0.0.1:${proxy.port}` }
      })
      const listen = `127.0.0.1:${own.get(id)}`
      return { ...tuned, ...tuning, id, listen, members, folder: folders[id] ?? join(folder, id) }
    })
    return new TestCluster(folder, plans, proxies)
  }

  /** All nodes started, the first one active, all others in sync. */
  static async running(options: ClusterOptions): Promise<TestCluster> {
    const cluster = await TestCluster.create(options)
    try {
      await Promise.all(cluster.nodes.map((node) => cluster.start(node)))
      await cluster.settled()
      return cluster
    } catch (error) {
      await cluster.end()
      throw error
    }
  }

  node(id: string): TestNode {
    const node = this.nodes.find((one) => one.id === id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  async start(node: TestNode, tuning: Tuning = {}): Promise<void> {
    for (const [link, proxy] of this.#proxies) if (link.endsWith(`>${node.id}`)) await proxy.open()
    await node.start(tuning)
    if (this.#load !== undefined) await node.ask('beginLoad', this.#load)
  }

  /** Kills the process; its machine then refuses connections. */
  async kill(node: TestNode): Promise<void> {
    const ended = node.kill()
    for (const [link, proxy] of this.#proxies) if (link.endsWith(`>${node.id}`)) proxy.close()
    await ended
  }

  async stop(node: TestNode): Promise<void> {
    await node.stop()
    for (const [link, proxy] of this.#proxies) if (link.endsWith(`>${node.id}`)) proxy.close()
  }

  proxy(from: TestNode, to: TestNode): LinkProxy {
    const proxy = this.#proxies.get(`${from.id}>${to.id}`)
    if (proxy === undefined) throw new Error('this cluster has no proxies')
    return proxy
  }

  /** Cuts the direction `from` to `to`. */
  cutOneWay(from: TestNode, to: TestNode): void {
    this.proxy(from, to).cut('forth')
    this.proxy(to, from).cut('back')
  }

  cut(one: TestNode, other: TestNode): void {
    this.cutOneWay(one, other)
    this.cutOneWay(other, one)
  }

  /** Cuts all links of a node. */
  isolate(node: TestNode): void {
    for (const other of this.nodes) if (other !== node) this.cut(node, other)
  }

  /** Mends all links. */
  mend(): void {
    for (const proxy of this.#proxies.values()) {
      proxy.mend('forth')
      proxy.mend('back')
    }
  }

  /** Ends all connections while all listeners stay. */
  resetAll(): void {
    for (const proxy of this.#proxies.values()) proxy.reset()
  }

  /** Bytes that passed through all proxies. */
  get bytes(): number {
    return [...this.#proxies.values()].reduce((sum, proxy) => sum + proxy.bytes, 0)
  }

  get alive(): readonly TestNode[] {
    return this.nodes.filter((node) => node.running)
  }

  /** The nodes that report that they are active. */
  async actives(): Promise<TestNode[]> {
    const states = await Promise.all(
      this.alive.map(async (node) => ({ node, role: (await node.status()).role })),
    )
    return states.filter(({ role }) => role === 'active').map(({ node }) => node)
  }

  /** The one active node, as soon as there is exactly one. */
  active(limitMs?: number): Promise<TestNode> {
    const find = async (): Promise<TestNode | undefined> => {
      const [first, ...more] = await this.actives()
      return more.length === 0 ? first : undefined
    }
    return retryUntil('exactly one active', find, limitMs)
  }

  /**
   * Waits until one node is active and all other running nodes are in sync, and answers the active
   * one.
   */
  async settled(limitMs?: number): Promise<TestNode> {
    const look = async (): Promise<TestNode | undefined> => {
      const [first, ...more] = await this.actives()
      if (first === undefined || more.length > 0) return undefined
      const { inSync } = await first.status()
      const others = this.alive.filter((node) => node !== first)
      return others.every((node) => inSync.includes(node.id)) ? first : undefined
    }
    return await retryUntil('one active and all others in sync', look, limitMs)
  }

  /** Makes each node write while it is active, including nodes that are started later. */
  async beginLoad(load: Load = { callers: 6, restMs: 1 }): Promise<void> {
    this.#load = load
    await Promise.all(this.alive.map((node) => node.ask('beginLoad', load)))
  }

  async endLoad(): Promise<void> {
    this.#load = undefined
    await Promise.all(this.alive.map((node) => node.ask('endLoad')))
  }

  /** Waits for this many more acknowledged writes, of one node if one is given. */
  async written(count: number, node?: TestNode, limitMs?: number): Promise<void> {
    const from = this.acks.length
    const own = (ack: Ack): boolean => node === undefined || ack.writer.startsWith(`${node.id}-`)
    const what = `${count} acknowledged writes${node === undefined ? '' : ` of ${node.id}`}`
    await retryUntil(what, () => this.acks.slice(from).filter(own).length >= count, limitMs)
  }

  /** Waits until all running nodes have the same position. */
  async caughtUp(): Promise<void> {
    await retryUntil('all nodes at one position', async () => {
      const all = await Promise.all(this.alive.map((node) => node.status()))
      return new Set(all.map(({ position }) => JSON.stringify(position))).size === 1
    })
  }

  /** Acknowledged writes that a node lacks; expected to be none. */
  async missing(node: TestNode, acks: readonly Ack[] = this.acks): Promise<string[]> {
    const { applied, repeated } = await node.ask('ledger')
    const files = new Map<string, Promise<string>>()
    const read = (path: string): Promise<string> => {
      const known = files.get(path) ?? textOf(node, path)
      files.set(path, known)
      return known
    }
    const missing = repeated.map((what) => `${what} was applied twice`)
    for (const { writer, count, kind } of acks) {
      const there =
        kind === 'update'
          ? has(applied[writer], count)
          : kind === 'append'
            ? linesOf(await read(logPath(writer))).has(count)
            : Number.parseInt(await read(slotPath(writer, count)), 10) >= count
      if (!there) missing.push(`${kind} ${writer}#${count}`)
    }
    return missing
  }

  /** Kills all running nodes and removes the directories. */
  async end(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    for (const proxy of this.#proxies.values()) proxy.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const parsed = new Map<string, ReadonlySet<number>>()

/** The numbers in a log, parsed once for each text. */
function linesOf(text: string): ReadonlySet<number> {
  const known = parsed.get(text)
  if (known !== undefined) return known
  if (parsed.size > 100) parsed.clear()
  const lines = new Set(text.split('\n').slice(0, -1).map(Number))
  parsed.set(text, lines)
  return lines
}

async function textOf(node: TestNode, path: string): Promise<string> {
  try {
    return Buffer.from(await node.ask('read', { path })).toString()
  } catch {
    return ''
  }
}
