/**
 * The data side of a node: its copy and vault, the writer while it is active, the stream it follows
 * while it is not, and those who follow it. It does what the core decided and reports what became
 * of it.
 *
 * Invariants: a writer exists only between `openTerm` and `endTenure`; at most one stream is
 * followed; after `cutStream` nothing comes into the copy before it is told to follow, fetch or
 * open a term.
 */

import type { RecoveryProgress } from '../../copy/contents/types.js'
import { copyLimitsOf } from '../../copy/contents/types.js'
import { isNothing } from '../../copy/files/tree-scan.js'
import type { OutsideReport } from '../../copy/files/types.js'
import { asFailure } from '../../copy/journal/errors.js'
import { LocalCopy } from '../../copy/local-copy.js'
import { Vault } from '../../copy/vault/vault.js'
import type { CopyFacts } from '../../core/state/facts.js'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { kindOf } from '../../policy/kinds/table.js'
import { brokenBy } from '../../replication/stream/broken-by.js'
import { Incoming } from '../../replication/stream/incoming.js'
import type { IncomingContext, IncomingEvent } from '../../replication/stream/incoming-types.js'
import { writerLimits } from '../../replication/write/types.js'
import { Writer } from '../../replication/write/writer.js'
import type { NodeOptions } from '../contract/options.js'
import type { AdoptionResult } from './adoption.js'
import { Adoption } from './adoption.js'
import type { AdoptionWatchOptions } from './adoption-watch.js'
import { Fetching } from './fetching.js'
import { Followers } from './followers.js'
import { LaterAdoption } from './later-adoption.js'
import type { ReplicaHooks, TermOpening } from './replica-types.js'
import { StorageRetry } from './storage-retry.js'
import { Freeze } from './write-freeze.js'

/**
 * A source that answers nothing for so many times `deadMs` although it lives ends a restore, which
 * then begins anew.
 */
const sourceSilentFactor = 15
/**
 * Nobody serves while files are adopted: what is not done after so many times `deadMs` waits until
 * this node does.
 */
const adoptForDeadTimes = 15

export class Replica {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly followers: Followers
  readonly #options: NodeOptions
  readonly #hooks: ReplicaHooks
  #writer: Writer | undefined
  /** Made with the writer, and gone with it. */
  #freeze: Freeze | undefined
  #term: Term | undefined
  #incoming: Incoming | undefined
  #followed: { readonly peer: string; readonly term: Term } | undefined
  #inSyncKnown = false
  /** The process before this one may have acknowledged from memory what the disk does not hold. */
  #forgot: boolean
  #brokenAtMs: number | undefined
  #ineligible: string | undefined
  #hasRoom = true
  readonly #retry: StorageRetry
  /** Resolves when the attempts to follow that were given up have ended. */
  #settling: Promise<void> = Promise.resolve()
  readonly #fetching: Fetching
  readonly #later: LaterAdoption
  /**
   * The disk did not hold what an attempt to adopt wrote: the next one leaves it alone, so that it
   * gets the role at all.
   */
  #adoptsNothing = false

