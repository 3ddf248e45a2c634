/**
 * The data side of a node: its copy and vault, the writer while it is active, the stream it follows while it is not, and
 * the streams of those who follow it. It does what the core decided and reports what became of it.
 *
 * Invariants: a writer exists only between `openTerm` and `endTenure`; at most one stream is followed; nobody is
 * served entries by a node without a writer.
 */
import type { CopyFacts } from '../core/types.js'
import { HotspareError } from '../errors.js'
import type { OpenStorage } from '../interfaces/storage.js'
import type { Channel } from '../protocol/channel.js'
import type { BlobRef } from '../replication/change.js'
import type { CopyEvent, OutsideReport } from '../replication/copy-types.js'
import { copyLimits } from '../replication/copy-types.js'
import { partsOf, readEntry } from '../replication/entry.js'
import { blobsOf } from '../replication/intent.js'
import { LocalCopy } from '../replication/local-copy.js'
import type { Term } from '../replication/position.js'
import { fetchBlob, fetchEntries } from '../replication/restore/blobs.js'
import { BulkClient } from '../replication/stream/bulk-client.js'
import { BulkServer } from '../replication/stream/bulk-server.js'
import type { IncomingContext, IncomingEvent } from '../replication/stream/incoming.js'
import { Incoming } from '../replication/stream/incoming.js'
import { Outgoing } from '../replication/stream/outgoing.js'
import type { OutgoingContext, OutgoingEvent } from '../replication/stream/outgoing-types.js'
import { nextArea } from '../replication/switch.js'
import { nothingOutside } from '../replication/tree-scan.js'
import { Vault } from '../replication/vault.js'
import type { VaultIncident } from '../replication/vault-incident.js'
import { Writer } from '../replication/writer.js'
import type { WriterEvent } from '../replication/writer-types.js'
import { writerLimits } from '../replication/writer-types.js'
import type { NodeOptions } from './options.js'

/** What the data side tells the node. */
export type ReplicaEvent =
  | { readonly from: 'copy'; readonly event: CopyEvent }
  | { readonly from: 'incoming'; readonly event: IncomingEvent }
  | { readonly from: 'outgoing'; readonly event: OutgoingEvent }
  | { readonly from: 'writer'; readonly event: WriterEvent }
  | { readonly from: 'vault'; readonly event: VaultIncident }
  | { readonly from: 'storage'; readonly event: 'failed' | 'recovered' }
  /** Files that had changed on this disk were put right. */
  | { readonly from: 'outside'; readonly event: OutsideReport }

/** What the data side needs from the node. */
export interface ReplicaHooks {
  dial(peer: string, lane: 'stream' | 'bulk', signal: AbortSignal): Promise<Channel>
  promised(): Term | undefined
  /** Throws NOT_ACTIVE when this node may not act as active now. */
  checkTenure(): void
  /** Throws NOT_ACTIVE when this node is not active. */
  checkRole(): void
  /** Why a peer gets no data, or undefined. */
  refusal(peer: string): string | undefined
  report(event: ReplicaEvent): void
}

/** A target that is further behind than this catches up before writes are held for a switchover. */
const drainBytesMax = 64 * 1024

export class Replica {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly #options: NodeOptions
  readonly #hooks: ReplicaHooks
  /** The last stream of each follower; an ended one is kept, so that the writer can be told that its peer is gone. */
  readonly #outgoing = new Map<string, Outgoing>()
  /** Peers whose process is gone, in this tenure, until they come back. */
  readonly #provenGone = new Set<string>()
  readonly #blobProgressMs = new Map<string, number>()
  #writer: Writer | undefined
  #term: Term | undefined
  #incoming: Incoming | undefined
  #followed: { readonly peer: string; readonly term: Term } | undefined
  #inSyncKnown = false
  #brokenAtMs: number | undefined
  #ineligible: string | undefined
  #restores = 0
  #reopening: Promise<void> | undefined
  /** Resolves when the attempts to follow that were given up have ended. */
  #settling: Promise<void> = Promise.resolve()
  #retryTimer: unknown
  #closed = false
  #outside: OutsideReport
  /** The journal up to here cannot be read any more: who lacks it gets a restore. */
  #unreadableSeq = 0
  readonly #bootId: string

