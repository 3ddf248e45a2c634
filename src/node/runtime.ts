/**
 * A running node: starts the adapters, feeds the core, carries out its effects through the replica,
 * and gives the application its writes, tenures and events.
 *
 * Invariant: `#parts` exists from the end of the opening to the end of `stop()`.
 */
import debug from 'debug'
import type { Vault } from '../copy/vault/vault.js'
import type { Role } from '../core/state/facts.js'
import type { CoreMessage } from '../core/state/messages.js'
import type { Decision } from '../core/state/types.js'
import { HotspareError } from '../errors.js'
import type { Term } from '../history/position.js'
import type { Channel } from '../protocol/channel.js'
import type { Envelope } from '../protocol/envelope.js'
import { abortable, sharedController } from '../util/abort.js'
import type { Emit } from './contract/events.js'
import type { NodeOptions } from './contract/options.js'
import { adoptFound } from './data/adopt-found.js'
import type { Followers } from './data/followers.js'
import { acknowledgesFromMemory, Replica } from './data/replica.js'
import type { ReplicaHooks } from './data/replica-types.js'
import type { NodeParts } from './node-parts.js'
import { Links } from './peers/links.js'
import { PeerIdentities } from './peers/peer-identities.js'
import { Refusals } from './peers/refusals.js'
import { duplicateType, Twins } from './peers/twins.js'
import { EventHub } from './report/event-hub.js'
import { withOwnCause } from './report/own-copy.js'
import { presentCauses, unheard } from './report/present-causes.js'
import { Redundancy } from './report/redundancy.js'
import { ReplicaNews } from './report/replica-monitor.js'
import { reportCore } from './report/reports.js'
import { Startup } from './report/startup.js'
import type { NodeStatus } from './report/status.js'
import { statusOf } from './report/status.js'
import { Causes, failureOf, textOf } from './roles/causes.js'
import type { DriverInput } from './roles/driver.js'
import { Driver } from './roles/driver.js'
import { FactsLog } from './roles/hard-state-log.js'
import { mayHaveForgotten, writeFacts } from './roles/orderly-stop.js'
import { TenureRunner } from './roles/tenure.js'
import { FilesApi } from './writes/files.js'
import { WritePath } from './writes/write-path.js'

const log = debug('hotspare:node')

