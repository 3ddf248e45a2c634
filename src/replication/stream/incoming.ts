/**
 * The follower's side of a stream: one attempt to follow one active in one term, from the dial to
 * the break.
 *
 * Invariants:
 * - entries are taken in the order of their arrival and counted; the n-th is acknowledged as n,
 *   never before it is where the acknowledgement says;
 * - while a restore runs, entries go to the journal that starts at the cut; during its switch they
 *   wait in a bounded queue and the channel is paused;
 * - after `stop()` nothing of this stream is appended any more.
 */

import type { BlobRef } from '../../changes/change.js'
import type { BatchPart, Entry } from '../../changes/entry.js'
import { lastSeqOf, partsOf, termOf } from '../../changes/entry.js'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import { relate, sameTerm } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import { BulkClient } from '../bulk/client.js'
import { frameTypes, isKnownFrame } from '../frame-types.js'
import type { RestoreContext } from '../restore/context.js'
import type { PlanMessage, RestoreProgress } from '../restore/plan.js'
import { Restore } from '../restore/restore.js'
import { brokenBy } from './broken-by.js'
import { EntryAssembly } from './entry-assembly.js'
import { HeldEntries } from './entry-backlog.js'
import { BlobsHere } from './follower-blobs.js'
import type { IncomingContext } from './incoming-types.js'
import type { StreamMessage } from './messages.js'
import { acknowledgeParts, streamMessageOf } from './messages.js'
import { StreamWatch } from './stream-watch.js'

export class Incoming {
  readonly peer: string
  readonly term: Term
  readonly #context: IncomingContext
  readonly #abort = new AbortController()
  #channel: Channel | undefined
  #bulk: Promise<BulkClient> | undefined
  #endBulkWatch: () => void = () => undefined
  #plan: PlanMessage | undefined
  #preparing: Promise<void> | undefined
  #stopped = false
  #ended = false
  /** Where entries go now. */
  #target: 'copy' | 'next' | 'hold' = 'hold'
  #received = 0
  #durable = 0
  #skipped = 0
  #baseOrdinal = 0
  #baseNumber = 0
  #appended = false
  #acknowledging = false
  readonly #assembly = new EntryAssembly()
  readonly #blobs: BlobsHere
  readonly #held: HeldEntries
  #unlisten: (() => void) | undefined
  #inStep = false
  #inStepNumber = 0
  #completed = false
  #startedMs = 0
  #entryBytes = 0
  #files = 0
  readonly #watch: StreamWatch
  /** Whether the active owes a plan, or entries. */
  #asked = false
  /** The last change that came over the stream. */
  #receivedSeq = 0

