/**
 * The follower's side of a stream: one attempt to follow one active in one term, from dialling to
 * the end.
 *
 * ```
 *   dialing ──▶ asking ──▶ preparing ───────────────────▶ catchingUp ──▶ inStep
 *                              │                              ▲
 *                              └──▶ restoring ──▶ switching ──┘      any state ──▶ ended
 * ```
 *
 * - `dialing`: waits for the connection.
 * - `asking`: has sent `follow` with this node's position, and waits for the plan.
 * - `preparing`: prepares the copy for the plan: flushes it, or copies diverged changes into the
 *   vault. Then it asks for entries.
 * - `restoring`: fetches files and state, while entries are appended to a new journal that begins
 *   at the cut of the plan. It ends when everything is fetched and the new journal has every change
 *   that the fetched bytes may include.
 * - `switching`: replaces the old copy with the restored one; entries wait meanwhile.
 * - `catchingUp`: appends entries to the copy, until the active reports that it sent everything and
 *   all that is durable here.
 * - `inStep`: appends entries to the copy until the stream ends.
 * - `ended`: the stream broke, was refused or was stopped. Nothing more is appended or reported;
 *   only a switch that has begun is completed.
 */

import type { BlobRef } from '../../changes/change.js'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import { sameTerm } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import { BulkClient } from '../bulk/client.js'
import { BulkLane } from '../bulk/lane.js'
import { isKnownFrame } from '../frame-types.js'
import type { RestoreContext } from '../restore/context.js'
import type { PlanMessage, RestoreProgress } from '../restore/plan.js'
import { Restore } from '../restore/restore.js'
import { requireFits } from './answer-follow.js'
import { brokenBy } from './broken-by.js'
import { EntryIntake } from './entry-intake.js'
import { FollowerBlobs } from './follower-blobs.js'
import type { Connected, IncomingContext, IncomingState, Planned } from './incoming-types.js'
import type { RefuseMessage, StreamMessage } from './messages.js'
import { streamMessageOf } from './messages.js'
import { StreamWatch } from './stream-watch.js'

export class Incoming {
  readonly peer: string
  readonly term: Term
  readonly #context: IncomingContext
  readonly #abort = new AbortController()
  readonly #bulk: BulkLane
  readonly #blobs: FollowerBlobs
  readonly #watch: StreamWatch
  #state: IncomingState = { name: 'dialing' }
  #startedMs = 0
  /**
   * The number of entries that had arrived when the active reported that it had sent everything;
   * infinite until then.
   */
  #mark = Number.POSITIVE_INFINITY
  /** The work between the plan and `catchingUp`. */
  #preparing: Promise<void> = Promise.resolve()

