/**
 * A cluster of real nodes on virtual time, memory storage and a memory network, with methods for
 * every fault and every action of an operator.
 *
 * Invariants: all randomness comes from the seed; time passes only in `run`, `until` and `settle`;
 * a dead process has no effect any more.
 */
import type { HotspareError } from '../../errors.js'
import type { MemberOptions } from '../../node/contract/options.js'
import { nodeDefaults } from '../../node/contract/options.js'
import type { StartOptions } from '../../node/contract/start-options.js'
import type { MemoryImage } from '../../storage/memory.js'
import { memory } from '../../storage/memory.js'
import type { MemoryNetwork } from '../../transport/memory.js'
import { memoryNetwork } from '../../transport/memory.js'
import type { Checker, ProcessEnd, Report, TapListener } from './checkers/checker.js'
import { Links } from './links.js'
import { Machine, Process } from './machine/machine.js'
import type { PolicyDifference } from './machine/policies.js'
import { KeptState } from './machine/register.js'
import { SeededRandom } from './machine/seeded-random.js'
import type { TapHooks } from './machine/taps.js'
import { MachineClock } from './machine/virtual-clock.js'
import { Pauses } from './pauses.js'
import { Stage } from './stage.js'
import { Watch } from './watch.js'
import type { WorldOptions } from './world-options.js'

export class World extends Stage {
  readonly random: SeededRandom
  readonly network: MemoryNetwork
  readonly links: Links
  readonly pauses: Pauses
  readonly members: readonly MemberOptions[]
  readonly machines: Map<string, Machine> = new Map()
  /** A node that uses the id of the last member, at its own address, without knowing the secret. */
  intruder: Machine | undefined
  /** Whether the schedule has so few faults that no acknowledged write may be lost. */
  strict: boolean = false
  /** Times at which machines lost what they had in memory only. */
  readonly memoryLost: { readonly id: string; readonly atMs: number }[] = []
  /** Whether a disk was replaced in this phase; two in one phase could lose acknowledged writes. */
  replacedInPhase: boolean = false
  readonly #options: WorldOptions
  readonly #watch = new Watch(this)
  /**
   * A cached list, because it is needed after every event; undefined when it must be computed
   * again.
   */
  #processes: readonly Process[] | undefined
  /** Its own random source, so that it changes nothing else about the run. */
  readonly #lentRandom: SeededRandom
  readonly #laterRandom: SeededRandom