  constructor(context: IncomingContext, peer: string, term: Term) {
    this.#context = context
    this.#watch = new StreamWatch(context.clock, context.degradeAfterMs)
    this.#blobs = new BlobsHere({
      storage: context.storage,
      stored: () => context.copy.blobs,
      bulk: () => this.#bulkClient(),
      signal: this.#abort.signal,
    })
    this.#held = new HeldEntries({
      copy: context.copy,
      blobs: this.#blobs,
      channel: () => this.#channel,
      isOpen: () => this.#target !== 'hold',
      append: (entry, parts) => this.#append(entry, parts),
      onFailure: (error) => this.#break(error),
    })
    this.peer = peer
    this.term = term
  }

  get plan(): PlanMessage | undefined {
    return this.#plan
  }

  /** Whether the stream stands and the copy has all that there was when it began. */
  get inStep(): boolean {
    return this.#inStep && !this.#stopped
  }

  /**
   * The active says, on another connection, in which term it is and up to which change it has all.
   */
  heard(term: Term, seq: number): void {
    const owes = this.#asked && !this.#held.isFull && sameTerm(term, this.term)
    const later = this.#plan === undefined || seq > this.#receivedSeq
    if (!this.#watch.isSilent(owes && later)) return
    this.#break(new HotspareError('PEER_UNREACHABLE', this.#watch.reason))
  }

  /** Begins; everything further is reported. */
  start(): void {
    this.#startedMs = this.#context.clock.nowMs()
    void this.#open().catch((error: unknown) => this.#break(error))
  }

  /**
   * After the end: resolves when its restore does nothing any more, a switch that had begun
   * included, and what it brought for nothing is removed.
   */
  async settled(): Promise<void> {
    await this.#preparing
    await this.#blobs.end()
  }

  /** Ends the stream; what was appended stays, nothing more is. */
  stop(): void {
    this.#stopped = true
    this.#target = 'hold'
    this.#abort.abort()
    this.#unlisten?.()
    this.#held.drop()
    this.#endBulkWatch()
    this.#channel?.destroy()
    void this.#bulk?.then((bulk) => bulk.close()).catch(() => undefined)
  }

  async #open(): Promise<void> {
    const { signal } = this.#abort
    const channel = await this.#context.dial(this.peer, 'stream', signal)
    if (this.#stopped) return channel.destroy()
    this.#channel = channel
    channel.onMessage((message) => this.#guard(() => this.#receive(streamMessageOf(message))))
    channel.onFrame((type, payload) => this.#guard(() => this.#receiveFrame(type, payload)))
    channel.onClose((cause) =>
      this.#report('CONNECTION_CLOSED', `the stream from ${this.peer} ended (${cause})`),
    )
    const { copy } = this.#context
    const { extent, complete } = copy
    const { unknown, differing, missing } = this.#context.outside()
    const found = unknown.length + differing.length + missing.length
    const repair = found > 0 || copy.conflict !== undefined
    const promised = this.#context.promised()
    channel.sendMessage({ type: 'follow', term: this.term, promised, extent, complete, repair })
    this.#asked = true
  }

  #guard(work: () => void): void {
    if (this.#stopped) return
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
    if (this.#stopped || this.#ended) return
    this.#ended = true
    this.stop()
    this.#context.report({ name: 'broken', peer: this.peer, code, reason })
  }

  #receive(message: StreamMessage | undefined): void {
    this.#watch.moved()
    if (message === undefined) return
    switch (message.type) {
      case 'plan':
        return this.#begin(message)
      case 'refuse': {
        this.#ended = true
        this.stop()
        const { code, reason } = message
        return this.#context.report({ name: 'refused', peer: this.peer, code, reason })
      }
      case 'inStep':
        return this.#onInStep()
      case 'blobGone':
        return this.#blobs.withdraw(message.id)
      case 'blob':
        return void this.#takeBlob(message.blob).catch((error: unknown) => this.#break(error))
      default:
        throw new HotspareError('PROTOCOL_VIOLATION', `unexpected message ${message.type}`)
    }
  }

  /** The plan is not believed: what is common is computed here again. */
  #begin(plan: PlanMessage): void {
    if (this.#plan !== undefined) throw new HotspareError('PROTOCOL_VIOLATION', 'a second plan')
    if (!sameTerm(plan.term, this.term)) {
      throw new HotspareError('STALE_TERM', `the active is in epoch ${plan.term.epoch} by now`)
    }
    const { copy } = this.#context
    const relation = relate(copy.extent, plan.cut)
    const diverged = relation.kind === 'diverged'
    if (relation.kind === 'unrelated' || relation.kind === 'ahead') {
      const how = relation.kind === 'ahead' ? 'has more than' : 'shares nothing with'
      throw new HotspareError('HISTORY_UNRELATED', `this copy ${how} that of ${this.peer}`)
    }
    if (relation.commonSeq !== plan.commonSeq || diverged !== plan.diverged) {
      throw new HotspareError('PROTOCOL_VIOLATION', 'the plan starts from another common position')
    }
    this.#plan = plan
    this.#asked = false
    this.#context.report({ name: 'started', peer: this.peer, plan })
    this.#preparing = this.#prepare(plan).catch((error: unknown) => this.#break(error))
  }

  async #prepare(plan: PlanMessage): Promise<void> {
    const { copy, vault } = this.#context
    const restoring = plan.method === 'delta' || plan.method === 'full'
    // An attempt before this one may have brought entries of another active, which this one lacks.
    await vault.dropUnused(copy, plan.cut)
    if (!restoring) {
      // The position that was told counts as acknowledged on disk; the last stream may have left it
      // in memory.
      await copy.flush()
      if (this.#stopped) return
      this.#appendTo('copy')
      this.#askForEntries(plan.commonSeq)
      return
    }
    // Promise 5: before anything of this history is removed, it is in the vault.
    if (plan.diverged) {
      this.#progress(plan, { phase: 'vault', files: 0, filesTotal: 0, bytes: 0, bytesTotal: 0 })
      await vault.keepDivergence(copy, plan.commonSeq)
    }
    if (this.#stopped) return
    await copy.beginNext(plan.cut, plan.inSync, plan.ackedSeq)
    if (this.#stopped) return
    this.#appendTo('next')
    this.#askForEntries(plan.cut.seq)
    await this.#restore(plan)
  }

  #askForEntries(afterSeq: number): void {
    this.#receivedSeq = afterSeq
    this.#asked = true
    this.#channel?.sendMessage({ type: 'ready' })
  }

  async #restore(plan: PlanMessage): Promise<void> {
    const { copy, storage, vault, clock, stateClasses } = this.#context
    const context: RestoreContext = {
      copy,
      storage,
      vault,
      clock,
      stateClasses,
      outside: this.#context.outside(),
      plan,
      bulk: await this.#bulkClient(),
      signal: this.#abort.signal,
      bytesPerSecondMax: this.#context.restoreBytesPerSecondMax,
      peer: this.peer,
      claims: this.#context.claims,
      progress: (progress) => this.#progress(plan, progress),
      waits: (error) => this.#context.report({ name: 'waits', peer: this.peer, error }),
    }
    const restore = new Restore(context)
    try {
      await this.#carryOut(restore)
    } finally {
      await restore.settled()
    }
  }

  async #carryOut(restore: Restore): Promise<void> {
    const { copy } = this.#context
    const manifest = await restore.fetch()
    if (this.#stopped) return
    await restore.untilJournaled(() => copy.nextSeq)
    // From here to the end of the switch entries wait: they belong to whichever journal is current
    // then.
    this.#target = 'hold'
    await copy.flushNext()
    if (this.#stopped) return
    const outside = this.#context.outside()
    await copy.switchTo(manifest)
    this.#context.outsideRepaired(outside)
    await restore.clean()
    this.#blobs.clean()
    this.#files = manifest.install.length + manifest.remove.length
    if (this.#stopped) return
    this.#appendTo('copy')
    this.#channel?.sendMessage({ type: 'restored' })
    this.#held.drain()
    if (this.#inStep) this.#reportComplete()
  }

  #progress(plan: PlanMessage, progress: RestoreProgress): void {
    if (this.#stopped) return
    this.#channel?.sendMessage({ type: 'progress', progress })
    this.#context.report({ name: 'progress', peer: this.peer, restoreId: plan.restoreId, progress })
  }

  #bulkClient(): Promise<BulkClient> {
    this.#bulk ??= this.#context.dial(this.peer, 'bulk', this.#abort.signal).then((channel) => {
      const bulk = new BulkClient(channel)
      this.#endBulkWatch = bulk.endWhenSilent(this.#context.clock, this.#context.sourceSilentMs)
      return bulk
    })
    return this.#bulk
  }

  /** From now on entries are appended there; numbers and ordinals run in step from this point. */
  #appendTo(target: 'copy' | 'next'): void {
    const { copy } = this.#context
    this.#unlisten?.()
    this.#target = target
    this.#baseNumber = this.#received - this.#held.count
    this.#durable = this.#baseNumber
    this.#skipped = 0
    const onDurable = (ordinal: number): void => this.#onDurable(ordinal)
    if (target === 'copy') {
      this.#baseOrdinal = copy.lastOrdinal
      this.#unlisten = copy.onDurable(onDurable)
    } else {
      this.#baseOrdinal = 0
      this.#unlisten = copy.onNextDurable(onDurable)
    }
    this.#acknowledgeSoon()
  }

  #onDurable(ordinal: number): void {
    if (ordinal <= this.#baseOrdinal) return
    this.#durable = this.#baseNumber + this.#skipped + (ordinal - this.#baseOrdinal)
    this.#acknowledgeNow()
    if (this.#inStep) this.#settle()
  }

  #receiveFrame(type: number, payload: Uint8Array): void {
    this.#watch.moved()
    if (!isKnownFrame(type)) return
    const entry = this.#assembly.take(type, payload)
    if (entry === undefined) return
    this.#receivedSeq = lastSeqOf(entry.header)
    this.#received += 1
    this.#entryBytes += entry.bytes.length
    const parts = entry.header.kind === 'changes' ? partsOf(entry) : undefined
    if (this.#held.mustWait(parts)) return this.#held.hold(entry, parts)
    this.#append(entry, parts)
  }

  #append(entry: Entry, parts: readonly BatchPart[] | undefined): void {
    const { copy } = this.#context
    if (!this.#appended && this.#isKnown(entry)) {
      this.#skipped += 1
      this.#durable = this.#baseNumber + this.#skipped
    } else if (this.#target === 'next') {
      this.#appended = true
      copy.appendNext(entry)
    } else {
      this.#appended = true
      copy.appendRead(entry, parts)
    }
    if (parts !== undefined) this.#blobs.named(parts)
    if (this.#context.acknowledgeReceipt || !this.#appended) this.#acknowledgeSoon()
  }

  /** A stream begins at a position, and repeats the entries there that take no sequence number. */
  #isKnown(entry: Entry): boolean {
    if (entry.header.kind !== 'term') return false
    const term = termOf(entry)
    const { copy } = this.#context
    const history = this.#target === 'next' ? this.#plan?.cut.history : copy.history
    return (history ?? []).some((known) => sameTerm(known, term))
  }

  /** All that came in one go is acknowledged by one frame. */
  #acknowledgeSoon(): void {
    if (this.#acknowledging) return
    this.#acknowledging = true
    queueMicrotask(() => {
      if (this.#acknowledging) this.#acknowledgeNow()
    })
  }

  #acknowledgeNow(): void {
    this.#acknowledging = false
    if (this.#stopped) return
    const arrived = this.#received - this.#held.count
    const durable = Math.min(this.#durable, arrived)
    this.#channel?.send(frameTypes.acknowledge, acknowledgeParts(arrived, durable))
  }

  #onInStep(): void {
    this.#inStep = true
    this.#inStepNumber = this.#received
    this.#settle()
  }

  /** Reports once that everything up to the mark is durable here and no restore is under way. */
  #settle(): void {
    if (this.#completed || this.#target !== 'copy' || this.#durable < this.#inStepNumber) return
    this.#reportComplete()
  }

  #reportComplete(): void {
    const plan = this.#plan
    if (plan === undefined || this.#completed || this.#durable < this.#inStepNumber) return
    this.#completed = true
    void this.#sumUp(plan).catch((error: unknown) => this.#break(error))
  }

  async #sumUp(plan: PlanMessage): Promise<void> {
    const bulkBytes = this.#bulk === undefined ? 0 : (await this.#bulk).bytesReceived
    const { restoreId, method } = plan
    const bytesMoved = bulkBytes + this.#entryBytes
    const ms = Math.round(this.#context.clock.nowMs() - this.#startedMs)
    const files = this.#files
    const { peer } = this
    this.#channel?.sendMessage({ type: 'rejoined', files, bytes: bytesMoved, ms })
    this.#context.report({ name: 'complete', peer, restoreId, method, files, bytesMoved, ms })
  }

  async #takeBlob(blob: BlobRef): Promise<void> {
    try {
      await this.#blobs.fetch(blob)
    } catch (error) {
      if (this.#blobs.isWithdrawn(blob.id)) return
      throw error
    }
    this.#channel?.sendMessage({ type: 'blobHere', id: blob.id })
  }
}
