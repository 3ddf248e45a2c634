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
import type { OutsideReport } from '../../copy/files/types.js'
import { asFailure } from '../../copy/journal/errors.js'
import { LocalCopy } from '../../copy/local-copy.js'
import { Vault } from '../../copy/vault/vault.js'
import type { CopyFacts } from '../../core/state/facts.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { writerLimits } from '../../replication/write/types.js'
import { Writer } from '../../replication/write/writer.js'
import type { NodeOptions } from '../contract/options.js'
import { acknowledgesFromMemory, CopyTrust } from './copy-trust.js'
import { Followers } from './followers.js'
import { Inflow } from './inflow.js'
import { OutsideAdoption } from './outside-adoption.js'
import type { ReplicaHooks, TermOpening } from './replica-types.js'
import { StorageRetry } from './storage-retry.js'
import { Freeze } from './write-freeze.js'

export class Replica {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly followers: Followers
  readonly inflow: Inflow
  readonly #options: NodeOptions
  readonly #hooks: ReplicaHooks
  #writer: Writer | undefined
  /** Made with the writer, and gone with it. */
  #freeze: Freeze | undefined
  #term: Term | undefined
  readonly #trust: CopyTrust
  #hasRoom = true
  readonly #retry: StorageRetry
  readonly #adoption: OutsideAdoption

  private constructor(options: NodeOptions, bootId: string, hooks: ReplicaHooks, opened: Opened) {
    this.#options = options
    this.#hooks = hooks
    const { copy, vault, storage, mayHaveForgotten } = opened
    this.copy = copy
    this.vault = vault
    this.storage = storage
    this.#trust = new CopyTrust(copy.seq > 0 && mayHaveForgotten)
    this.followers = new Followers({
      options,
      bootId,
      hooks,
      copy,
      storage,
      source: () => this.#writer,
      term: () => this.#term,
    })
    copy.outside.onFound((found) => this.#onOutside(found))
    const { clock, deadMs } = options
    this.#retry = new StorageRetry({
      clock,
      everyMs: deadMs / 2,
      copy,
      // An active gives up the role first.
      mayReopen: () => this.#writer === undefined,
      report: (event) => hooks.reports.storage(event),
    })
    const parts = { options, hooks, copy, vault, storage }
    this.inflow = new Inflow({ ...parts, retry: this.#retry, trust: this.#trust })
    this.#adoption = new OutsideAdoption({ ...parts, writer: () => this.#writer })
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
      report: (incident) => hooks.reports.vault(incident),
    })
    const copy = await LocalCopy.open({
      storage,
      policy,
      clock,
      random,
      limits: copyLimitsOf(journalBytesMax),
      emit: (event) => hooks.reports.copy(event),
      ...(recovers === undefined ? {} : { recovers }),
    })
    return new Replica(options, bootId, hooks, { copy, vault, storage, mayHaveForgotten })
  }

  /**
   * Whether what was acknowledged here, by this process or one before it, may be in no more than
   * memory.
   */
  get memoryAcks(): boolean {
    return this.#trust.forgot || acknowledgesFromMemory(this.#options)
  }

  get writer(): Writer | undefined {
    return this.#writer
  }

  get term(): Term | undefined {
    return this.#term
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
      inSyncKnown: this.#trust.inSyncKnown,
      // What it acknowledged from memory and cannot write is more than it says it has.
      forgot: this.#trust.forgot || (failed !== undefined && this.#owesDisk()),
      ineligible: failed ?? this.inflow.refusal,
      heldSeq: this.#writer?.heldSeq,
    }
  }

  #owesDisk(): boolean {
    return this.copy.durableSeq < this.copy.seq && acknowledgesFromMemory(this.#options)
  }

  /**
   * A standby gets the file anew, by the restore that its next stream begins with. An active has
   * nobody to get it from.
   */
  #onOutside(event: OutsideReport): void {
    if (this.#writer === undefined) {
      return this.inflow.breakStream('CHANGED_OUTSIDE', 'a file was changed by somebody else')
    }
    this.#hooks.reports.outside(event, 'kept')
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
    await this.inflow.cut()
    if (this.copy.failed === undefined) await this.copy.flush().catch(() => undefined)
  }

  /**
   * Opens a term: the first of a tenure makes the writer, a further one goes on with it. With the
   * first, what somebody else did to files is taken into the history, before anybody is told of the
   * role.
   */
  async openTerm(term: Term, opening: TermOpening): Promise<void> {
    await this.inflow.cut()
    if (this.#writer !== undefined) {
      this.#term = undefined
      this.followers.closeStreams()
      await this.#writer.openTerm(term)
    } else {
      await this.inflow.settled()
      await this.#dropUnused()
      await this.#beginTenure(await this.#openWriter(term, opening), opening)
    }
    this.#term = term
    this.#trust.isWhole()
  }

  async #beginTenure(writer: Writer, { progressed }: TermOpening): Promise<void> {
    this.#writer = writer
    try {
      await this.#adoption.begin(writer, progressed)
    } catch (error) {
      if (this.#writer === writer) this.#writer = undefined
      writer.close(asFailure(error))
      throw error
    }
    this.#freeze = new Freeze(this.#options.clock, writer)
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
      emit: (event) => this.#hooks.reports.writer(event),
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
    this.#hooks.reports.room(refusal)
    return refusal
  }

  /** Ends the tenure: no write is accepted or acknowledged any more, and nobody is fed. */
  endTenure(error: HotspareError): void {
    const writer = this.#writer
    this.#writer = undefined
    this.#term = undefined
    this.#trust.doubtInSync()
    this.#hasRoom = true
    this.#adoption.end()
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
    await this.inflow.cut()
    this.endTenure(new HotspareError('STOPPED', 'the node stopped'))
    await this.copy.close()
  }
}

interface Opened {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly mayHaveForgotten: boolean
}