  private constructor(options: NodeOptions, bootId: string, hooks: ReplicaHooks, opened: Opened) {
    this.#options = options
    this.#bootId = bootId
    this.#hooks = hooks
    this.copy = opened.copy
    this.vault = opened.vault
    this.storage = opened.storage
    this.#outside = opened.copy.outside
    this.copy.onFailure(() => this.#onStorageFailure())
  }

  static async open(
    options: NodeOptions,
    bootId: string,
    storage: OpenStorage,
    hooks: ReplicaHooks,
  ): Promise<Replica> {
    const { policy, clock, random, journalBytesMax, vaultBytesMax, id } = options
    const vault = await Vault.open({
      storage,
      clock,
      nodeId: id,
      bytesMax: vaultBytesMax,
      stateClasses: policy.stateClasses().map(({ name }) => name),
      report: (event) => hooks.report({ from: 'vault', event }),
    })
    const copy = await LocalCopy.open({
      storage,
      policy,
      clock,
      random,
      limits: { ...copyLimits, journalBytesMax },
      emit: (event) => hooks.report({ from: 'copy', event }),
    })
    return new Replica(options, bootId, hooks, { copy, vault, storage })
  }

  get writer(): Writer | undefined {
    return this.#writer
  }

  get term(): Term | undefined {
    return this.#term
  }

  get incoming(): Incoming | undefined {
    return this.#incoming
  }

  /** The active that is followed, or was until its stream broke. */
  get followed(): string | undefined {
    return this.#followed?.peer
  }

  get followedTerm(): Term | undefined {
    return this.#followed?.term
  }

  get followers(): readonly Outgoing[] {
    return [...this.#outgoing.values()].filter((outgoing) => outgoing.open)
  }

  facts(): CopyFacts {
    const { copy } = this
    const failed = copy.failed === undefined ? undefined : `storage: ${copy.failed.code}`
    return {
      history: copy.history,
      // What a failed disk did not take cannot be had from here either.
      seq: failed === undefined ? copy.seq : copy.durableSeq,
      durableSeq: copy.durableSeq,
      complete: copy.complete,
      inSync: copy.inSync,
      inSyncKnown: this.#inSyncKnown,
      ineligible: failed ?? this.#ineligible,
    }
  }

  /** What was found changed on this disk at start and not put right since. */
  get outside(): OutsideReport {
    return this.#outside
  }

  outsideSettled(): void {
    this.#outside = nothingOutside
  }

  /** Follows a peer's stream until `unfollow`. */
  follow(peer: string, term: Term): void {
    this.unfollow()
    this.#ineligible = undefined
    this.#followed = { peer, term }
    const incoming = new Incoming(this.#incomingContext(), peer, term)
    this.#incoming = incoming
    void this.#start(incoming)
  }

  async #start(incoming: Incoming): Promise<void> {
    try {
      // An attempt that was given up may be in the middle of its switch, which needs what it staged.
      await this.#settling
      const { failed } = this.copy
      // A damaged journal cannot be opened again; a full restore replaces it.
      if (failed !== undefined && failed.code !== 'JOURNAL_CORRUPT') await this.#reopen()
    } catch (error) {
      if (this.#incoming !== incoming) return
      const { peer } = incoming
      this.#onIncoming({ name: 'broken', peer, code: undefined, reason: String(error) })
      return
    }
    if (this.#incoming === incoming) incoming.start()
  }

  unfollow(): void {
    this.#incoming?.stop()
    this.#leaveIncoming()
  }

  #leaveIncoming(): void {
    const incoming = this.#incoming
    this.#incoming = undefined
    if (incoming === undefined) return
    const before = this.#settling
    this.#settling = incoming.settled().then(() => before)
  }

  /** The own storage failed: nothing more can be taken in. */
  breakStream(reason: string): void {
    const incoming = this.#incoming
    if (incoming === undefined) return
    incoming.stop()
    this.#onIncoming({ name: 'broken', peer: incoming.peer, code: undefined, reason })
  }

  /** Ends the stream; resolves when nothing of it can arrive any more and all that arrived is durable. */
  async cutStream(): Promise<CopyFacts> {
    this.unfollow()
    if (this.copy.failed === undefined) await this.copy.flush().catch(() => undefined)
    return this.facts()
  }

  /**
   * The active was heard although its stream does not stand here: it may have changed the in-sync set
   * meanwhile, so the one in this journal proves nothing any more.
   */
  heardActive(): void {
    if (this.#brokenAtMs === undefined || this.#incoming?.inStep === true) return
    const { clock, heartbeatMs } = this.#options
    if (clock.nowMs() - this.#brokenAtMs > heartbeatMs) this.#inSyncKnown = false
  }

  /** Fetches the entries that this copy lacks from a peer whose copy continues it. */
  async fetch(peer: string, seq: number): Promise<void> {
    const abort = new AbortController()
    const channel = await this.#hooks.dial(peer, 'bulk', abort.signal)
    const bulk = new BulkClient(channel)
    try {
      while (this.copy.seq < seq) {
        const before = this.copy.seq
        const bytes = await fetchEntries(bulk, this.copy.extent)
        await this.#appendFetched(bytes, bulk, abort.signal)
        if (this.copy.seq === before) {
          throw new HotspareError('RESTORE_FAILED', `${peer} has no entries after ${before}`)
        }
      }
      await this.copy.flush()
    } finally {
      abort.abort()
      bulk.close()
    }
  }

  async #appendFetched(bytes: Uint8Array, bulk: BulkClient, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const entry = readEntry(bytes, at)
      if (typeof entry === 'string') {
        throw new HotspareError('FRAME_CORRUPT', 'a fetched entry is damaged')
      }
      at += entry.header.length
      const parts = entry.header.kind === 'changes' ? partsOf(entry) : undefined
      for (const blob of parts?.flatMap(blobsOf) ?? []) {
        await fetchBlob(bulk, this.storage, blob, signal)
      }
      this.copy.appendRead(entry, parts)
      if (this.copy.congested) await this.copy.decongested()
    }
  }

  /** Opens a term: the first of a tenure makes the writer, a further one goes on with it. */
  async openTerm(term: Term, degraded: boolean): Promise<void> {
    this.unfollow()
    if (this.#writer !== undefined) {
      // A follower takes one term at a time: those of the old one ask again, when the new one stands.
      this.#term = undefined
      for (const outgoing of this.#outgoing.values()) outgoing.close()
      await this.#writer.openTerm(term)
    } else {
      await this.#settling
      await this.copy.closeNext()
      await this.vault.keepUnusedJournal(nextArea)
      await this.copy.dropNext()
      this.#writer = await this.#openWriter(term, degraded)
    }
    this.#term = term
    this.#inSyncKnown = true
  }

  #openWriter(term: Term, degraded: boolean): Promise<Writer> {
    const { policy, clock, random, id, members, degradeAfterMs, onNoStandby } = this.#options
    return Writer.open({
      copy: this.copy,
      policy,
      clock,
      random,
      storage: this.storage,
      term,
      nodeId: id,
      members: members.map((member) => ({ id: member.id, promotable: member.observer !== true })),
      degradeAfterMs,
      onNoStandby,
      limits: writerLimits,
      degraded,
      blobs: { distribute: (blob) => this.#distribute(blob) },
      emit: (event) => this.#hooks.report({ from: 'writer', event }),
      checkTenure: () => this.#hooks.checkTenure(),
      checkRole: () => this.#hooks.checkRole(),
    })
  }

  /** Ends the tenure: no write is accepted or acknowledged any more, and nobody is fed. */
  endTenure(error: HotspareError): void {
    const writer = this.#writer
    this.#writer = undefined
    this.#term = undefined
    this.#inSyncKnown = false
    for (const outgoing of this.#outgoing.values()) outgoing.close()
    this.#outgoing.clear()
    this.#provenGone.clear()
    writer?.close(error)
  }

  /**
   * Waits until all is durable here, and on `target` too. The writer was frozen before; while the target is far behind,
   * writes go on, so that callers are held only for the last stretch.
   */
  async drain(target: string | undefined, deadlineMs: number): Promise<void> {
    const { clock, id } = this.#options
    const writer = this.#writer
    if (writer === undefined) throw new HotspareError('NOT_ACTIVE', 'there is nothing to drain')
    const late = (): HotspareError =>
      new HotspareError('SWITCHOVER_FAILED', `${target ?? 'the journal'} did not keep up in time`)
    const other = target === id ? undefined : target
    if (other !== undefined && this.#lagBytes(writer, other) > drainBytesMax) {
      writer.unfreeze()
      await this.#untilClose(writer, other, drainBytesMax, deadlineMs, late)
      writer.freeze()
    }
    await within(clock, deadlineMs, late, writer.drained())
    if (other !== undefined) await this.#untilClose(writer, other, 0, deadlineMs, late)
  }

  /** Bytes of journal that the target's disk is behind. */
  #lagBytes(writer: Writer, target: string): number {
    if (this.#writer !== writer) throw new HotspareError('NOT_ACTIVE', 'the role was lost')
    const follower = writer.status.followers.find((one) => one.id === target)
    if (follower === undefined) throw new HotspareError('SWITCHOVER_FAILED', `${target} left`)
    return follower.lagSeq === 0 ? 0 : Math.max(1, follower.lagBytes)
  }

  async #untilClose(
    writer: Writer,
    target: string,
    bytesMax: number,
    deadlineMs: number,
    late: () => HotspareError,
  ): Promise<void> {
    const { clock } = this.#options
    while (this.#lagBytes(writer, target) > bytesMax) {
      if (clock.nowMs() > deadlineMs) throw late()
      await new Promise<void>((resolve) => clock.setTimer(1, resolve))
    }
  }

  /** A peer is silent or gone. */
  peerLost(peer: string, proven: boolean): void {
    this.#outgoing.get(peer)?.lost(proven)
    if (!proven) return
    this.#provenGone.add(peer)
    const left = this.#options.members.filter(
      ({ id, observer }) =>
        id !== this.#options.id && observer !== true && !this.#provenGone.has(id),
    )
    if (left.length === 0) this.#writer?.nobodyInReach()
  }

  acceptStream(channel: Channel): void {
    const peer = channel.identity.nodeId
    this.#provenGone.delete(peer)
    this.#outgoing.get(peer)?.close()
    this.#outgoing.set(peer, new Outgoing(channel, this.#outgoingContext()))
  }

  acceptBulk(channel: Channel): void {
    const { copy, storage } = this
    const peer = channel.identity.nodeId
    const served = (): void => {
      this.#blobProgressMs.set(peer, this.#options.clock.nowMs())
    }
    new BulkServer(channel, { copy, storage, served })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#options.clock.clearTimer(this.#retryTimer)
    this.unfollow()
    this.endTenure(new HotspareError('STOPPED', 'the node stopped'))
    await this.copy.close()
  }

  /** Every in-sync follower gets the blob, or leaves the set when it makes no progress with it. */
  async #distribute(blob: BlobRef): Promise<void> {
    const counting = new Set(this.#writer?.status.inSync ?? [])
    const followers = this.followers.filter((outgoing) => counting.has(outgoing.peer))
    await Promise.all(followers.map((outgoing) => this.#sendBlob(outgoing, blob)))
  }

  async #sendBlob(outgoing: Outgoing, blob: BlobRef): Promise<void> {
    const { clock, degradeAfterMs } = this.#options
    this.#blobProgressMs.set(outgoing.peer, clock.nowMs())
    let timer: unknown
    const watch = (): void => {
      const idleMs = clock.nowMs() - (this.#blobProgressMs.get(outgoing.peer) ?? 0)
      if (idleMs >= degradeAfterMs) return outgoing.abandonBlob(blob.id)
      timer = clock.setTimer(degradeAfterMs - idleMs, watch)
    }
    timer = clock.setTimer(degradeAfterMs, watch)
    try {
      await outgoing.offerBlob(blob)
    } finally {
      clock.clearTimer(timer)
    }
  }

  #incomingContext(): IncomingContext {
    const { copy, vault, storage } = this
    const { policy, clock, id, restoreBytesPerSecondMax } = this.#options
    const states = policy.stateClasses()
    const declarations = policy.names().map((name) => policy.get(name))
    return {
      nodeId: id,
      copy,
      vault,
      storage,
      clock,
      restoreBytesPerSecondMax,
      stateClasses: states.map(({ name }) => name),
      outside: () => this.#outside,
      outsideRepaired: () => {
        this.#hooks.report({ from: 'outside', event: this.#outside })
        this.outsideSettled()
      },
      acknowledgeReceipt: declarations.some(
        (one) => one !== undefined && 'durability' in one && one.durability === 'memory',
      ),
      claims: (path) => policy.classOf(path)?.declaration.kind === 'synced',
      promised: () => this.#hooks.promised(),
      dial: (peer, lane, signal) => this.#hooks.dial(peer, lane, signal),
      report: (event) => this.#onIncoming(event),
    }
  }

  #onIncoming(event: IncomingEvent): void {
    const { clock } = this.#options
    if (event.name === 'complete') {
      this.#inSyncKnown = true
      this.#brokenAtMs = undefined
    }
    if (event.name === 'broken' || event.name === 'refused') {
      this.#leaveIncoming()
      this.#brokenAtMs ??= clock.nowMs()
    }
    if (event.name === 'refused' && event.code === 'POLICY_MISMATCH')
      this.#ineligible = event.reason
    this.#hooks.report({ from: 'incoming', event })
  }

  #outgoingContext(): OutgoingContext {
    const { members } = this.#options
    return {
      copy: this.copy,
      serving: () =>
        this.#writer === undefined || this.#term === undefined
          ? undefined
          : { writer: this.#writer, term: this.#term },
      refusal: (peer) => this.#hooks.refusal(peer),
      readableAfter: () => this.#unreadableSeq,
      unreadable: () => {
        this.#unreadableSeq = this.copy.seq
      },
      promotable: (peer) => members.find(({ id }) => id === peer)?.observer !== true,
      newRestoreId: () => {
        this.#restores += 1
        return `${this.#bootId}-${this.#restores}`
      },
      report: (event) => this.#hooks.report({ from: 'outgoing', event }),
    }
  }

  #onStorageFailure(): void {
    this.#hooks.report({ from: 'storage', event: 'failed' })
    this.#retryStorage()
  }

  /** A disk that was full has room again some time: that is looked for also while no stream is followed. */
  #retryStorage(): void {
    const { clock, deadMs } = this.#options
    clock.clearTimer(this.#retryTimer)
    this.#retryTimer = clock.setTimer(deadMs / 2, () => {
      const { failed } = this.copy
      if (this.#closed || failed === undefined || failed.code === 'JOURNAL_CORRUPT') return
      if (this.#writer !== undefined) return this.#retryStorage()
      this.#reopen().catch(() => this.#retryStorage())
    })
  }

  #reopen(): Promise<void> {
    this.#reopening ??= this.copy
      .reopen()
      .then(() => this.#hooks.report({ from: 'storage', event: 'recovered' }))
      .finally(() => {
        this.#reopening = undefined
      })
    return this.#reopening
  }
}

interface Opened {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
}

/** Settles as `work` does, or rejects at the deadline. */
async function within<T>(
  clock: NodeOptions['clock'],
  deadlineMs: number,
  late: () => Error,
  work: Promise<T>,
): Promise<T> {
  let timer: unknown
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = clock.setTimer(Math.max(0, deadlineMs - clock.nowMs()), () => reject(late()))
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clock.clearTimer(timer)
  }
}