  private constructor(options: NodeOptions, bootId: string, hooks: ReplicaHooks, opened: Opened) {
    this.#options = options
    this.#hooks = hooks
    const { copy, vault, storage, mayHaveForgotten } = opened
    this.copy = copy
    this.vault = vault
    this.storage = storage
    this.#forgot = copy.seq > 0 && mayHaveForgotten
    this.followers = new Followers({
      options,
      bootId,
      hooks,
      copy,
      storage,
      source: () => this.#writer,
      term: () => this.#term,
    })
    copy.onOutside((found) => this.#onOutside(found))
    const { clock, deadMs } = options
    this.#fetching = new Fetching({
      copy,
      vault,
      storage,
      clock,
      deadMs,
      dial: (peer, signal) => hooks.dial(peer, 'bulk', signal),
      settled: () => this.#settling,
    })
    this.#later = new LaterAdoption({
      clock,
      adopt: (left) => this.#adoptLater(left),
      adopted: ({ adopted }) => hooks.report({ from: 'adoptedLater', event: adopted }),
    })
    this.#retry = new StorageRetry({
      clock,
      everyMs: deadMs / 2,
      copy,
      // An active gives up the role first.
      mayReopen: () => this.#writer === undefined,
      report: (event) => hooks.report({ from: 'storage', event }),
    })
  }

  /**
   * `mayHaveForgotten`: the process before this one may have acknowledged what it did not leave on
   * the disk.
   */
  static async open(
    options: NodeOptions,
    bootId: string,
    storage: OpenStorage,
    mayHaveForgotten: boolean,
    hooks: ReplicaHooks,
    recovers?: (progress: RecoveryProgress) => void,
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
      limits: copyLimitsOf(journalBytesMax),
      emit: (event) => hooks.report({ from: 'copy', event }),
      ...(recovers === undefined ? {} : { recovers }),
    })
    return new Replica(options, bootId, hooks, { copy, vault, storage, mayHaveForgotten })
  }

  /**
   * Whether what was acknowledged here, by this process or one before it, may be in no more than
   * memory.
   */
  get memoryAcks(): boolean {
    return this.#forgot || acknowledgesFromMemory(this.#options)
  }

  get writer(): Writer | undefined {
    return this.#writer
  }

  get term(): Term | undefined {
    return this.#term
  }

  /** The active that is followed, or was until its stream broke. */
  get followed(): string | undefined {
    return this.#followed?.peer
  }

  get followedTerm(): Term | undefined {
    return this.#followed?.term
  }

  facts(): CopyFacts {
    const { copy } = this
    const failed = copy.failed === undefined ? undefined : `storage: ${copy.failed.code}`
    return {
      history: copy.history,
      // What a failed disk did not take cannot be had from here either.
      seq: failed === undefined ? copy.seq : copy.durableSeq,
      durableSeq: copy.durableSeq,
      firstSeq: copy.firstSeq,
      complete: copy.complete,
      inSync: copy.inSync,
      inSyncKnown: this.#inSyncKnown,
      // What it acknowledged from memory and cannot write is more than it says it has.
      forgot: this.#forgot || (failed !== undefined && this.#owesDisk()),
      ineligible: failed ?? this.#ineligible,
      heldSeq: this.#writer?.heldSeq,
    }
  }

  #owesDisk(): boolean {
    return this.copy.durableSeq < this.copy.seq && acknowledgesFromMemory(this.#options)
  }

  /**
   * What was found changed on this disk, at start or while the node runs, and not put right since.
   */
  get outside(): OutsideReport {
    return this.copy.outside
  }

  /**
   * A standby gets the file anew, by the restore that its next stream begins with. An active has
   * nobody to get it from.
   */
  #onOutside(event: OutsideReport): void {
    if (this.#writer === undefined) {
      return this.breakStream('CHANGED_OUTSIDE', 'a file was changed by somebody else')
    }
    this.#hooks.report({ from: 'outsideOfActive', event })
  }

  /** Follows a peer's stream until `unfollow`. */
  follow(peer: string, term: Term): void {
    this.unfollow()
    this.#followed = { peer, term }
    const incoming = new Incoming(this.#incomingContext(), peer, term)
    this.#incoming = incoming
    void this.#start(incoming)
  }

  async #start(incoming: Incoming): Promise<void> {
    try {
      await this.#fetching.end()
      // An attempt that was given up may be in the middle of its switch, which needs what it
      // staged.
      await this.#settling
      const { failed } = this.copy
      // A damaged journal cannot be opened again; a full restore replaces it.
      if (failed !== undefined && failed.code !== 'JOURNAL_CORRUPT') await this.#retry.reopen()
    } catch (error) {
      if (this.#incoming !== incoming) return
      const { peer } = incoming
      this.#onIncoming({ name: 'broken', peer, ...brokenBy(error) })
      return
    }
    if (this.#incoming === incoming) incoming.start()
  }

  unfollow(): void {
    // What an active refused says nothing about this copy once it is gone.
    this.#ineligible = undefined
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

  /** Nothing more can be taken in as it is: the own storage failed, or a file has to come anew. */
  breakStream(code: ErrorCode, reason: string): void {
    const incoming = this.#incoming
    if (incoming === undefined) return
    incoming.stop()
    this.#onIncoming({ name: 'broken', peer: incoming.peer, code, reason })
  }

  /**
   * Ends the stream for a stop: whether everything that it brought, and that may be acknowledged,
   * is on the disk.
   */
  async comesToRest(): Promise<boolean> {
    await this.cutStream()
    return this.copy.failed === undefined && this.copy.durableSeq === this.copy.seq
  }

  /**
   * Ends the stream, and a fetch; resolves when nothing can arrive any more and all that arrived is
   * durable. A switch to a restore that has begun goes on meanwhile: nobody counts on what it
   * brings, and a takeover that waited for it would wait for the disk of a member that is not in
   * sync.
   */
  async cutStream(): Promise<void> {
    this.unfollow()
    await this.#fetching.end()
    if (this.copy.failed === undefined) await this.copy.flush().catch(() => undefined)
  }

  /**
   * The active was heard. Where its stream does not stand here it may have changed the in-sync set
   * meanwhile, so the one in this journal proves nothing any more.
   */
  heardActive(term: Term, seq: number): void {
    this.#incoming?.heard(term, seq)
    if (this.#brokenAtMs === undefined || this.#incoming?.wasSentAll === true) return
    const { clock, heartbeatMs } = this.#options
    if (clock.nowMs() - this.#brokenAtMs > heartbeatMs) this.#inSyncKnown = false
  }

  /**
   * Fetches the entries that this copy lacks from a peer whose copy continues it. @throws `ABORTED`
   * when it is ended
   */
  fetch(peer: string, seq: number, moved: (count: number) => void): Promise<void> {
    return this.#fetching.begin(peer, seq, moved)
  }

  /**
   * Opens a term: the first of a tenure makes the writer, a further one goes on with it. With the
   * first, what somebody else did to files is taken into the history, before anybody is told of the
   * role.
   */
  async openTerm(term: Term, opening: TermOpening): Promise<void> {
    this.unfollow()
    await this.#fetching.end()
    if (this.#writer !== undefined) {
      this.#term = undefined
      this.followers.closeStreams()
      await this.#writer.openTerm(term)
    } else {
      await this.#settling
      await this.#dropUnused()
      const writer = await this.#openWriter(term, opening)
      this.#writer = writer
      await this.#adopt(writer, opening)
      this.#freeze = new Freeze(this.#options.clock, writer)
    }
    this.#term = term
    this.#inSyncKnown = true
    this.#forgot = false
  }

  /**
   * What is not adopted stays known: it is tried again, and this node gets the history's version
   * when it follows somebody.
   */
  async #adopt(writer: Writer, { progressed }: TermOpening): Promise<void> {
    const { copy } = this
    const { outside } = copy
    if (isNothing(outside)) return
    const { unknown, differing, missing } = outside
    const count = unknown.length + differing.length + missing.length
    this.#hooks.report({ from: 'adopting', event: count })
    const isWanted = (): boolean => this.#writer === writer
    try {
      const forMs = adoptForDeadTimes * this.#options.deadMs
      const adoption = this.#newAdoption(writer, { forMs, isWanted, progressed })
      const result = await adoption.run(this.#adoptsNothing ? 'nothing' : 'all')
      this.#adoptsNothing = false
      this.#hooks.report({ from: 'adoption', event: result })
      if (!isNothing(result.left)) this.#later.begin(result.left)
    } catch (error) {
      this.#adoptsNothing = copy.failed !== undefined
      if (isWanted()) this.#writer = undefined
      writer.close(asFailure(error))
      throw error
    }
  }

  #newAdoption(
    writer: Writer,
    limits: Pick<AdoptionWatchOptions, 'forMs' | 'isWanted' | 'progressed'>,
  ): Adoption {
    const { copy, vault, storage } = this
    const { clock, policy, heartbeatMs } = this.#options
    const watch = { clock, everyMs: heartbeatMs, ...limits }
    return new Adoption({ copy, vault, storage, policy, writer, watch })
  }

  /** While the node is active: nothing is journaled when it may not act as active. */
  async #adoptLater(left: OutsideReport): Promise<AdoptionResult> {
    const writer = this.#writer
    if (writer === undefined) throw new HotspareError('NOT_ACTIVE', 'the role was lost')
    const isWanted = (): boolean => this.#writer === writer && writer.mayAct
    const limits = { forMs: Number.POSITIVE_INFINITY, isWanted, progressed: () => undefined }
    return await this.#newAdoption(writer, limits).run('all', left)
  }

  /**
   * What no longer fits into the vault stays where it is until the next restore: a full vault must
   * not prevent a promotion.
   */
  async #dropUnused(): Promise<void> {
    try {
      await this.vault.dropUnused(this.copy, this.copy.extent)
    } catch (error) {
      if (!HotspareError.is(error, 'VAULT_FULL')) throw error
    }
  }

  #openWriter(term: Term, { degraded, tenure }: TermOpening): Promise<Writer> {
    const { policy, clock, random, id, members } = this.#options
    const { degradeAfterMs, onNoStandby, flowControl } = this.#options
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
      flowControl,
      limits: writerLimits,
      degraded,
      blobs: this.followers,
      noRoomFor: (bytes) => this.#noRoomFor(bytes),
      emit: (event) => this.#hooks.report({ from: 'writer', event }),
      tenure,
    })
  }

  /** Tells when there is room again, also while nobody writes. */
  lookForRoom(): void {
    if (!this.#hasRoom) this.#noRoomFor(0)
  }

  /** Removals are taken all the same. */
  #noRoomFor(bytes: number): string | undefined {
    const refusal = this.storage.room?.refusal(bytes)
    if ((refusal === undefined) === this.#hasRoom) return refusal
    this.#hasRoom = refusal === undefined
    this.#hooks.report({ from: 'room', event: refusal })
    return refusal
  }

  /** Ends the tenure: no write is accepted or acknowledged any more, and nobody is fed. */
  endTenure(error: HotspareError): void {
    const writer = this.#writer
    this.#writer = undefined
    this.#term = undefined
    this.#inSyncKnown = false
    this.#hasRoom = true
    this.#later.end()
    this.followers.endTenure()
    writer?.close(error)
    this.#freeze?.end()
    this.#freeze = undefined
  }

  /** Accepts writes and gives them no place, until `unfreeze`. */
  freeze(): void {
    this.#freeze?.begin()
  }

  unfreeze(): void {
    this.#freeze?.end()
  }

  /** Waits until all is durable here, and on `target` too. */
  async drain(target: string | undefined, deadlineMs: number): Promise<void> {
    if (this.#freeze === undefined) {
      throw new HotspareError('NOT_ACTIVE', 'there is nothing to drain')
    }
    await this.#freeze.drain(target === this.#options.id ? undefined : target, deadlineMs)
  }

  async close(): Promise<void> {
    this.#retry.close()
    this.unfollow()
    await this.#fetching.end()
    this.endTenure(new HotspareError('STOPPED', 'the node stopped'))
    await this.copy.close()
  }

  #incomingContext(): IncomingContext {
    const { copy, vault, storage } = this
    const { policy, clock, restoreBytesPerSecondMax, degradeAfterMs, deadMs } = this.#options
    const states = policy.stateClasses()
    return {
      copy,
      vault,
      storage,
      clock,
      restoreBytesPerSecondMax,
      degradeAfterMs,
      sourceSilentMs: sourceSilentFactor * deadMs,
      stateClasses: states.map(({ name }) => name),
      outside: () => copy.outside,
      outsideRepaired: (outside) => this.#hooks.report({ from: 'outside', event: outside }),
      acknowledgeReceipt: acknowledgesFromMemory(this.#options),
      claims: (path) => {
        const found = policy.classOf(path)
        return found !== undefined && kindOf(found.declaration).isReplicated
      },
      promised: () => this.#hooks.promised(),
      dial: (peer, lane, signal) => this.#hooks.dial(peer, lane, signal),
      report: (event) => this.#onIncoming(event),
    }
  }

  #onIncoming(event: IncomingEvent): void {
    const { clock } = this.#options
    if (event.name === 'complete') {
      this.#inSyncKnown = true
      this.#forgot = false
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
}

/** Whether a standby acknowledges what it received before that is on its disk. */
export function acknowledgesFromMemory({ policy }: NodeOptions): boolean {
  return Object.values(policy.classes).some(
    (declaration) => kindOf(declaration).levels(declaration)?.durability === 'memory',
  )
}

interface Opened {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly mayHaveForgotten: boolean
}
