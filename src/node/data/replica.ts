/**
 * The data side of a node: its copy and vault, the writer while it is active, the stream that it
 * follows while it is not, and its followers. It carries out the decisions of the core and reports
 * the results.
 *
 * Invariants: a writer exists only between `openTerm` and `endTenure`; at most one stream is
 * followed; after `cutStream` nothing enters the copy until it is told to follow, to fetch or to
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
  /** Exists as long as the writer. */
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
      // An active first gives up the role.
      mayReopen: () => this.#writer === undefined,
      report: (event) => hooks.reports.storage(event),
    })
    const parts = { options, hooks, copy, vault, storage }
    this.inflow = new Inflow({ ...parts, retry: this.#retry, trust: this.#trust })
    this.#adoption = new OutsideAdoption({ ...parts, writer: () => this.#writer })
  }

  /**
   * `mayHaveForgotten`: whether the previous process may have acknowledged changes that the disk
   * lacks.
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

  /** Whether changes acknowledged by this or an earlier process may exist in memory only. */
  get memoryAcks(): boolean {
    return this.#trust.forgot || acknowledgesFromMemory(this.#options)
  }

  get writer(): Writer | undefined {
    return this.#writer
  }

  facts(): CopyFacts {
    const { copy } = this
    const failed = copy.failed === undefined ? undefined : `storage: ${copy.failed.code}`
    return {
      history: copy.history,
      // Changes that a failed disk did not accept cannot be fetched from here either.
      seq: failed === undefined ? copy.seq : copy.durableSeq,
      durableSeq: copy.durableSeq,
      firstSeq: copy.firstSeq,
      complete: copy.complete,
      inSync: copy.inSync,
      inSyncKnown: this.#trust.inSyncKnown,
      // Changes that it acknowledged from memory and cannot write are missing from its reported
      // position.
      forgot: this.#trust.forgot || (failed !== undefined && this.#owesDisk()),
      ineligible: failed ?? this.inflow.refusal,
      heldSeq: this.#writer?.heldSeq,
    }
  }

  #owesDisk(): boolean {
    return this.copy.durableSeq < this.copy.seq && acknowledgesFromMemory(this.#options)
  }

  /**
   * A standby restores the file at the beginning of its next stream. An active has no source to
   * restore it from.
   */
  #onOutside(event: OutsideReport): void {
    if (this.#writer === undefined) {
      return this.inflow.breakStream('CHANGED_OUTSIDE', 'a file was changed by somebody else')
    }
    this.#hooks.reports.outside(event, 'kept')
  }

  /**
   * Ends the stream for a stop. Answers whether everything that was received, and may be
   * acknowledged, is durable.
   */
  async comesToRest(): Promise<boolean> {
    await this.cutStream()
    return this.copy.failed === undefined && this.copy.durableSeq === this.copy.seq
  }

  /**
   * Ends the stream and the fetch. Resolves when no more entries can arrive and all that arrived
   * are durable. A switch to a restore that has begun continues: no node counts on its data, and a
   * takeover that waited for it would depend on the disk of a member that is not in sync.
   */
  async cutStream(): Promise<void> {
    await this.inflow.cut()
    if (this.copy.failed === undefined) await this.copy.flush().catch(() => undefined)
  }

  /**
   * Opens a term. The first term of a tenure creates the writer, and outside changes to files are
   * adopted before the role is announced; a further term continues with the same writer.
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
   * Files that do not fit into the vault stay until the next restore, because a full vault must not
   * prevent a promotion.
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

  /** Reports when there is space again, even without a write. */
  lookForRoom(): void {
    if (!this.#hasRoom) this.#noRoomFor(0)
  }

  /** Removals are always accepted. */
  #noRoomFor(bytes: number): string | undefined {
    const refusal = this.storage.room?.refusal(bytes)
    if ((refusal === undefined) === this.#hasRoom) return refusal
    this.#hasRoom = refusal === undefined
    this.#hooks.reports.room(refusal)
    return refusal
  }

  /**
   * Ends the tenure: no write is accepted or acknowledged any more, and followers get no more
   * entries.
   */
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

  /** Accepts writes without giving them a position, until `unfreeze`. */
  freeze(): void {
    this.#freeze?.begin()
  }

  unfreeze(): void {
    this.#freeze?.end()
  }

  /** Waits until everything is durable here, and on `target` too. */
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
