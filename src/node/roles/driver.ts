/**
 * Passes inputs to the core and carries out its effects in their order. The role is changed only
 * here.
 *
 * Invariants: inputs are processed one at a time in the order of their arrival, so an effect that
 * answers at once is an input of a later step; each input carries the current facts of the copy;
 * durable facts are written one after the other, and what depends on them waits for `persisted`.
 */
import debug from 'debug'
import { explain } from '../../core/state/explain.js'
import type { DurableFacts, Role } from '../../core/state/facts.js'
import type { CoreState } from '../../core/state/state.js'
import type {
  CoreCommand,
  CoreEffect,
  CoreEvent,
  CoreInput,
  Decision,
} from '../../core/state/types.js'
import { createCore, nextDueMs, step } from '../../core/step.js'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError, whatHappened } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { NodeOptions } from '../contract/options.js'
import type { Tried } from '../contract/tried.js'
import type { Replica } from '../data/replica.js'
import type { Links } from '../peers/links.js'
import { FactsWriter } from './hard-state-writer.js'
import { AskedGate } from './promotion-gate.js'
import { TimelyTenure } from './tenure-check.js'

const log = debug('hotspare:core')

type WithoutFacts<T> = T extends unknown ? Omit<T, 'nowMs' | 'wallMs' | 'copy'> : never
/** An input without the time and the facts of the copy, which the driver adds. */
export type DriverInput = WithoutFacts<CoreInput>

/** The parts that the driver uses. */
export interface DriverContext {
  readonly options: NodeOptions
  readonly bootId: string
  /** Whether this node must follow an active before it may serve. */
  readonly join: boolean
  readonly links: Links
  readonly replica: Replica
  writeFacts(facts: DurableFacts): Promise<void>
  readonly owner: RoleOwner
  onEvent(event: CoreEvent): void
  onError(error: unknown): void
  /** Reports that a repeated attempt failed or, without an error, succeeded. */
  tried(what: Tried, error?: unknown): void
}

/** A change of role. */
export interface RoleChange {
  readonly role: Role
  readonly from: Role
  readonly reason: string
  /** The term of a new active. */
  readonly term: Term | undefined
  /** The active that this node follows or last followed. */
  readonly followed: string | undefined
  /** Whether the role is being handed over. */
  readonly handsOver: boolean
}

/** The owner of everything that begins and ends with a role. */
export interface RoleOwner {
  /** Called first, before any consequence of the change. */
  changed(change: RoleChange): void
  /** The tenure continues in a further term. */
  raise(term: Term): void
  /** Ends the tenure, or discards what was prepared for one. */
  end(error: HotspareError): void
}

interface Command {
  resolve(): void
  reject(error: HotspareError): void
}

export class Driver {
  readonly tenure: TimelyTenure
  readonly #context: DriverContext
  readonly #state: CoreState
  readonly #queue: DriverInput[] = []
  readonly #commands = new Map<number, Command>()
  #stepping = false
  #role: Role = 'stopped'
  #term: Term | undefined
  readonly #factsWriter: FactsWriter
  #nextCommand = 1
  #lastStepMs: number
  #lastStepWallMs: number
  #timer: unknown
  #tickAtMs = Number.POSITIVE_INFINITY
  readonly #gate: AskedGate
  #open = true