  constructor(context: IncomingContext, peer: string, term: Term) {
    this.#context = context
    this.peer = peer
    this.term = term
    const { signal } = this.#abort
    this.#watch = new StreamWatch(context.clock, context.degradeAfterMs)
    this.#bulk = new BulkLane(async () => {
      const client = new BulkClient(await context.dial(peer, 'bulk', signal))
      client.endWhenSilent(context.clock, context.sourceSilentMs)
      return client
    })
    this.#blobs = new FollowerBlobs({
      storage: context.storage,
      stored: () => context.copy.blobs,
      bulk: () => this.#bulk.client(),
      signal,
    })
  }

  /** Whether the active has reported that it sent everything, and the stream has not ended. */
  get wasSentAll(): boolean {
    return this.#mark < Number.POSITIVE_INFINITY && !this.#isEnded
  }

  /** The active reported its term and its last change on another connection. */
  heard(term: Term, seq: number): void {
    if (!this.#watch.isSilent(sameTerm(term, this.term) && this.#isOwed(seq))) return
    this.#break(new HotspareError('PEER_UNREACHABLE', this.#watch.reason))
  }

  /** Whether the active owes a plan, or entries up to this change. */
  #isOwed(seq: number): boolean {
    const state = this.#state
    switch (state.name) {
      case 'dialing':
      case 'preparing':
      case 'ended':
        return false
      case 'asking':
        return true
      default:
        return !state.entries.isFull && seq > state.entries.receivedSeq
    }
  }

  /** Begins the attempt; its outcome is reported by events. */
  start(): void {
    this.#startedMs = this.#context.clock.nowMs()
    void this.#dial().catch((error: unknown) => this.#break(error))
  }

  /**
   * Called after the end: resolves when its restore has stopped, a switch that had begun is
   * complete, and fetched blobs that no entry names are removed.
   */
  async settled(): Promise<void> {
    await this.#preparing
    await this.#blobs.end()
  }

  /** Ends the stream; nothing more is appended. */
  stop(): void {
    const state = this.#state
    if (state.name === 'ended') return
    this.#state = { name: 'ended' }
    this.#abort.abort()
    if ('channel' in state) {
      state.entries.close()
      state.channel.destroy()
    }
    this.#bulk.close()
  }

  get #isEnded(): boolean {
    return this.#state.name === 'ended'
  }

  async #dial(): Promise<void> {
    const channel = await this.#context.dial(this.peer, 'stream', this.#abort.signal)
    if (this.#isEnded) return channel.destroy()
    this.#becomeAsking(channel)
  }

  #becomeAsking(channel: Channel): void {
    const { copy, acknowledgeReceipt } = this.#context
    const entries = new EntryIntake({
      copy,
      channel,
      blobs: this.#blobs,
      acknowledgesReceipt: acknowledgeReceipt,
      whenDurable: () => this.#checkInStep(),
      whenFailed: (error) => this.#break(error),
    })
    const connected = { channel, entries }
    this.#state = { name: 'asking', ...connected }
    channel.onMessage((message) =>
      this.#guard(() => this.#receive(connected, streamMessageOf(message))),
    )
    channel.onFrame((type, payload) =>
      this.#guard(() => {
        this.#watch.received()
        if (!isKnownFrame(type)) return
        entries.receive(type, payload)
      }),
    )
    channel.onClose((cause) =>
      this.#report('CONNECTION_CLOSED', `the stream from ${this.peer} ended (${cause})`),
    )
    const { extent, complete } = copy
    const { unknown, differing, missing } = copy.outside.report
    const found = unknown.length + differing.length + missing.length
    const repair = found > 0 || copy.conflict !== undefined
    const promised = this.#context.promised()
    channel.sendMessage({ type: 'follow', term: this.term, promised, extent, complete, repair })
  }

  #guard(work: () => void): void {
    if (this.#isEnded) return
    try {
      work()
    } catch (error) {
      this.#break(error)
    }
  }

  #break(error: unknown): void {
    const { code, reason } = brokenBy(error)
    this.#report(code, reason)
  }

  #report(code: ErrorCode, reason: string): void {
    if (this.#isEnded) return
    this.stop()
    this.#context.report({ name: 'broken', peer: this.peer, code, reason })
  }

  #receive(connected: Connected, message: StreamMessage | undefined): void {
    this.#watch.received()
    if (message === undefined) return
    switch (message.type) {
      case 'plan':
        return this.#onPlan(connected, message)
      case 'refuse':
        return this.#onRefused(message)
      case 'inStep':
        this.#mark = connected.entries.received
        return this.#checkInStep()
      case 'blobGone':
        return this.#blobs.withdraw(message.id)
      case 'blob':
        return void this.#onBlob(connected, message.blob).catch((error: unknown) =>
          this.#break(error),
        )
      default:
        throw new HotspareError('PROTOCOL_VIOLATION', `unexpected message ${message.type}`)
    }
  }

  #onRefused({ code, reason }: RefuseMessage): void {
    this.stop()
    this.#context.report({ name: 'refused', peer: this.peer, code, reason })
  }

  #onPlan(connected: Connected, plan: PlanMessage): void {
    if (this.#state.name !== 'asking') {
      throw new HotspareError('PROTOCOL_VIOLATION', 'a second plan')
    }
    if (!sameTerm(plan.term, this.term)) {
      throw new HotspareError('STALE_TERM', `the active is in epoch ${plan.term.epoch} by now`)
    }
    requireFits(plan, this.#context.copy.extent, this.peer)
    this.#becomePreparing({ ...connected, plan })
  }

  #becomePreparing(planned: Planned): void {
    this.#state = { name: 'preparing', ...planned }
    this.#context.report({ name: 'started', peer: this.peer, plan: planned.plan })
    this.#preparing = this.#prepare(planned).catch((error: unknown) => this.#break(error))
  }

  async #prepare(planned: Planned): Promise<void> {
    const { plan } = planned
    const { copy, vault } = this.#context
    const restoring = plan.method === 'delta' || plan.method === 'full'
    // An earlier restore may have left a journal with entries of another active. Those that this
    // active lacks are vaulted before the journal is dropped.
    await vault.dropUnused(copy, plan.cut)
    if (!restoring) {
      // The position sent with `follow` counts as durable, but the last stream may have left it in
      // memory.
      await copy.flush()
      if (this.#isEnded) return
      this.#becomeCatchingUp(planned, 0)
      this.#askForEntries(planned, plan.commonSeq)
      return
    }
    // Diverged changes are copied into the vault before anything of them is removed (promise 5).
    if (plan.diverged) {
      this.#progress(planned, { phase: 'vault', files: 0, filesTotal: 0, bytes: 0, bytesTotal: 0 })
      await vault.keepDivergence(copy, plan.commonSeq)
    }
    if (this.#isEnded) return
    await copy.restoreSwitch.begin(plan.cut, plan.inSync, plan.ackedSeq)
    if (this.#isEnded) return
    this.#becomeRestoring(planned)
    await this.#restore(planned)
  }

  #becomeRestoring(planned: Planned): void {
    const { copy } = this.#context
    const { entries, plan } = planned
    this.#state = { name: 'restoring', ...planned }
    entries.appendTo({
      lastOrdinal: 0,
      terms: plan.cut.history,
      append: (entry) => copy.restoreSwitch.append(entry),
      onDurable: (listener) => copy.restoreSwitch.onDurable(listener),
    })
    this.#askForEntries(planned, plan.cut.seq)
  }

  #askForEntries({ channel, entries }: Connected, afterSeq: number): void {
    entries.receivedSeq = afterSeq
    channel.sendMessage({ type: 'ready' })
  }

  async #restore(planned: Planned): Promise<void> {
    const context: RestoreContext = {
      ...this.#context,
      outside: this.#context.copy.outside.report,
      plan: planned.plan,
      bulk: await this.#bulk.client(),
      signal: this.#abort.signal,
      bytesPerSecondMax: this.#context.restoreBytesPerSecondMax,
      peer: this.peer,
      progress: (progress) => this.#progress(planned, progress),
      waits: (error) => this.#context.report({ name: 'waits', peer: this.peer, error }),
    }
    const restore = new Restore(context)
    try {
      await this.#carryOut(restore, planned)
    } finally {
      await restore.settled()
    }
  }

  async #carryOut(restore: Restore, planned: Planned): Promise<void> {
    const { copy } = this.#context
    const manifest = await restore.fetch()
    if (this.#isEnded) return
    await restore.untilJournaled(() => copy.restoreSwitch.nextSeq)
    this.#becomeSwitching(planned)
    await copy.restoreSwitch.flush()
    if (this.#isEnded) return
    const outside = copy.outside.report
    await copy.restoreSwitch.switchTo(manifest)
    this.#context.outsideRepaired(outside)
    await restore.clean()
    this.#blobs.clean()
    if (this.#isEnded) return
    this.#becomeCatchingUp(planned, manifest.install.length + manifest.remove.length)
    planned.channel.sendMessage({ type: 'restored' })
    planned.entries.drain()
    this.#checkInStep()
  }

  /**
   * Entries wait until the switch ends, because they belong to the journal that is current then.
   */
  #becomeSwitching(planned: Planned): void {
    if (this.#isEnded) return
    this.#state = { name: 'switching', ...planned }
    planned.entries.pause()
  }

  #becomeCatchingUp(planned: Planned, files: number): void {
    const { copy } = this.#context
    this.#state = { name: 'catchingUp', files, ...planned }
    planned.entries.appendTo({
      lastOrdinal: copy.lastOrdinal,
      terms: copy.history,
      append: (entry, parts) => copy.appendRead(entry, parts),
      onDurable: (listener) => copy.onDurable(listener),
    })
  }

  #progress({ channel, plan }: Planned, progress: RestoreProgress): void {
    if (this.#isEnded) return
    channel.sendMessage({ type: 'progress', progress })
    const { restoreId, method } = plan
    this.#context.report({ name: 'progress', peer: this.peer, restoreId, method, progress })
  }

  /** Becomes in step as soon as everything up to the mark is durable in the copy. */
  #checkInStep(): void {
    const state = this.#state
    if (state.name !== 'catchingUp' || state.entries.durable < this.#mark) return
    const { channel, entries, plan, files } = state
    this.#state = { name: 'inStep', channel, entries, plan }
    void this.#reportComplete(state, files).catch((error: unknown) => this.#break(error))
  }

  async #reportComplete({ channel, entries, plan }: Planned, files: number): Promise<void> {
    const { peer } = this
    const { opened } = this.#bulk
    const bulkBytes = opened === undefined ? 0 : (await opened).bytesReceived
    if (this.#isEnded) return
    const { restoreId, method } = plan
    const bytesMoved = bulkBytes + entries.bytes
    const ms = Math.round(this.#context.clock.nowMs() - this.#startedMs)
    channel.sendMessage({ type: 'rejoined', files, bytes: bytesMoved, ms })
    this.#context.report({ name: 'complete', peer, restoreId, method, files, bytesMoved, ms })
  }

  async #onBlob({ channel }: Connected, blob: BlobRef): Promise<void> {
    try {
      await this.#blobs.fetch(blob)
    } catch (error) {
      if (this.#blobs.isWithdrawn(blob.id)) return
      throw error
    }
    channel.sendMessage({ type: 'blobHere', id: blob.id })
  }
}
