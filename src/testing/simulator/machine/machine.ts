/**
 * A simulated machine: its disk and clock, and the process that runs on it, which contains a real
 * node.
 */
import { ClusterNode, runtimeOf } from '../../../cluster-node.js'
import type { LocalCopy } from '../../../copy/local-copy.js'
import type { HotspareError } from '../../../errors.js'
import type { Extent } from '../../../history/position.js'
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { ClusterNodeOptions, MemberOptions } from '../../../node/contract/options.js'
import type { Runtime } from '../../../node/runtime.js'
import type { MemoryImage, MemoryOperation, MemoryStorage } from '../../../storage/memory.js'
import type { MemoryNetwork } from '../../../transport/memory.js'
import { heldTransport } from './held-transport.js'
import { lateStreams } from './late-streams.js'
import { laterVersion } from './later-version.js'
import { lentStorage, lentTransport } from './lent-bytes.js'
import type { PolicyDifference } from './policies.js'
import { simulatedPolicy } from './policies.js'
import type { KeptState, RegisterChange, SimulatedClasses } from './register.js'
import { Register } from './register.js'
import type { SeededRandom } from './seeded-random.js'
import type { TapHooks } from './taps.js'
import { tappedStorage, tappedTransport } from './taps.js'
import { type MachineClock, ProcessClock } from './virtual-clock.js'

/** Options of the simulated nodes, as far as a schedule chooses them. */
export type NodeChoices = Partial<
  Omit<ClusterNodeOptions<SimulatedClasses>, 'id' | 'members' | 'transport' | 'storage' | 'policy'>
>

/** What a process reports to the world. */
export interface ProcessHooks {
  onEvent(process: Process, event: NodeLogEvent): void
  onApply(process: Process, change: RegisterChange, at: { epoch: number; seq: number }): void
  /** It asks its gate whether it may become active, which takes time. */
  onGate(process: Process): void
  /** It changed bytes that were lent to a call of an adapter. */
  onLentChanged(process: Process, call: string): void
  /** The listeners for its messages and disk calls. */
  tapsOf(process: Process): TapHooks
}

/** One run of a node, from its start to its stop or death. */
export class Process {
  readonly id: string
  readonly boot: number
  readonly node: ClusterNode<SimulatedClasses>
  readonly register: Register
  readonly clock: ProcessClock
  /** The options that the schedule chose for it. */
  readonly choices: NodeChoices
  /** How its policy differs from the shared one; undefined when it does not. */
  readonly difference: PolicyDifference | undefined
  /** The outcome of `start()` so far. */
  started: 'starting' | 'started' | HotspareError = 'starting'
  stopping: Promise<void> | undefined
  alive: boolean = true
  /** The first change of its journal when that was last checked; 0 before. */
  journalFrom: number = 0

  constructor(machine: Machine, options: ProcessOptions) {
    const { members, network, choices, random, hooks, streamLagMs = 0 } = options
    this.id = machine.id
    this.choices = choices
    this.difference = options.difference
    this.boot = machine.boots
    this.clock = new ProcessClock(machine.clock)
    this.register = new Register((change, at) => hooks.onApply(this, change, at), machine.kept)
    const taps = hooks.tapsOf(this)
    const held = heldTransport(network.transport(machine.address), machine.clock)
    const late = streamLagMs > 0 ? lateStreams(held, this.clock, streamLagMs) : held
    const changed = (call: string): void => {
      if (this.alive) hooks.onLentChanged(this, call)
    }
    const { laterRandom } = options
    const spoken = laterRandom === undefined ? late : laterVersion(late, laterRandom)
    const transport = lentTransport(spoken, options.lentRandom, changed)
    this.node = new ClusterNode<SimulatedClasses>({
      cluster: 'simulated',
      ...choices,
      ...this.#gate(options),
      id: machine.id,
      members,
      transport: tappedTransport(transport, taps),
      storage: tappedStorage(lentStorage(machine.storage, changed), taps),
      policy: simulatedPolicy(this.register, this.difference),
      clock: this.clock,
      random,
      logger: (event) => {
        if (this.alive) hooks.onEvent(this, event)
      },
    })
  }

  /** The promotion gate, if the world has one that takes time. */
  #gate({ gateMs = 0, random, hooks }: ProcessOptions): Pick<NodeChoices, 'gate'> {
    if (gateMs === 0) return {}
    const mayBecomeActive = (): Promise<boolean> => {
      if (this.alive) hooks.onGate(this)
      return new Promise((resolve) =>
        this.clock.setTimer(random.below(gateMs), () => resolve(true)),
      )
    }
    return { gate: { mayBecomeActive } }
  }

  get runtime(): Runtime {
    return runtimeOf(this.node)
  }

  /** Its copy, once opened. */
  get copy(): LocalCopy | undefined {
    try {
      return this.runtime.writes.copy()
    } catch {
      return undefined
    }
  }

  /** The durable part of its journal. */
  get durable(): Extent | undefined {
    const copy = this.copy
    return copy === undefined ? undefined : { history: copy.history, seq: copy.durableSeq }
  }
}