/** Options of a start. */
export interface StartOptions {
  /**
   * Takes files that are already in paths of synced classes as the beginning of the history.
   * Default false.
   */
  readonly adopt?: boolean
  /**
   * This machine was replaced, or lost its disk: it serves nothing, however long it waits, before
   * it has been restored from a member that has the data and followed it once. Whatever its copy
   * holds counts for nothing until then. While it waits, `status().stuck` and the event `holding`
   * say so, and `start()` is pending; `takeOver()` is the way out. It holds for this start alone.
   * Default false.
   */
  readonly join?: boolean
  /** Gives the start up: the node is stopped, and the call rejects. */
  readonly signal?: AbortSignal
}

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
  #opening: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  readonly #causes: Causes
  readonly #news: ReplicaNews
  readonly #startup: Startup
  #roleSinceMs = 0
  #settledOnce: (() => void) | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.events = new EventHub(options)
    this.#bootId = Buffer.from(options.random.bytes(8)).toString('hex')
    this.#refusals = new Refusals(options.clock, this.emit)
    this.#causes = new Causes(options.clock, this.emit)
    this.#news = new ReplicaNews({
      id: options.id,
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
      running: () => this.#running(),
    })
    this.files = new FilesApi(this.writes)
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
    if (this.#started) throw new HotspareError('STOPPED', `the node ${this.#options.id} is stopped`)
    throw new HotspareError('NOT_STARTED', `the node ${this.#options.id} was not started`)
  }

  readonly emit: Emit = (name, ...event) => {
    this.events.emit(name, ...event)
    this.#redundancy.check()
  }

  async start({ adopt = false, join = false, signal }: StartOptions): Promise<void> {
    if (this.#started)
      throw new HotspareError('ALREADY_STARTED', `the node ${this.#options.id} was started before`)
    if (signal?.aborted === true) {
      throw new HotspareError('ABORTED', 'the start was given up', { cause: signal.reason })
    }
    this.#checkJoin(join, adopt)
    this.#started = true
    const settled = new Promise<void>((resolve) => {
      this.#settledOnce = resolve
    })
    this.#startup.begin()
    this.#opening = this.#open(adopt, join)
    try {
      await this.#opening
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
      await abortable(() => Promise.race([settled, stopped]), signal)
    } catch (error) {
      await this.stop()
      throw error
    } finally {
      this.#startup.end()
    }
  }

  /** @throws `OPTION_INVALID` */
  #checkJoin(join: boolean, adopt: boolean): void {
    if (typeof join !== 'boolean')
      throw invalidJoin(`join is a ${typeof join}, wanted true or false`)
    if (!join) return
    if (adopt) {
      const what =
        'start({ join }) restores this node from a member, start({ adopt }) makes its files the first ones'
      throw invalidJoin(`${what}: give one of them`)
    }
    if (this.#options.members.length > 1) return
    throw invalidJoin(
      'start({ join }) needs another member to be restored from, and members lists none',
    )
  }

  async #open(adopt: boolean, join: boolean): Promise<void> {
    const { id, cluster } = this.#options
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
      links = this.#makeLinks()
      const driver = new Driver(
        {
          options: this.#options,
          bootId: this.#bootId,
          join,
          links,
          replica,
          writeFacts: (changed) => writeFacts(facts, opened, changed),
          onRole: (role, from, reason, term) => this.#onRole(role, from, reason, term),
          onTerm: (term) => this.tenures.begin(term),
          onEvent: (event) => {
            if (event.name === 'waiting')
              this.#news.wait(event.missing, this.#options.clock.nowMs(), event.forMs)
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
      this.#parts = { storage, replica, links, driver }
      // A standby learns of the set from its journal.
      replica.copy.onAppend(({ header }) => {
        if (header.kind === 'inSync') this.#redundancy.check()
      })
      await links.listen()
      driver.start()
      links.start()
    } catch (error) {
      this.#parts = undefined
      this.#stop.abort()
      await links?.close().catch(() => undefined)
      await replica?.close().catch(() => undefined)
      await storage.close()
      throw error
    }
  }

  #makeLinks(): Links {
    const input = (what: DriverInput): void => this.#parts?.driver.input(what)
    return new Links(this.#options, this.#bootId, {
      linkUp: (peer, bootId, accepted) => input({ type: 'linkUp', peer, bootId, accepted }),
      linkDown: (peer, cause, accepted) => input({ type: 'linkDown', peer, cause, accepted }),
      lost: (peer) => this.writes.forwarding.lost(peer),
      dialFailed: (peer, cause, { message }) =>
        input({ type: 'dialFailed', peer, cause, reason: message }),
      refusal: (peer, { message }) => input({ type: 'refusal', peer, reason: message }),
      core: (from, message) => this.#receiveCore(from, message),
      received: (from, message) => this.#receive(from, message),
      stream: (channel) => this.#withFollowers(channel, (all) => all.acceptStream(channel)),
      bulk: (channel) => this.#withFollowers(channel, (all) => all.acceptBulk(channel)),
      refused: (key, peer, error) => {
        const { code, message } = error
        this.#refusals.tell(key, { peer, code, reason: message })
        this.#twins.refused(error)
      },
      barred: (identity) => this.#peers.refusal(identity, this.#options.clock.nowMs()),
      met: (identity) => {
        const peer = identity.nodeId
        const reason = this.#peers.met(identity)
        if (reason !== undefined) this.emit('configMismatch', { peer, reason })
      },
    })
  }

  #withFollowers(channel: Channel, use: (followers: Followers) => void): void {
    const followers = this.#parts?.replica.followers
    if (followers === undefined) return channel.destroy()
    use(followers)
  }

  #receive(from: string, message: Envelope): void {
    if (this.#parts === undefined) return
    switch (message.type) {
      case 'forward':
        return this.writes.forwarded.onForward(from, message.body)
      case 'forwarded':
        return this.writes.forwarding.onForwarded(from, message.body)
      case duplicateType:
        return this.#twins.toldBy(from, message.body)
      default:
        // A later version may say more; what is not understood is not an error.
        log('%s: a message of the unknown type %s from %s', this.#options.id, message.type, from)
    }
  }

  #receiveCore(from: string, message: CoreMessage): void {
    const parts = this.#parts
    if (parts === undefined) return
    if ('view' in message) {
      const { bootId, activeTerm } = message.view
      this.#twins.spoke(from, bootId)
      if (activeTerm !== undefined && from === parts.replica.followed) {
        parts.replica.heardActive(activeTerm, message.view.copy.seq)
      }
      parts.replica.followers.heard(from, message.view.copy.durableSeq)
    }
    parts.driver.input({ type: 'message', from, message })
    this.#redundancy.check()
    this.#noteLowestPeer(parts)
  }

  /** Whoever was heard of may come back for what it lacks. */
  #noteLowestPeer({ driver, replica }: NodeParts): void {
    let lowest = Number.POSITIVE_INFINITY
    for (const { view } of driver.state.peers.values()) {
      if (view !== undefined) lowest = Math.min(lowest, view.copy.seq)
    }
    replica.copy.setLowestPeerSeq(lowest)
  }

  #replicaHooks(): ReplicaHooks {
    return {
      dial: (peer, lane, signal) => this.#running().links.dial(peer, lane, signal),
      promised: () => this.#parts?.driver.durable.promised,
      refusal: (peer) => this.#peers.mismatches.get(peer),
      report: (event) => this.#news.take(event),
    }
  }

  #onRole(role: Role, from: Role, reason: string, term: Term | undefined): void {
    const parts = this.#parts
    if (parts === undefined) return
    this.#news.roleChanged(role)
    this.#roleSinceMs = this.#options.clock.nowMs()
    if (from === 'active' && role !== 'active') this.#loseRole(parts, reason)
    if (role === 'active' && term !== undefined) {
      this.tenures.begin(term)
      this.writes.forwarding.flushHere()
    }
    const followed = parts.driver.state.followed?.id
    if ((role === 'restoring' || role === 'standby') && followed !== undefined) {
      this.writes.forwarding.flush(followed)
    }
    this.emit('role', { role, from, reason, term })
    if (role === 'active' || role === 'standby') this.#settledOnce?.()
  }

  #loseRole({ replica }: NodeParts, reason: string): void {
    const { id } = this.#options
    // A stop that hands over is a switchover: what is held goes to the next active.
    const stops = this.#stopping !== undefined && this.role === 'stopped'
    const error = stops
      ? new HotspareError('STOPPED', `the node ${id} stopped`)
      : new HotspareError('NOT_ACTIVE', `${id} gave up the role: ${reason}`)
    this.writes.roleLost(error)
    replica.endTenure(error)
    this.tenures.end(error)
  }

  /** @throws `NOT_STARTED`, `STOPPED`, `ABORTED` */
  async inSync(count: number, signal: AbortSignal | undefined): Promise<void> {
    this.#running()
    await this.#redundancy.reached(count, signal)
  }

  /**
   * Whether so many standbys are in sync, and this node one of them if it is a standby that can be.
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
   * @throws `NOT_STARTED`, `STOPPED`, `ABORTED`: with a signal that aborted before, nothing is
   *   begun
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
      roleSinceMs: this.#roleSinceMs,
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
    const { driver, replica, links, storage } = parts
    try {
      await abortable(() => driver.command({ name: 'stop' }), signal)
    } catch (error) {
      log('%s: the stop was not in order: %o', this.#options.id, error)
    }
    driver.close()
    const error = new HotspareError('STOPPED', `the node ${this.#options.id} stopped`)
    this.writes.end(error)
    this.tenures.end(error)
    this.#redundancy.end(error)
    this.#stop.abort(error)
    await driver.settled()
    await replica.close().catch((failure: unknown) => this.emit('error', failure))
    // The listener closes last: from then on a refused dial says that this node is gone.
    await links.close()
    await storage.close()
    this.#parts = undefined
  }
}

function invalidJoin(message: string): HotspareError {
  return new HotspareError('OPTION_INVALID', message, { details: { option: 'join' } })
}
