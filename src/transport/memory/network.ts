import { HotspareError } from '../../errors.js'
import type {
  Connection,
  Listener,
  Transport,
  TransportLimits,
} from '../../interfaces/transport.js'
import { onAbort } from '../../util/abort.js'
import { MemoryConnection } from './connection.js'
import { complete, Link, type LinkQuality, type Machine } from './link.js'
import type { Scheduler } from './scheduler.js'

/** The parts of a network. */
export interface NetworkParts {
  readonly scheduler: Scheduler
  readonly random: { number(): number }
  readonly quality: LinkQuality
  readonly dialTimeoutMs: number
  readonly secure: boolean
}

interface OpenListener {
  readonly accept: (connection: Connection) => void
  readonly limits: TransportLimits
  readonly connections: Set<MemoryConnection>
}

/**
 * All machines, links and connections.
 *
 * Invariants: iteration is always in the order of creation, so a run on a given clock and random
 * source is reproducible; nothing that a process began has an effect on it after its death.
 */
export class Network {
  readonly #parts: NetworkParts
  readonly #machines = new Map<string, Machine>()
  readonly #links = new Map<Machine, Map<Machine, Link>>()
  readonly #listeners = new Map<Machine, OpenListener>()
  readonly #connections = new Set<MemoryConnection>()
  #pruneAbove = 64

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  machine(address: string): Machine {
    const known = this.#machines.get(address)
    if (known !== undefined) return known
    const off = { isolated: false, closed: false, off: false, frozen: false }
    const made: Machine = { address, generation: 0, ...off }
    this.#machines.set(address, made)
    return made
  }

  link(from: Machine, to: Machine): Link {
    let links = this.#links.get(from)
    if (links === undefined) {
      links = new Map()
      this.#links.set(from, links)
    }
    let link = links.get(to)
    if (link === undefined) {
      const { quality, scheduler, random } = this.#parts
      link = new Link(from, to, quality, scheduler, random)
      links.set(to, link)
    }
    return link
  }

  setQuality(link: Link, quality: LinkQuality): void {
    link.quality = complete({ ...link.quality, ...quality })
    link.free()
    for (const connection of this.#connections) {
      if (connection.busy && connection.link === link) connection.qualityChanged()
    }
  }

  /** The transport of the process that runs on a machine now. */
  transport(machine: Machine): Transport {
    const { generation } = machine
    const alive = (): boolean => machine.generation === generation
    return {
      name: 'memory',
      listen: async (accept, limits) => {
        if (alive()) return this.#listen(machine, accept, limits)
        return new Promise<never>(() => {})
      },
      dial: (address, limits, signal) => {
        // The process is gone, so the promise never settles.
        if (!alive()) return new Promise<never>(() => {})
        return this.#dial(machine, this.machine(address), limits, signal)
      },
    }
  }

  /** Releases frames and packets on links that are no longer blocked. */
  release(): void {
    for (const links of this.#links.values()) {
      for (const link of links.values()) if (!link.blocked()) link.release()
    }
    for (const connection of this.#connections) {
      if (connection.busy) connection.wayChanged()
      else if (connection.ended) this.#connections.delete(connection)
    }
  }

