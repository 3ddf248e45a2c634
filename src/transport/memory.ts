/**
 * A network within one process, for tests and simulations. Its links can be cut in one direction,
 * delayed and broken; its machines can be crashed, frozen and switched off.
 *
 * @example
 * ```ts
 * import { memoryNetwork } from 'hotspare/transport/memory'
 *
 * const network = memoryNetwork({ latencyMs: 1 })
 * export const alpha = network.transport('alpha:1')
 * export const beta = network.transport('beta:1')
 *
 * // beta hears alpha no more, alpha still hears beta.
 * network.cut('alpha:1', 'beta:1')
 * ```
 *
 * @packageDocumentation
 */
import { HotspareError } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { Transport } from '../interfaces/transport.js'
import type { Link, LinkQuality, Machine } from './memory/link.js'
import { Network } from './memory/network.js'
import { clockScheduler, realScheduler } from './memory/scheduler.js'

export type { LinkQuality }

/** Options of {@link memoryNetwork}. */
export interface MemoryNetworkOptions extends LinkQuality {
  /**
   * The clock for all delays; with the same `random` a run is reproducible. If omitted, frames
   * arrive in the next turn of the event loop, and delays are in real time.
   */
  readonly clock?: Clock
  /** The source of jitter and loss, for example a `Random`. Default `Math.random`. */
  readonly random?: {
    /** A number in [0, 1). */
    number(): number
  }
  /** Milliseconds until a dial without an answer fails with `PEER_UNREACHABLE`. Default 3 000. */
  readonly dialTimeoutMs?: number
  /**
   * Whether connections count as secure, so that frames on them carry no checks. Default `false`.
   */
  readonly secure?: boolean
}

/**
 * A network within one process. Addresses are arbitrary strings; each is a machine with one
 * process.
 */
export interface MemoryNetwork {
  /**
   * The transport of the process that runs at an address now; it listens at and dials from that
   * address. After `crash()` or `powerOff()` the next process needs a new one; the old one has no
   * effect any more.
   */
  transport(address: string): Transport
  /**
   * Cuts one direction: frames, dials and ends are held back. Bytes that have arrived and are not
   * read yet are still delivered; with `inFlight`, also those in transit.
   */
  cut(from: string, to: string, options?: { readonly inFlight?: boolean }): void
  /**
   * Ends a cut. What was held back arrives late, in order, as with TCP; with `break`, connections
   * that had frames held back are broken instead.
   */
  heal(from: string, to: string, options?: { readonly break?: boolean }): void
  /** Changes the quality of one direction; omitted options stay as they are. */
  setLink(from: string, to: string, quality: LinkQuality): void
  /** Breaks all connections between two addresses at once: both ends see a `reset`. */
  breakConnections(one: string, other: string): void
  /**
   * Resets one side's connections to the other without notifying the other side, which keeps
   * sending on them.
   */
  forget(one: string, other: string): void
  /**
   * Disconnects a machine from the network: silence in both directions, no reset; dials time out.
   */
  isolate(address: string): void
  /** Reconnects an isolated machine; what was held back arrives late. */
  rejoin(address: string): void
  /**
   * Simulates a firewall that drops incoming dials, which then time out. Outgoing dials succeed,
   * and open connections stay.
   */
  closePort(address: string): void
  /** Ends {@link MemoryNetwork.closePort}. */
  openPort(address: string): void
  /** The process ends, the machine does not: its peers see a `reset`, later dials are refused. */
  crash(address: string): void
  /** The machine fails with its process: silence, until {@link powerOn}. */
  powerOff(address: string): void
  /**
   * The machine starts again, without a process: connections that its peers still have see a
   * `reset`.
   */
  powerOn(address: string): void
  /**
   * The process reads nothing; its machine still answers dials. With its clock stopped as well,
   * this simulates SIGSTOP.
   */
  freeze(address: string): void
  /** The process continues, and receives everything that arrived meanwhile. */
  thaw(address: string): void
}

/** Default of `dialTimeoutMs`: a dial that is not answered by then is `PEER_UNREACHABLE`. */
const defaultDialTimeoutMs = 3_000

/**
 * Makes a network.
 *
 * @param options - clock, randomness, and the initial quality of all links
 * @throws `OPTION_INVALID`
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const { clock, random = { number: Math.random }, dialTimeoutMs = defaultDialTimeoutMs } = options
  checkQuality(options)
  const network = new Network({
    scheduler: clock === undefined ? realScheduler() : clockScheduler(clock),
    random,
    quality: options,
    dialTimeoutMs,
    secure: options.secure ?? false,
  })
  const machine = (address: string) => network.machine(address)
  const link = (from: string, to: string) => network.link(machine(from), machine(to))
  /** Changes the state of a machine, then releases what that unblocked. */
  const change = (address: string, state: { isolated?: boolean; frozen?: boolean }): void => {
    Object.assign(machine(address), state)
    network.release()
  }
  return {
    transport: (address) => network.transport(machine(address)),
    cut: (from, to, { inFlight = false } = {}) => {
      const way = link(from, to)
      network.blocks((each) => each === way, inFlight)
      way.cut = true
    },
    heal: (from, to, { break: breaks = false } = {}) => {
      if (breaks) network.breakConnections(machine(from), machine(to), true)
      link(from, to).cut = false
      network.release()
    },
    setLink: (from, to, quality) => {
      checkQuality(quality)
      network.setQuality(link(from, to), quality)
    },
    breakConnections: (one, other) => {
      network.breakConnections(machine(one), machine(other), false)
    },
    forget: (one, other) => network.forget(machine(one), machine(other)),
    isolate: (address) => {
      network.blocks(isOf(machine(address)), false)
      change(address, { isolated: true })
    },
    rejoin: (address) => change(address, { isolated: false }),
    closePort: (address) => {
      machine(address).closed = true
    },
    openPort: (address) => {
      machine(address).closed = false
    },
    freeze: (address) => change(address, { frozen: true }),
    thaw: (address) => change(address, { frozen: false }),
    crash: (address) => network.kill(machine(address), false),
    powerOff: (address) => {
      network.blocks(isOf(machine(address)), false)
      machine(address).off = true
      network.kill(machine(address), true)
    },
    powerOn: (address) => {
      if (!machine(address).off) return
      machine(address).off = false
      network.resetPeersOf(machine(address))
      network.release()
    },
  }
}

/** A filter for the links of a machine. */
function isOf(machine: Machine): (link: Link) => boolean {
  return ({ from, to }) => from === machine || to === machine
}

function checkQuality(quality: LinkQuality): void {
  const { latencyMs = 0, jitterMs = 0, lossRate = 0, resendRate = 0, bytesPerSecond = 1 } = quality
  const valid =
    latencyMs >= 0 &&
    jitterMs >= 0 &&
    lossRate >= 0 &&
    lossRate <= 1 &&
    resendRate >= 0 &&
    resendRate < 1 &&
    bytesPerSecond > 0
  if (valid) return
  throw new HotspareError(
    'OPTION_INVALID',
    `a link cannot have latencyMs ${latencyMs}, jitterMs ${jitterMs}, lossRate ${lossRate}, ` +
      `resendRate ${resendRate} and bytesPerSecond ${bytesPerSecond}: none may be negative, and a rate is 0 to 1`,
    { details: { option: 'latencyMs' } },
  )
}
