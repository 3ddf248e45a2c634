/**
 * A small world for cores: virtual time, a network whose directed links can be cut, and a shell for
 * each node that carries out effects on a made-up copy (a history and a sequence number). Plain
 * data throughout, so that the explorer can copy a world.
 */

import type { Role } from '../../src/core/state/facts.js'
import type { CoreCommand, CoreEvent, CoreInput, CoreMember } from '../../src/core/state/types.js'
import { type CoreState, createCore, nextDueMs, step } from '../../src/core/step.js'
import { crash, emptyDisk, sync } from './disks.js'
import { Ledger } from './ledger.js'
import { carryOut, copyInput, copyOf, flows, open, replicate, restore, statusOf } from './shell.js'
import type { Body, Item, ItemBody, NodeSim, Said, WorldOptions } from './world-types.js'

const defaults = {
  cluster: 'test',
  heartbeatMs: 200,
  deadMs: 2_000,
  discoveryMs: 1_000,
  startupWaitMs: 10_000,
  degradeAfterMs: 2_000,
  switchoverMs: 5_000,
  onMissingPeer: 'takeOver',
  order: 'freshest',
  allowStale: false,
} as const

export class World {
  nowMs = 1_000
  wallOffsetMs = 1_000_000
  readonly members: readonly CoreMember[]
  readonly nodes: Map<string, NodeSim> = new Map()
  readonly options: WorldOptions
  manual: boolean
  queue: Item[] = []
  orders = 0
  /** Directed links that lose everything. */
  cuts: Set<string> = new Set()
  /** Nodes whose port nobody can reach; what stands already stays, and their own dials go out. */
  closed: Set<string> = new Set()
  /** Dials `from>to` that are answered with a refusal. */
  refusals: Set<string> = new Set()
  /** Links whose dials get no answer, neither a connection nor a refusal. */
  hangs: Set<string> = new Set()
  /** Standing connections `from>to`, with the boot of both ends; both speak on each. */
  links: Map<string, string> = new Map()
  said: Said[] = []
  sent: {
    readonly atMs: number
    readonly from: string
    readonly to: string
    readonly type: string
  }[] = []
  redials: { readonly atMs: number; readonly from: string; readonly to: string }[] = []
  ledger: Ledger = new Ledger()
  latencyMs = 1
  diskMs = 2
  /** Standbys acknowledge what they have in memory. */
  memoryAcks = false
  /** Answers to commands come back under these ids. */
  commands = 0

  constructor(ids: readonly string[], options: WorldOptions = {}) {
    this.options = options
    this.manual = options.manual ?? false
    this.members = options.members ?? ids.map((id) => ({ id, promotable: true }))
    for (const { id } of this.members) this.nodes.set(id, this.#blank(id))
  }

  #blank(id: string): NodeSim {
    return {
      id,
      boot: 0,
      alive: false,
      frozen: false,
      tickAtMs: Number.POSITIVE_INFINITY,
      backlog: [],
      core: this.#createCore(id, 0),
      disk: emptyDisk(),
      inSyncKnown: false,
      heldSeq: 0,
      ineligible: undefined,
      damaged: false,
      stream: undefined,
      term: undefined,
      writesFrozen: false,
      drain: undefined,
      gateOpen: true,
      opens: true,
      fetchable: true,
      synced: 0,
      lazy: false,
      forgot: false,
      fetchMs: 0,
      fetchedMs: 0,
      lagging: false,
      restoreMs: 5,
    }
  }