  /**
   * Breaks the connections between two machines at once; with `held`, only those that have frames
   * held back in the direction from `from` to `to`.
   */
  breakConnections(from: Machine, to: Machine, held: boolean): void {
    for (const connection of [...this.#connections]) {
      const { link } = connection
      const there = link.from === from && link.to === to
      const back = link.from === to && link.to === from
      if (held ? there && connection.busy : there || back) connection.breakBoth()
    }
  }

  /** Call before links are blocked. */
  blocks(isOn: (link: Link) => boolean, inFlight: boolean): void {
    for (const connection of this.#connections) {
      if (connection.busy && isOn(connection.link)) connection.wayBlocks(inFlight)
    }
  }

  /** Ends one side's connections to the other without notifying the other side. */
  forget(from: Machine, to: Machine): void {
    for (const connection of [...this.#connections]) {
      const { link } = connection
      if (link.from === from && link.to === to) connection.lose()
    }
  }

  /**
   * Ends the process of a machine. Its peers see a reset, unless `silently` is set because the
   * machine failed too.
   */
  kill(machine: Machine, silently: boolean): void {
    machine.generation += 1
    machine.frozen = false
    this.#listeners.delete(machine)
    for (const connection of [...this.#connections]) {
      if (connection.link.from !== machine || connection.ended) continue
      if (silently) connection.dropSent()
      else connection.sendEnd('reset')
      connection.die()
    }
  }

  /**
   * Resets connections that peers of a restarted machine still have, as its network stack would.
   */
  resetPeersOf(machine: Machine): void {
    for (const connection of [...this.#connections]) {
      if (connection.link.to !== machine || connection.ended || !connection.peer.ended) continue
      connection.peer.sendEnd('reset')
      // Registered again, because the dead end may have been pruned, and its reset can still be
      // held back.
      this.#connections.add(connection.peer)
    }
  }

  #listen(
    machine: Machine,
    accept: (connection: Connection) => void,
    limits: TransportLimits,
  ): Listener {
    if (this.#listeners.has(machine)) {
      throw new HotspareError('ADDRESS_IN_USE', `${machine.address} is already listened on`, {
        details: { address: machine.address },
      })
    }
    const listener: OpenListener = { accept, limits, connections: new Set() }
    this.#listeners.set(machine, listener)
    return {
      address: machine.address,
      close: async () => {
        if (this.#listeners.get(machine) === listener) this.#listeners.delete(machine)
      },
    }
  }

  /**
   * Dials with three packets, as TCP does; the listener learns of the connection with the third.
   */
  #dial(
    from: Machine,
    to: Machine,
    limits: TransportLimits,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const { generation } = from
    return new Promise((resolve, reject) => {
      let settled = false
      const settle = (outcome: () => void): void => {
        if (settled || from.generation !== generation) return
        settled = true
        cancel()
        unlisten()
        outcome()
      }
      const fail = (error: HotspareError): void => settle(() => reject(error))
      const cancel = this.#parts.scheduler.after(this.#parts.dialTimeoutMs, () =>
        fail(unreachable(to, this.#parts.dialTimeoutMs)),
      )
      const unlisten = onAbort(signal, () => fail(aborted(to, signal)))
      if (signal?.aborted) return fail(aborted(to, signal))
      this.link(from, to).carry(() => {
        // Dropped by the firewall: the dial times out.
        if (to.closed) return
        const listener = this.#listeners.get(to)
        this.link(to, from).carry(() => {
          if (listener === undefined) fail(notListening(to))
          else settle(() => resolve(this.#connect(from, to, limits, listener)))
        })
      })
    })
  }

  #connect(
    from: Machine,
    to: Machine,
    limits: TransportLimits,
    listener: OpenListener,
  ): Connection {
    const { scheduler, secure } = this.#parts
    const dialed = new MemoryConnection(this.link(from, to), limits, secure, scheduler, () => {})
    const onEnd = (ended: MemoryConnection): void => {
      listener.connections.delete(ended)
    }
    const accepted = new MemoryConnection(
      this.link(to, from),
      listener.limits,
      secure,
      scheduler,
      onEnd,
    )
    dialed.peer = accepted
    accepted.peer = dialed
    this.#prune()
    this.#connections.add(dialed).add(accepted)
    dialed.sendEvent(() => this.#accept(to, listener, accepted))
    return dialed
  }

  #accept(machine: Machine, listener: OpenListener, accepted: MemoryConnection): void {
    if (accepted.ended) return
    const gone = this.#listeners.get(machine) !== listener
    if (gone || listener.connections.size >= listener.limits.connectionsMax) {
      accepted.destroy()
      return
    }
    listener.connections.add(accepted)
    listener.accept(accepted)
  }

  /** Removes ended connections when there are many. */
  #prune(): void {
    if (this.#connections.size <= this.#pruneAbove) return
    for (const connection of this.#connections) {
      if (connection.ended && !connection.busy) this.#connections.delete(connection)
    }
    this.#pruneAbove = 64 + 2 * this.#connections.size
  }
}

function notListening(to: Machine): HotspareError {
  return new HotspareError('PEER_REFUSED', `nothing listens on ${to.address}`, {
    retryable: true,
    details: { address: to.address, reason: 'noListener' },
  })
}

function unreachable(to: Machine, timeoutMs: number): HotspareError {
  return new HotspareError(
    'PEER_UNREACHABLE',
    `${to.address} cannot be reached: no answer within ${timeoutMs} ms`,
    { details: { address: to.address } },
  )
}

function aborted(to: Machine, signal: AbortSignal | undefined): HotspareError {
  return new HotspareError('ABORTED', `dialling ${to.address} was aborted`, {
    cause: signal?.reason,
  })
}
