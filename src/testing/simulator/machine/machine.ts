/**
 * A simulated machine: its disk and clock, and the process that runs on it now, with a real node in
 * it.
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

/** What a process tells the world. */
export interface ProcessHooks {
  onEvent(process: Process, event: NodeLogEvent): void
  onApply(process: Process, change: RegisterChange, at: { epoch: number; seq: number }): void
  /** It asks whether it may become active, which takes time. */
  onGate(process: Process): void
  /** It changed bytes that it had lent to a call of an adapter. */
  onLentChanged(process: Process, call: string): void
  /** Who listens to what it sends and has its disk do. */
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
  /** In what its policy differs from the shared one; undefined when it does not. */
  readonly difference: PolicyDifference | undefined
  /** How `start()` ended so far. */
  started: 'starting' | 'started' | HotspareError = 'starting'
  stopping: Promise<void> | undefined
  alive: boolean = true
  /** Where its journal began when it was last looked at; 0 before that. */
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

  /** What it asks before a promotion, as far as that takes time. */
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

  /** What its journal holds durably. */
  get durable(): Extent | undefined {
    const copy = this.copy
    return copy === undefined ? undefined : { history: copy.history, seq: copy.durableSeq }
  }
}

/** What a process is made of. */
export interface ProcessOptions {
  readonly members: readonly MemberOptions[]
  readonly network: MemoryNetwork
  readonly choices: NodeChoices
  /** In what its policy differs from the shared one. */
  readonly difference?: PolicyDifference | undefined
  readonly random: SeededRandom
  /** Decides for how long its connections need the bytes of a frame. */
  readonly lentRandom: SeededRandom
  /**
   * Decides what a node of the next version sends beside the rest; undefined for one of this
   * version.
   */
  readonly laterRandom: SeededRandom | undefined
  readonly hooks: ProcessHooks
  /**
   * How long the answer of what it asks before a promotion takes at most; 0: it asks nobody.
   * Default 0.
   */
  readonly gateMs?: number
  /** How much later than on other connections entries come to it. Default 0. */
  readonly streamLagMs?: number
}

/** What a machine is made of. */
export interface MachineOptions {
  readonly id: string
  readonly address: string
  readonly clock: MachineClock
  readonly storage: MemoryStorage
  /** Milliseconds of one disk operation; 0 means at once. */
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
  /** Without power: nothing can be started. */
  off: boolean = false
  /** Its operator gave the vault more room than the schedule did. */
  roomy: boolean = false
  /** Its operator deployed the policy that all share, for its next start and all later ones. */
  deployed: boolean = false
  /** A bit of its disk was turned over: what was durable may be gone. */
  damaged: boolean = false
  /** Backups of its disk, oldest first. */
  readonly images: Backup[] = []
  /** When its disk was replaced or put back the last time: what was on it before is gone. */
  replacedMs: number = Number.NEGATIVE_INFINITY
  /**
   * When the backup was taken that was put back then; what was on the disk at that time is on it
   * again.
   */
  backedUpMs: number = Number.NEGATIVE_INFINITY
  /** Until when calls of its disk may hang that began during a fault, also when that was ended. */
  hangsUntilMs: number = Number.NEGATIVE_INFINITY
  /** Its disk is an empty one, and its operator starts it with `join` until it was restored. */
  joins: boolean = false
  /** What the application keeps in a store of its own; undefined for one that keeps nothing. */
  readonly kept: KeptState | undefined
  readonly #diskMs: number
  /** What makes its disk slow now: each says how long a call takes, the longest counts. */
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

  /** Its disk takes at least so long for a call. Answers how to end that. */
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

  /** Whether nothing is wrong with its disk now. */
  get isDiskSound(): boolean {
    const { full, readOnly, failNextSync, loseNextSync, failure } = this.storage.faults
    const isQuick = this.#slowness.size === 0
    return isQuick && !full && !readOnly && !failNextSync && !loseNextSync && failure === undefined
  }

  /** Everything that went wrong with its disk is over. */
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

  /** The process while it is alive and moves. */
  get running(): Process | undefined {
    return this.clock.held ? undefined : this.process
  }
}