/** What a process is created from. */
export interface ProcessOptions {
  readonly members: readonly MemberOptions[]
  readonly network: MemoryNetwork
  readonly choices: NodeChoices
  /** How its policy differs from the shared one. */
  readonly difference?: PolicyDifference | undefined
  readonly random: SeededRandom
  /** Decides how long its connections keep the bytes of a frame. */
  readonly lentRandom: SeededRandom
  /**
   * Decides what a node of the next version sends in addition; undefined for one of this version.
   */
  readonly laterRandom: SeededRandom | undefined
  readonly hooks: ProcessHooks
  /** The longest time that the promotion gate takes; 0 means no gate. Default 0. */
  readonly gateMs?: number
  /** How much later than on other connections entries arrive. Default 0. */
  readonly streamLagMs?: number
}

/** What a machine is created from. */
export interface MachineOptions {
  readonly id: string
  readonly address: string
  readonly clock: MachineClock
  readonly storage: MemoryStorage
  /** The duration of one disk operation in milliseconds; 0 means at once. */
  readonly diskMs: number
  readonly kept: KeptState | undefined
}

/** An older state of a disk. */
export interface Backup {
  readonly image: MemoryImage
  readonly atMs: number
}

/** A machine with a disk that outlives its processes. */
export class Machine {
  readonly id: string
  readonly address: string
  readonly clock: MachineClock
  readonly storage: MemoryStorage
  boots: number = 0
  process: Process | undefined
  /** Whether it has no power, so that nothing can be started. */
  off: boolean = false
  /** Whether an operator gave the vault more space than the schedule did. */
  roomy: boolean = false
  /** Whether an operator deployed the shared policy, which its next start uses. */
  deployed: boolean = false
  /** Whether a bit of its disk was flipped, so that durable data may be lost. */
  damaged: boolean = false
  /** Backups of its disk, oldest first. */
  readonly images: Backup[] = []
  /** When its disk was last replaced, which lost what was on it. */
  replacedMs: number = Number.NEGATIVE_INFINITY
  /** When the backup was taken that the replaced disk was restored from. */
  backedUpMs: number = Number.NEGATIVE_INFINITY
  /** Until when disk calls that began during a fault may hang, even after the end of the fault. */
  hangsUntilMs: number = Number.NEGATIVE_INFINITY
  /** Whether its disk is empty and its operator starts it with `join` until it is restored. */
  joins: boolean = false
  /** Why the last start failed; undefined when it did not. */
  startFailure: HotspareError | undefined
  /** The application's own store; undefined when it has none. */
  readonly kept: KeptState | undefined
  readonly #diskMs: number
  /** What makes its disk slow now. Each answers how long a call takes; the longest time counts. */
  readonly #slowness = new Set<(operation: MemoryOperation) => number>()

  constructor(options: MachineOptions) {
    const { id, address, clock, storage, diskMs, kept } = options
    this.id = id
    this.address = address
    this.clock = clock
    this.storage = storage
    this.kept = kept
    this.#diskMs = diskMs
    this.#setLatency()
  }

  /** Makes each call of its disk take at least this long. Answers a function that ends it. */
  slow(latency: (operation: MemoryOperation) => number): () => void {
    this.#slowness.add(latency)
    this.#setLatency()
    return () => {
      this.#slowness.delete(latency)
      this.#setLatency()
    }
  }

  #setLatency(): void {
    const isQuick = this.#diskMs === 0 && this.#slowness.size === 0
    this.storage.faults.latency = isQuick ? undefined : (operation) => this.#latencyMs(operation)
  }

  #latencyMs(operation: MemoryOperation): number {
    let latencyMs = this.#diskMs
    for (const slowness of this.#slowness) latencyMs = Math.max(latencyMs, slowness(operation))
    return latencyMs
  }

  /** Whether its disk has no fault now. */
  get isDiskSound(): boolean {
    const { full, readOnly, failNextSync, loseNextSync, failure } = this.storage.faults
    const isQuick = this.#slowness.size === 0
    return isQuick && !full && !readOnly && !failNextSync && !loseNextSync && failure === undefined
  }

  /** Ends all faults of its disk. */
  mendDisk(): void {
    Object.assign(this.storage.faults, {
      full: false,
      readOnly: false,
      failNextSync: false,
      loseNextSync: false,
      failure: undefined,
    })
    this.#slowness.clear()
    this.#setLatency()
  }

  /** The process, unless there is none or it is frozen. */
  get running(): Process | undefined {
    return this.clock.held ? undefined : this.process
  }
}
