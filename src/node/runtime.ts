/**
 * A running node: it starts the adapters, passes inputs to the core, carries out effects through
 * the replica, and offers writes, tenures and events to the application.
 *
 * Invariant: `#parts` exists from the end of opening until the end of `stop()`.
 */
import debug from 'debug'
import type { Vault } from '../copy/vault/vault.js'
import type { Role } from '../core/state/facts.js'
import type { Decision } from '../core/state/types.js'
import { HotspareError } from '../errors.js'
import { abortable, sharedController } from '../util/abort.js'
import type { Emit } from './contract/events.js'
import type { NodeOptions } from './contract/options.js'
import { checkStart, type StartOptions } from './contract/start-options.js'
import { adoptFound } from './data/adopt-found.js'
import { acknowledgesFromMemory } from './data/copy-trust.js'
import { Replica } from './data/replica.js'
import type { ReplicaHooks } from './data/replica-types.js'
import { Inbound } from './inbound.js'
import type { NodeParts } from './node-parts.js'
import { Links } from './peers/links.js'
import { PeerIdentities } from './peers/peer-identities.js'
import { Refusals } from './peers/refusals.js'
import { Twins } from './peers/twins.js'
import { EventHub } from './report/event-hub.js'
import { withOwnCause } from './report/own-copy.js'
import { presentCauses, unheard } from './report/present-causes.js'
import { Redundancy } from './report/redundancy.js'
import { ReplicaNews } from './report/replica-news.js'
import { reportCore } from './report/reports.js'
import { Startup } from './report/startup.js'
import type { NodeStatus } from './report/status.js'
import { statusOf } from './report/status.js'
import { RoleLife } from './role-life.js'
import { Causes, failureOf, textOf } from './roles/causes.js'
import { Driver } from './roles/driver.js'
import { FactsLog } from './roles/hard-state-log.js'
import { mayHaveForgotten, writeFacts } from './roles/orderly-stop.js'
import { TenureRunner } from './roles/tenure.js'
import { FilesApi } from './writes/files.js'
import { WritePath } from './writes/write-path.js'

const log = debug('hotspare:node')

export class Runtime {
  readonly writes: WritePath
  readonly files: FilesApi
  readonly tenures: TenureRunner = new TenureRunner()
  readonly events: EventHub
  readonly #options: NodeOptions
  readonly #bootId: string
  readonly #stop = sharedController()
  readonly #peers: PeerIdentities
  readonly #twins: Twins
  readonly #refusals: Refusals
  readonly #redundancy = new Redundancy((count) => this.#hasInSync(count))
  #started = false
  #parts: NodeParts | undefined
  #opening: Promise<RoleLife> | undefined
  #stopping: Promise<void> | undefined
  readonly #causes: Causes
  readonly #news: ReplicaNews
  readonly #startup: Startup
  readonly #inbound: Inbound