  constructor(options: WorldOptions) {
    super(options.seed, options.verbose)
    this.#options = options
    this.random = new SeededRandom(options.seed)
    this.#lentRandom = new SeededRandom(options.seed ^ 0x1e27)
    this.#laterRandom = new SeededRandom(options.seed ^ 0x2a7e)
    const { nodes = 3, observers = [], latencyMs = 1, jitterMs = 0, secure = true } = options
    const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`)
    this.members = ids.map((id) => ({ id, address: `${id}:1`, observer: observers.includes(id) }))
    this.network = memoryNetwork({
      clock: this.clock,
      random: this.random.fork(),
      latencyMs,
      jitterMs,
      secure,
    })
    const machine = (id: string): Machine => this.machine(id)
    this.links = new Links(this, this.network, (id) => machine(id).address)
    this.pauses = new Pauses(this, this.network, this.random, machine)
    for (const id of ids) this.machines.set(id, this.#newMachine(id, `${id}:1`))
    if (options.intruderKnows !== undefined) {
      this.intruder = this.#newMachine(`n${nodes}`, 'stranger:1')
    }
    this.#watch.sample()
  }

  #newMachine(id: string, address: string): Machine {
    const { diskMs = 0, drift = false, keepsEvery } = this.#options
    const clock = new MachineClock(this.clock, {
      monotonicOffsetMs: this.random.below(1_000_000),
      wallOffsetMs: (this.random.number() - 0.5) * 7 * 86_400_000,
      ...(drift ? { rate: 1 + (this.random.number() - 0.5) * 0.01 } : {}),
    })
    const kept = keepsEvery === undefined ? undefined : new KeptState(keepsEvery)
    return new Machine({ id, address, clock, storage: memory({ clock }), diskMs, kept })
  }

  /**
   * Makes the next sync of the disk fail: of appended log records or, in worlds with `losesSyncs`,
   * of files, whose data is lost then.
   */
  failSync(id: string): void {
    const { faults } = this.machine(id).storage
    const { losesSyncs = false } = this.#options
    this.timeline.add(this.nowMs, id, losesSyncs ? 'loseNextSync' : 'failNextSync')
    if (losesSyncs) faults.loseNextSync = true
    else faults.failNextSync = true
  }

  /** Adds checkers, each created with a function by which it reports. */
  check(...checkers: ((world: World, report: Report) => Checker)[]): void {
    for (const make of checkers) this.addChecker((report) => make(this, report))
  }

  machine(id: string): Machine {
    const machine = this.machines.get(id)
    if (machine === undefined) throw new Error(`there is no machine ${id}`)
    return machine
  }

  /** The living process of a machine. Throws when there is none. */
  process(id: string): Process {
    const { process } = this.machine(id)
    if (process === undefined) throw new Error(`nothing runs on ${id}`)
    return process
  }

  /**
   * The living processes of all members. The list is never modified; a new one is made when a
   * process starts or ends.
   */
  get processes(): readonly Process[] {
    this.#processes ??= [...this.machines.values()].flatMap(({ process }) =>
      process === undefined ? [] : [process],
    )
    return this.#processes
  }

  actives(): string[] {
    const actives: string[] = []
    for (const { id, node } of this.processes) if (node.role === 'active') actives.push(id)
    return actives
  }

  /** The state of all nodes, one line per node. */
  describe(): string {
    const lines = [...this.machines.values()].map((machine) => {
      const { id, process, off, clock } = machine
      if (process === undefined) return `${id} ${off ? 'off' : 'dead'}`
      const status = process.node.status()
      const at = `${status.term?.epoch ?? '-'} seq ${process.copy?.seq ?? '-'}`
      const more = `promised ${status.epoch} active ${status.active ?? '-'} inSync ${status.inSync.join()}`
      return `${id} ${clock.held ? 'frozen ' : ''}${status.role} term ${at} ${more} ${status.stuck ?? ''}`
    })
    return lines.join('\n')
  }

  // ── Processes ─────────────────────────────────────────────────────────────────────────────────

  /** Starts a new process on a machine that has none. */
  start(
    id: string,
    machine: Machine = this.machine(id),
    options: StartOptions = machine.joins ? { join: true } : {},
  ): Process {
    if (machine.process !== undefined) throw new Error(`${id} runs already`)
    if (machine.off) throw new Error(`${id} has no power`)
    machine.boots += 1
    const { intruderKnows: secret, gateMs = 0, streamLagMs = 0, later = [] } = this.#options
    const isLater = later.includes(id)
    const wrong = machine === this.intruder && secret !== undefined ? { secret } : {}
    const roomy = machine.roomy ? { vaultBytesMax: nodeDefaults.vaultBytesMax } : {}
    const process = new Process(machine, {
      members: this.#membersOf(machine),
      network: this.network,
      choices: { ...this.#options.choices, ...this.#options.choicesOf?.(id), ...wrong, ...roomy },
      difference: machine === this.intruder ? undefined : this.#differenceOf(machine),
      random: this.random.fork(),
      lentRandom: this.#lentRandom.fork(),
      laterRandom: isLater && machine !== this.intruder ? this.#laterRandom.fork() : undefined,
      gateMs,
      streamLagMs,
      hooks: {
        onEvent: (from, event) => this.#watch.event(from, event),
        onApply: (from, change, at) => {
          if (from.alive) this.tell((checker) => checker.applied?.(from, change, at))
        },
        onGate: () => this.#healMeanwhile(gateMs),
        onLentChanged: ({ id: from }, call) =>
          this.violate('lent bytes', `${from} changed bytes that ${call} still needed`),
        tapsOf: (from) => this.#tapsOf(from, machine),
      },
    })
    machine.process = process
    machine.startFailure = undefined
    this.#processes = undefined
    const name = machine === this.intruder ? 'stranger' : id
    const boot = options.join === true ? `${process.boot} join` : process.boot
    this.timeline.add(this.nowMs, name, 'start', boot)
    if (process.difference !== undefined)
      this.timeline.add(this.nowMs, id, 'otherPolicy', process.difference)
    if (machine !== this.intruder) this.tell((checker) => checker.started?.(process))
    process.node.start(options).then(
      () => {
        process.started = 'started'
      },
      (error: unknown) => this.#onStartFailed(machine, process, error),
    )
    return process
  }

  /** How the policy with which a machine starts now differs from the shared one. */
  #differenceOf({ id, boots, deployed }: Machine): PolicyDifference | undefined {
    const differing = this.#options.policies?.[id]
    if (differing === undefined || deployed) return undefined
    const at = boots - differing.fromBoot
    return at >= 0 && at < differing.boots ? differing.difference : undefined
  }

  /** Whether a member runs, or will run, with a policy that differs. */
  get differs(): boolean {
    const { policies = {} } = this.#options
    return Object.keys(policies).some((id) => !this.machine(id).deployed)
  }

  /** Gives a machine the shared policy from its next start on. */
  deployPolicy(id: string): void {
    this.timeline.add(this.nowMs, id, 'deployPolicy')
    this.machine(id).deployed = true
  }

  /**
   * Often heals links during a promotion, so that delayed frames of the old active meet promises to
   * a new one.
   */
  #healMeanwhile(gateMs: number): void {
    if (this.links.hasCuts && this.random.chance(0.6)) {
      this.later(this.random.below(gateMs), () => this.links.heal())
    }
  }

  /** The members in the configuration of a node. */
  #membersOf(machine: Machine): readonly MemberOptions[] {
    const { wrongAddresses = {} } = this.#options
    const isIntruder = machine === this.intruder
    return this.members.map((member) => {
      // The intruder replaces the member whose id it uses, with its own address.
      const isOwn = member.id === machine.id
      const intruding = isOwn ? machine.address : undefined
      const address = isIntruder ? intruding : isOwn ? undefined : wrongAddresses[member.id]
      return address === undefined ? member : { ...member, address }
    })
  }

  /** Passes the messages and disk calls of a member to all checkers. */
  #tapsOf(process: Process, machine: Machine): TapHooks {
    const tell = (call: (taps: TapListener) => void): void => {
      if (!process.alive || machine === this.intruder) return
      this.tell(({ taps }) => {
        if (taps !== undefined) call(taps)
      })
    }
    return {
      sent: (sent) => tell((taps) => taps.sent?.(process, sent)),
      queued: (to, bytes, type) => tell((taps) => taps.queued?.(process, to, bytes, type)),
      factsDurable: (facts) => tell((taps) => taps.factsDurable?.(process, facts)),
      journaling: () => tell((taps) => taps.journaling?.(process)),
      document: (name, value) => tell((taps) => taps.document?.(process, name, value)),
      applying: (operations) => tell((taps) => taps.applying?.(process, operations)),
      dirty: (keys) => tell((taps) => taps.dirty?.(process, keys)),
      synced: (kind, keys) => tell((taps) => taps.synced?.(process, kind, keys)),
    }
  }

  #onStartFailed(machine: Machine, process: Process, error: unknown): void {
    if (!process.alive || process.stopping !== undefined) return
    process.started = error as HotspareError
    machine.startFailure = error as HotspareError
    this.timeline.add(this.nowMs, machine.id, 'startFailed', error)
    this.#over(machine, process, 'killed')
  }

  /** An operator orders a node to take over without the other nodes. */
  takeOver({ id, node }: Process): void {
    const withoutPeers = this.members.map((member) => member.id).filter((other) => other !== id)
    this.timeline.add(this.nowMs, id, 'takeOver')
    this.excuse('takeOver', id)
    node.takeOver({ withoutPeers }).catch(() => undefined)
  }

  /** Gives the vault of this node its default space from its next start on. */
  makeRoom(id: string): void {
    this.timeline.add(this.nowMs, id, 'vaultFull')
    this.machine(id).roomy = true
  }

  startAll(): void {
    for (const { id } of this.members) this.start(id)
  }

  /** Kills the process like SIGKILL: what was written stays, and the machine keeps running. */
  kill(id: string, machine: Machine = this.machine(id)): void {
    const { process } = machine
    if (process === undefined) return
    this.timeline.add(this.nowMs, id, 'kill')
    this.memoryLost.push({ id, atMs: this.nowMs })
    this.#over(machine, process, 'killed')
    this.network.crash(machine.address)
    machine.storage.crash(this.random, { powerCut: false })
  }

  /** Cuts the power of the machine: what was not synced may be lost, and peers get no notice. */
  powerOff(id: string): void {
    const machine = this.machine(id)
    if (machine.off) return
    this.timeline.add(this.nowMs, id, 'powerOff')
    this.memoryLost.push({ id, atMs: this.nowMs })
    machine.off = true
    if (machine.process !== undefined) this.#over(machine, machine.process, 'killed')
    this.network.powerOff(machine.address)
    machine.storage.crash(this.random)
  }

  powerOn(id: string): void {
    const machine = this.machine(id)
    if (!machine.off) return
    this.timeline.add(this.nowMs, id, 'powerOn')
    machine.off = false
    this.network.powerOn(machine.address)
  }

  /**
   * Cuts the power of the machine and replaces its disk, with an empty one or with a backup. For an
   * empty one the caller sets `joins`, unless the operator forgets it.
   */
  replaceDisk(
    id: string,
    image?: MemoryImage,
    backedUpMs: number = Number.NEGATIVE_INFINITY,
  ): void {
    const machine = this.machine(id)
    this.powerOff(id)
    this.timeline.add(this.nowMs, id, image === undefined ? 'diskReplaced' : 'diskPutBack')
    machine.storage.replace(image)
    machine.replacedMs = this.nowMs
    machine.backedUpMs = backedUpMs
    machine.joins = false
    // The application's own store is on the same disk.
    if (machine.kept !== undefined) Object.assign(machine.kept, { names: [], position: undefined })
    this.tell((checker) => checker.replaced?.(machine))
  }

  /** Stops a node in order. Resolves when that is done, unless the process dies first. */
  stop(id: string): Promise<void> {
    const machine = this.machine(id)
    const process = this.process(id)
    if (process.stopping !== undefined) return process.stopping
    this.timeline.add(this.nowMs, id, 'stop')
    const { copy } = process
    process.stopping = process.node.stop().then(
      () => {
        if (!process.alive) return
        this.timeline.add(this.nowMs, id, 'stopped')
        // When the disk fails during the stop, what was in memory only is lost.
        if (copy !== undefined && copy.durableSeq < copy.seq) {
          this.memoryLost.push({ id, atMs: this.nowMs })
        }
        this.#over(machine, process, 'stopped')
      },
      (error: unknown) => this.violate('stop', `${id} could not be stopped: ${String(error)}`),
    )
    return process.stopping
  }

  #over(machine: Machine, process: Process, how: ProcessEnd): void {
    if (machine !== this.intruder) this.tell((checker) => checker.ending?.(process, how))
    if (process.node.status().restore !== undefined) this.timeline.count('restore interrupted')
    for (const write of this.writes) {
      if (write.outcome.kind === 'open' && write.process === process) this.openWrites -= 1
    }
    process.alive = false
    process.clock.die()
    machine.process = undefined
    this.#processes = undefined
    machine.clock.forget()
    this.pauses.ended(machine.id)
    this.#watch.noteActives()
  }

  /** Ends all faults of network, disks and power; starts no process. */
  mend(): void {
    this.endFaults()
    const { latencyMs = 1 } = this.#options
    this.links.mend(
      this.members.map(({ id }) => id),
      latencyMs,
    )
    for (const machine of this.machines.values()) {
      if (machine.off) this.powerOn(machine.id)
      machine.mendDisk()
    }
    for (const id of this.pauses.frozen) this.pauses.thaw(id)
  }
}