  constructor(context: DriverContext, durable: DurableFacts) {
    this.#context = context
    const { options, bootId, join } = context
    this.#factsWriter = new FactsWriter(
      {
        options,
        writeFacts: (facts) => context.writeFacts(facts),
        persisted: (id) => this.input({ type: 'persisted', id }),
        onError: (error) => context.onError(error),
        tried: (error) => context.tried('facts', error),
      },
      durable,
    )
    this.#gate = new AskedGate(
      (id, ok) => this.input({ type: 'gate', id, ok }),
      (error) => context.onError(error),
    )
    this.tenure = new TimelyTenure(this, options.heartbeatMs)
    this.#lastStepMs = options.clock.nowMs()
    this.#lastStepWallMs = options.clock.wallMs()
    this.#state = createCore({
      nodeId: options.id,
      bootId,
      cluster: options.cluster,
      members: options.members.map(({ id, observer }) => ({ id, promotable: observer !== true })),
      heartbeatMs: options.heartbeatMs,
      deadMs: options.deadMs,
      discoveryMs: options.discoveryMs,
      startupWaitMs: options.startupWaitMs,
      degradeAfterMs: options.degradeAfterMs,
      switchoverMs: options.switchoverMs,
      onMissingPeer: options.onMissingPeer,
      order: options.order,
      allowStale: options.allowStale,
      join,
    })
  }

  get role(): Role {
    return this.#role
  }

  /** The present term of an active. */
  get term(): Term | undefined {
    return this.#term
  }

  get durable(): DurableFacts {
    return this.#factsWriter.latest
  }

  get state(): Readonly<CoreState> {
    return this.#state
  }

  /** Why the gate does not let this node become active; undefined when it does. */
  get atGate(): string | undefined {
    return this.#gate.stuck
  }

  explain(): readonly Decision[] {
    return explain(this.#state)
  }

  start(): void {
    this.input({ type: 'start', durable: this.durable })
  }

  /**
   * Milliseconds since the core last saw the time. Large values mean that this process was paused;
   * the monotonic clock stops while a machine is suspended, the wall clock does not.
   */
  get lateMs(): number {
    const { clock } = this.#context.options
    return Math.max(clock.nowMs() - this.#lastStepMs, clock.wallMs() - this.#lastStepWallMs)
  }

  /** Passes an input to the core and carries out the effects. */
  input(input: DriverInput): void {
    if (!this.#open) return
    this.#queue.push(input)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#step(next)
      }
    } finally {
      this.#stepping = false
    }
    this.#scheduleTick()
  }

  /**
   * Resolves when the core has carried out the command.
   *
   * @throws the error code of its answer
   */
  command(command: CoreCommand): Promise<void> {
    if (!this.#open) return Promise.reject(stoppedBefore())
    const id = this.#nextCommand
    this.#nextCommand += 1
    return new Promise((resolve, reject) => {
      this.#commands.set(id, { resolve, reject })
      this.input({ type: 'command', id, command })
    })
  }

  close(): void {
    this.#open = false
    this.#factsWriter.close()
    this.#endGate()
    this.#context.options.clock.clearTimer(this.#timer)
    for (const command of this.#commands.values()) {
      command.reject(stoppedBefore())
    }
    this.#commands.clear()
  }

  /** Resolves when all facts are persisted. */
  settled(): Promise<void> {
    return this.#factsWriter.settled()
  }

  #tick(): void {
    if (!this.#open) return
    this.#tickAtMs = Number.POSITIVE_INFINITY
    this.input({ type: 'tick', due: true })
  }

  /** Sets the timer for the core's next deadline. */
  #scheduleTick(): void {
    const dueMs = nextDueMs(this.#state)
    if (!this.#open || dueMs === this.#tickAtMs) return
    const { clock } = this.#context.options
    clock.clearTimer(this.#timer)
    this.#tickAtMs = dueMs
    // Rounded up, because a timer that fires too early would have to be set again.
    this.#timer = clock.setTimer(Math.ceil(dueMs - clock.nowMs()), () => this.#tick())
  }

  #step(input: DriverInput): void {
    const { clock } = this.#context.options
    const time = { nowMs: clock.nowMs(), wallMs: clock.wallMs() }
    this.#lastStepMs = time.nowMs
    this.#lastStepWallMs = time.wallMs
    const copy = this.#context.replica.facts()
    this.#perform(step(this.#state, { ...time, ...input, copy } as CoreInput))
    this.#endGate()
  }

  /** Ends the gate call of a round that is over. */
  #endGate(): void {
    const { round } = this.#state
    this.#gate.endUnless(this.#open && round?.phase === 'gate' ? round.waitId : undefined)
  }

  #perform(effects: readonly CoreEffect[]): void {
    for (const effect of effects) {
      try {
        this.#carryOut(effect)
      } catch (error) {
        this.#context.onError(error)
      }
    }
  }

  #carryOut(effect: CoreEffect): void {
    const { links, replica } = this.#context
    if (effect.type !== 'send') log('%s %o', this.#context.options.id, effect)
    switch (effect.type) {
      case 'send':
        return links.sendCore(effect.to, effect.message)
      case 'redial':
        return links.redial(effect.peer, effect.olderThanMs)
      case 'persist':
        return this.#factsWriter.write(effect.id, effect.facts)
      case 'role':
        return this.#become(effect.role, effect.reason, effect.term)
      case 'follow':
        return replica.inflow.follow(effect.peer, effect.term)
      case 'unfollow':
        return replica.inflow.unfollow()
      case 'cutStream':
        return this.#answer(replica.cutStream(), () => ({ type: 'cut', id: effect.id }))
      case 'fetch':
        return this.#fetch(effect.id, effect.peer, effect.seq)
      case 'mayBecomeActive':
        return this.#askGate(effect.id, effect.epoch)
      case 'openTerm':
        return this.#openTerm(effect.term, effect.degraded)
      case 'fork':
        return replica.writer?.fork()
      case 'freeze':
        return replica.freeze()
      case 'unfreeze':
        return replica.unfreeze()
      case 'drain':
        return this.#drain(effect.id, effect.target, effect.deadlineMs)
      case 'peerLost':
        return replica.followers.peerLost(effect.peer, effect.proven)
      case 'commandDone':
        return this.#commandDone(effect.id, effect.error)
      case 'emit':
        return this.#context.onEvent(effect.event)
    }
  }

  #answer<T>(work: Promise<T>, input: (value: T) => DriverInput): void {
    work.then(
      (value) => this.input(input(value)),
      (error: unknown) => this.#context.onError(error),
    )
  }

  #become(role: Role, reason: string, term: Term | undefined): void {
    const from = this.#role
    this.#role = role
    this.#term = role === 'active' ? term : undefined
    if (role !== 'discovering') this.#gate.forget()
    const { followed, handover } = this.#state
    const handsOver = handover !== undefined
    this.#context.owner.changed({ role, from, reason, term, followed: followed?.id, handsOver })
  }

  #fetch(id: number, peer: string, seq: number): void {
    const { replica } = this.#context
    const moved = (count: number): void => this.input({ type: 'fetchProgress', id, count })
    replica.inflow.fetch(peer, seq, moved).then(
      () => {
        this.#context.tried('fetch')
        this.input({ type: 'fetched', id, ok: true })
      },
      (error: unknown) => {
        // A fetch that is no longer needed is aborted, which is no failure.
        if (!HotspareError.is(error, 'ABORTED')) this.#context.tried('fetch', error)
        const reason = whatHappened(error)
        this.input({ type: 'fetched', id, ok: false, reason })
      },
    )
  }

  #askGate(id: number, epoch: number): void {
    const { gate } = this.#context.options
    if (gate === undefined) return void this.#queue.push({ type: 'gate', id, ok: true })
    this.#gate.ask(gate, id, epoch)
  }

  #openTerm(term: Term, degraded: boolean): void {
    const { replica } = this.#context
    const progressed = (): void => this.input({ type: 'termProgress', term })
    replica.openTerm(term, { degraded, tenure: this.tenure, progressed }).then(
      () => {
        if (this.#role === 'active') this.#raise(term)
        // The storage may have failed after the term was durable, when there was no active yet that
        // could step down.
        const { failed } = replica.copy
        const reason = failed === undefined ? {} : { reason: whatHappened(failed) }
        const ok = failed === undefined
        this.input({ type: 'termOpened', term, ok, ...reason })
        // The core may have abandoned the round while the term was being opened, so that this node
        // does not serve.
        if (this.#role !== 'active')
          this.#context.owner.end(new HotspareError('NOT_ACTIVE', 'not promoted'))
      },
      (error: unknown) => {
        this.#context.tried('promotion', error)
        const reason = whatHappened(error)
        this.input({ type: 'termOpened', term, ok: false, reason })
      },
    )
  }

  #raise(term: Term): void {
    this.#term = term
    this.#context.owner.raise(term)
  }

  #drain(id: number, target: string | undefined, deadlineMs: number): void {
    const { replica } = this.#context
    replica.drain(target, deadlineMs).then(
      () => this.input({ type: 'drained', id, ok: true }),
      (error: unknown) => {
        const reason = whatHappened(error)
        this.input({ type: 'drained', id, ok: false, reason })
      },
    )
  }

  #commandDone(id: number, error: { code: string; message: string } | undefined): void {
    const command = this.#commands.get(id)
    this.#commands.delete(id)
    if (command === undefined) return
    if (error === undefined) return command.resolve()
    command.reject(new HotspareError(error.code as ErrorCode, error.message))
  }
}

function stoppedBefore(): HotspareError {
  return new HotspareError('STOPPED', 'the node stopped before the command was done')
}