  constructor(options: NodeOptions) {
    this.#options = options
    this.events = new EventHub(options)
    this.#bootId = Buffer.from(options.random.bytes(8)).toString('hex')
    this.#refusals = new Refusals(options.clock, this.emit)
    this.#causes = new Causes(options.clock, this.emit)
    this.#news = new ReplicaNews({
      id: options.id,
      clock: options.clock,
      emit: this.emit,
      causes: this.#causes,
      refused: (refusal) =>
        this.#refusals.tell(`data ${refusal.peer} ${refusal.code} ${refusal.reason}`, refusal),
      replica: () => this.#parts?.replica,
      role: () => this.role,
      input: (input) => this.#parts?.driver.input(input),
    })
    this.#startup = new Startup(options.clock)
    this.#peers = new PeerIdentities(options)
    this.#twins = new Twins({
      id: options.id,
      bootId: this.#bootId,
      clock: options.clock,
      identities: this.#peers,
      emit: this.emit,
      links: () => this.#parts?.links,
    })
    this.writes = new WritePath({
      options,
      bootId: this.#bootId,
      parts: () => this.#parts,
      notRunning: () => this.#notRunning(),
    })
    this.files = new FilesApi(this.writes)
    this.#inbound = new Inbound({
      options,
      emit: this.emit,
      identities: this.#peers,
      twins: this.#twins,
      refusals: this.#refusals,
      redundancy: this.#redundancy,
      writes: this.writes,
      parts: () => this.#parts,
    })
  }

  /** Aborts when the node stops. */
  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  get role(): Role {
    return this.#parts?.driver.role ?? 'stopped'
  }

  get address(): string | undefined {
    return this.#parts?.links.address
  }

  /** @throws `NOT_STARTED`, `STOPPED` */
  get vault(): Vault {
    return this.#running().replica.vault
  }

  #running(): NodeParts {
    if (this.#parts !== undefined) return this.#parts
    throw this.#notRunning()
  }

  #notRunning(): HotspareError {
    const { id } = this.#options
    if (this.#started) return new HotspareError('STOPPED', `the node ${id} is stopped`)
    return new HotspareError('NOT_STARTED', `the node ${id} was not started`)
  }

  readonly emit: Emit = (name, ...event) => {
    this.events.emit(name, ...event)
    this.#redundancy.check()
  }

  async start(options: StartOptions): Promise<void> {
    const { adopt = false, join = false, signal } = options
    if (this.#started)
      throw new HotspareError('ALREADY_STARTED', `the node ${this.#options.id} was started before`)
    checkStart(options, this.#options.members.length)
    this.#started = true
    this.#startup.begin()
    this.#opening = this.#open(adopt, join)
    let life: RoleLife
    try {
      life = await this.#opening
    } catch (error) {
      this.#startup.end()
      throw error
    }
    const stopped = new Promise<never>((_resolve, reject) => {
      const error = new HotspareError('STOPPED', 'the node was stopped while it started')
      this.#stop.signal.addEventListener('abort', () => reject(error), { once: true })
    })
    stopped.catch(() => undefined)
    try {
      await abortable(() => Promise.race([life.settled, stopped]), signal)
    } catch (error) {
      await this.stop()
      throw error
    } finally {
      this.#startup.end()
    }
  }

  async #open(adopt: boolean, join: boolean): Promise<RoleLife> {
    const { id, cluster, clock } = this.#options
    const startup = this.#startup
    const waits = (why: string): void => startup.does(why)
    const storage = await this.#options.storage.open({ nodeId: id, bootId: this.#bootId }, waits)
    const owner = { cluster, nodeId: id }
    let links: Links | undefined
    let replica: Replica | undefined
    try {
      startup.does('reading what the storage holds')
      const facts = await FactsLog.open(storage.logs, owner)
      const durable = facts.facts
      const hooks = this.#replicaHooks()
      const forgot = mayHaveForgotten(facts, acknowledgesFromMemory(this.#options))
      replica = await Replica.open(this.#options, this.#bootId, storage, forgot, hooks, (what) =>
        startup.recovers(what),
      )
      const opened = replica
      const term = { epoch: (durable.promised?.epoch ?? 0) + 1, nodeId: id, bootId: this.#bootId }
      if (adopt) startup.does('taking the files that were found into the history')
      await adoptFound(replica.copy, term, adopt)
      links = new Links(this.#options, this.#bootId, this.#inbound)
      const life = new RoleLife({
        id,
        clock,
        emit: this.emit,
        news: this.#news,
        replica,
        writes: this.writes,
        tenures: this.tenures,
      })
      const driver = new Driver(
        {
          options: this.#options,
          bootId: this.#bootId,
          join,
          links,
          replica,
          writeFacts: (changed) => writeFacts(facts, opened, changed),
          owner: life,
          onEvent: (event) => {
            if (event.name === 'waiting') this.#news.wait(event.missing, clock.nowMs(), event.forMs)
            const told = event.name === 'holding' ? withOwnCause(event, opened.copy) : event
            if (told.name === 'holding') this.#news.hold(told.missing, told.reason)
            reportCore(this.emit, id, told)
          },
          onError: (error) => this.emit('error', error),
          tried: (what, error) => {
            if (error === undefined) this.#causes.over(what)
            else this.#causes.failed(what, failureOf(error))
          },
        },
        durable,
      )
      this.#parts = { storage, replica, links, driver, life }
      // A standby learns the in-sync set from its journal.
      replica.copy.onAppend(({ header }) => {
        if (header.kind === 'inSync') this.#redundancy.check()
      })
      await links.listen()
      driver.start()
      links.start()
      return life
    } catch (error) {
      this.#parts = undefined
      this.#stop.abort()
      await links?.close().catch(() => undefined)
      await replica?.close().catch(() => undefined)
      await storage.close()
      throw error
    }
  }

  #replicaHooks(): ReplicaHooks {
    return {
      dial: (peer, lane, signal) => this.#running().links.dial(peer, lane, signal),
      promised: () => this.#parts?.driver.durable.promised,
      refusal: (peer) => this.#peers.mismatches.get(peer),
      reports: this.#news,
    }
  }

  /** @throws `NOT_STARTED`, `STOPPED`, `ABORTED` */
  async inSync(count: number, signal: AbortSignal | undefined): Promise<void> {
    this.#running()
    await this.#redundancy.reached(count, signal)
  }

  /**
   * Whether that many standbys are in sync; if this node is a standby that can be in sync, it has
   * to be one of them.
   */
  #hasInSync(count: number): boolean {
    const { role } = this
    if (role !== 'active' && role !== 'standby') return false
    const { id, members } = this.#options
    const { inSync } = this.status()
    const counts = members.find((member) => member.id === id)?.observer !== true
    return inSync.length >= count && (role === 'active' || !counts || inSync.includes(id))
  }

  /**
   * @throws `NOT_STARTED`, `STOPPED`, `ABORTED`; nothing is begun when the signal has already
   *   aborted
   */
  async command(
    command: Parameters<Driver['command']>[0],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const begin = async (): Promise<void> => {
      const { driver } = this.#running()
      if (command.name === 'switchover' && driver.role !== 'active') throw this.writes.notActive()
      await driver.command(command)
    }
    await abortable(begin, signal)
  }

  explain(): readonly Decision[] {
    return this.#parts?.driver.explain() ?? []
  }

  status(): NodeStatus {
    const parts = this.#parts
    const unreachable = (id: string): string | undefined => {
      const failure = parts?.links.failureOf(id)
      return failure && `${failure.code}: ${failure.message}`
    }
    parts?.replica.lookForRoom()
    const facts = {
      options: this.#options,
      role: this.role,
      roleSinceMs: parts?.life.sinceMs ?? 0,
      driver: parts?.driver,
      waiting: this.#news.waitingAt(this.#options.clock.nowMs()),
      unreachable,
    }
    const causes = presentCauses(this.#causes, facts)
    return statusOf({
      options: this.#options,
      role: this.role,
      term: parts?.driver.term,
      state: parts?.driver.state,
      replica: parts?.replica,
      unreachable,
      mismatches: this.#peers.mismatches,
      appVersions: this.#peers.appVersions,
      restore: this.#news.restore,
      causes,
      starting: this.#startup.says({
        role: this.role,
        cause: causes[0] && textOf(causes[0]),
        restore: this.#news.restore,
        missing: unheard(facts),
      }),
    })
  }

  stop(signal?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#shutDown(signal)
    return this.#stopping
  }

  async #shutDown(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#started) {
      this.#started = true
      this.#stop.abort()
      return
    }
    await this.#opening?.catch(() => undefined)
    const parts = this.#parts
    if (parts === undefined) return void this.#stop.abort()
    const { driver, replica, links, storage, life } = parts
    try {
      await abortable(() => driver.command({ name: 'stop' }), signal)
    } catch (error) {
      log('%s: the stop was not in order: %o', this.#options.id, error)
    }
    driver.close()
    const error = new HotspareError('STOPPED', `the node ${this.#options.id} stopped`)
    life.stop(error)
    this.#redundancy.end(error)
    this.#stop.abort(error)
    await driver.settled()
    await replica.close().catch((failure: unknown) => this.emit('error', failure))
    // The listener closes last, because from then on refused dials prove that this node has ended.
    await links.close()
    await storage.close()
    this.#parts = undefined
  }
}