  #createCore(id: string, boot: number): CoreState {
    const { members: _, manual: __, ...rest } = this.options
    return createCore({
      ...defaults,
      ...rest,
      nodeId: id,
      bootId: `${id}.${boot}`,
      members: this.members,
    })
  }

  node(id: string): NodeSim {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  // ── What a test does ──────────────────────────────────────────────────────────────────────────

  start(id: string): void {
    const node = this.node(id)
    if (node.alive) throw new Error(`${id} runs`)
    node.boot += 1
    node.alive = true
    node.frozen = false
    node.tickAtMs = Number.POSITIVE_INFINITY
    node.backlog = []
    node.inSyncKnown = false
    node.forgot = this.memoryAcks && node.disk.seq > 0
    node.fetchedMs = 0
    node.stream = undefined
    node.term = undefined
    node.writesFrozen = false
    node.drain = undefined
    node.core = this.#createCore(id, node.boot)
    this.input(node, { type: 'start', copy: copyOf(this, node), durable: node.disk.durable })
    for (const { id: other } of this.members) {
      if (other === id) continue
      this.push(0, { kind: 'dial', from: id, to: other, boot: node.boot })
    }
  }

  /** SIGKILL: the machine lives on, so its connections are reset and dials are refused. */
  kill(id: string): void {
    const node = this.node(id)
    node.alive = false
    crash(node)
    node.stream = undefined
    node.term = undefined
    for (const link of [...this.links.keys()]) {
      const [from = '', to = ''] = link.split('>')
      if (from !== id && to !== id) continue
      this.links.delete(link)
      const other = from === id ? to : from
      if (!this.node(other).alive) continue
      // Behind a cut nobody is told: the shell finds out by itself that nothing is acknowledged any
      // more.
      const cut = this.cut(id, other)
      const delayMs = cut ? 1_000 : this.latencyMs
      this.inputLater(delayMs, other, {
        type: 'linkDown',
        peer: id,
        cause: cut ? 'timeout' : 'reset',
        accepted: from === id,
      })
      if (to === id) this.push(delayMs, { kind: 'dial', from, to: id, boot: this.node(from).boot })
    }
  }

  /** The connection that one node dialled ends; both processes live on. */
  breakLink(from: string, to: string): void {
    if (!this.links.delete(`${from}>${to}`)) return
    this.inputLater(0, from, { type: 'linkDown', peer: to, cause: 'reset' })
    this.inputLater(0, to, { type: 'linkDown', peer: from, cause: 'reset', accepted: true })
    this.push(1, { kind: 'dial', from, to, boot: this.node(from).boot })
  }

  /** SIGSTOP. What arrives meanwhile waits. */
  freeze(id: string, forMs: number): void {
    this.node(id).frozen = true
    this.later(forMs, () => this.thaw(id))
  }

  thaw(id: string): void {
    const node = this.node(id)
    node.frozen = false
    // As an event loop does: the timers that are due come first, then the sockets, which hold what
    // arrived whatever became of the network since.
    for (const item of node.backlog) {
      if (item.kind === 'message') this.push(2, { ...item, arrived: true })
      else this.push(item.kind === 'input' && item.input.type === 'tick' ? 0 : 2, item)
    }
    node.backlog = []
  }

  readonly #calls: { at: number; call: () => void }[] = []

  later(delayMs: number, call: () => void): void {
    this.#calls.push({ at: this.nowMs + delayMs, call })
  }

  cutLink(from: string, to: string, both = true): void {
    this.cuts.add(`${from}>${to}`)
    if (both) this.cuts.add(`${to}>${from}`)
  }

  heal(from: string, to: string): void {
    this.cuts.delete(`${from}>${to}`)
    this.cuts.delete(`${to}>${from}`)
  }

  cut(from: string, to: string): boolean {
    return this.cuts.has(`${from}>${to}`)
  }

  command(id: string, command: CoreCommand): number {
    this.commands += 1
    const commandId = this.commands
    this.input(this.node(id), { type: 'command', id: commandId, command })
    return commandId
  }

  /** The answer to a command: undefined so far, 'ok', or the code of its error. */
  outcome(id: number): string | undefined {
    const done = this.said.find((said) => said.done?.id === id)?.done
    return done === undefined ? undefined : (done.error ?? 'ok')
  }

  /** One write on this node; false when it does not serve. Followers get it when links allow. */
  write(id: string): boolean {
    const node = this.node(id)
    // A shell that may have stood still lets the core look at the clock before it accepts anything.
    if (this.nowMs - node.core.nowMs > node.core.options.heartbeatMs)
      this.input(node, { type: 'tick' })
    if (node.term === undefined || node.writesFrozen || !node.alive || node.frozen) return false
    if (node.disk.history.at(-1)?.epoch !== node.term.epoch) return false
    node.disk.seq += 1
    sync(node)
    copyInput(this, node)
    const holders = [node.id]
    for (const follower of this.nodes.values()) {
      if (!flows(this, node, follower) || follower.lagging) continue
      replicate(this, node, follower)
      const durable = this.memoryAcks || follower.synced === follower.disk.seq
      if (node.disk.inSync?.includes(follower.id) && durable) holders.push(follower.id)
    }
    const needs = (node.disk.inSync ?? []).length > 1
    if (holders.length > 1 || !needs) this.ledger.acknowledge(node.disk, needs ? holders : [])
    if (holders.length > 1 && needs) {
      node.heldSeq = node.disk.seq
      copyInput(this, node)
    }
    return true
  }

  /** The shell reports the facts of the copy anew. */
  factsChanged(id: string): void {
    copyInput(this, this.node(id))
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs
    for (;;) {
      const nextMs = Math.min(this.#nextAt(), ...this.#calls.map((one) => one.at))
      if (nextMs > endMs) break
      this.nowMs = Math.max(this.nowMs, nextMs)
      this.#runCalls()
      this.#runItems()
    }
    this.nowMs = endMs
  }

  /** Runs until the condition holds; the time it took, or a thrown error. */
  until(condition: () => boolean, maxMs: number, what = 'the condition'): number {
    const beganMs = this.nowMs
    while (!condition()) {
      if (this.nowMs - beganMs > maxMs) {
        throw new Error(`${what} did not come true in ${maxMs} ms\n${this.describe()}`)
      }
      this.run(1)
    }
    return this.nowMs - beganMs
  }

  actives(): string[] {
    return [...this.nodes.values()]
      .filter((node) => node.alive && node.core.role === 'active')
      .map((node) => node.id)
  }

  role(id: string): Role | 'dead' {
    const node = this.node(id)
    return node.alive ? node.core.role : 'dead'
  }

  events(node: string, name: CoreEvent['name']): CoreEvent[] {
    return this.said.flatMap((said) =>
      said.node === node && said.event?.name === name ? [said.event] : [],
    )
  }

  roles(node: string): Role[] {
    return this.said.flatMap((said) => (said.node === node && said.role ? [said.role] : []))
  }

  describe(): string {
    return [...this.nodes.values()].map((node) => statusOf(node)).join('\n')
  }

  /** Lets time run by itself again, after a world was driven by hand. */
  drive(): void {
    this.manual = false
    for (const node of this.nodes.values()) this.#tickWhenDue(node)
  }

  // ── The network and the shells ────────────────────────────────────────────────────────────────

  push(delayMs: number, item: ItemBody): void {
    this.orders += 1
    this.queue.push({ ...item, at: this.nowMs + delayMs, order: this.orders } as Item)
  }

  inputLater(delayMs: number, id: string, input: Body): void {
    this.push(delayMs, { kind: 'input', node: id, boot: this.node(id).boot, input })
  }

  #tickWhenDue(node: NodeSim): void {
    const dueMs = nextDueMs(node.core)
    if (this.manual || !node.alive || dueMs >= node.tickAtMs) return
    node.tickAtMs = dueMs
    this.inputLater(dueMs - this.nowMs, node.id, { type: 'tick', due: true })
  }

  #nextAt(): number {
    let next = Number.POSITIVE_INFINITY
    for (const item of this.queue) if (item.at < next) next = item.at
    return next
  }

  #runCalls(): void {
    for (let at = 0; at < this.#calls.length; at += 1) {
      const one = this.#calls[at]
      if (one === undefined || one.at > this.nowMs) continue
      this.#calls.splice(at, 1)
      at -= 1
      one.call()
    }
  }

  #runItems(): void {
    const due = this.queue.filter((item) => item.at <= this.nowMs)
    if (due.length === 0) return
    this.queue = this.queue.filter((item) => item.at > this.nowMs)
    due.sort((left, right) => left.at - right.at || left.order - right.order)
    for (const item of due) this.fire(item)
  }

  /** Lets one thing happen. */
  fire(item: Item): void {
    const owner = this.node(
      item.kind === 'message' ? item.to : 'node' in item ? item.node : item.from,
    )
    if (!owner.alive) return
    if (owner.frozen) {
      owner.backlog.push(item)
      return
    }
    if (item.kind !== 'message' && item.boot !== owner.boot) return
    switch (item.kind) {
      case 'message':
        this.#deliver(owner, item)
        break
      case 'input':
        if (item.input.type === 'tick') owner.tickAtMs = Number.POSITIVE_INFINITY
        this.input(owner, item.input)
        break
      case 'persist':
        owner.disk.durable = item.facts
        this.ledger.promised(owner.id, item.facts.promised)
        this.input(owner, { type: 'persisted', id: item.id })
        break
      case 'dial':
        this.#dial(owner, item.to)
        break
      case 'restore':
        restore(this, owner, item.term)
        break
      case 'open':
        open(this, owner, item.term)
        break
    }
  }

  #deliver(to: NodeSim, item: Extract<Item, { kind: 'message' }>): void {
    if (this.cut(item.from, item.to) || this.links.get(item.link) !== item.boots) return
    this.input(to, { type: 'message', from: item.from, message: item.message })
  }

  #dial(from: NodeSim, to: string): void {
    const link = `${from.id}>${to}`
    if (this.links.has(link)) return
    const target = this.node(to)
    const again = (delayMs: number): void =>
      this.push(delayMs, { kind: 'dial', from: from.id, to, boot: from.boot })
    if (this.hangs.has(link)) {
      again(50)
    } else if (this.cut(from.id, to) || this.cut(to, from.id) || this.closed.has(to)) {
      this.input(from, { type: 'dialFailed', peer: to, cause: 'unreachable' })
      again(200)
    } else if (!target.alive) {
      this.input(from, { type: 'dialFailed', peer: to, cause: 'refused' })
      again(50)
    } else if (target.frozen) {
      again(50)
    } else if (this.refusals.has(link)) {
      this.input(from, { type: 'dialFailed', peer: to, cause: 'rejected', reason: 'secret' })
      again(200)
    } else {
      this.links.set(link, boots(from, target))
      const { bootId } = from.core.options
      this.inputLater(this.latencyMs, to, { type: 'linkUp', peer: from.id, bootId, accepted: true })
      this.input(from, { type: 'linkUp', peer: to, bootId: target.core.options.bootId })
    }
  }

  input(node: NodeSim, body: Body): void {
    if (!node.alive) return
    const input = {
      ...body,
      nowMs: this.nowMs,
      wallMs: this.nowMs + this.wallOffsetMs,
    } as CoreInput
    const effects = step(node.core, input)
    this.ledger.stepped(node.id, node.core)
    for (const effect of effects) carryOut(this, node, effect)
    this.#tickWhenDue(node)
  }
}

export function boots(from: NodeSim, to: NodeSim): string {
  return `${from.boot}-${to.boot}`
}
