/** The types of what the writer depends on, accepts and returns. */

import type { BatchPart, Entry } from '../../changes/entry.js'
import type { WriteIntent } from '../../changes/intent.js'
import type { UpdateResult } from '../../copy/contents/types.js'
import type { NameRules } from '../../copy/files/spellings.js'
import type { FileRecord } from '../../copy/files/types.js'
import type { HotspareError } from '../../errors.js'
import type { Position, Term } from '../../history/position.js'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import type { AckLevel, Durability } from '../../policy/class-options.js'
import type { ClassDeclaration } from '../../policy/kinds/table.js'
import type { BlobDistributor } from '../content/types.js'
import type { Pace } from '../in-sync/flow-control.js'
import type { FollowerStatus, WriterEvent } from '../in-sync/types.js'

/** The part of a copy's files that its writer uses. */
export interface WriterFiles {
  stat(path: string): FileRecord | undefined
  list(prefix?: string): string[]
  /** Whether any file lies below this path; a check by listing when the copy does not offer it. */
  hasBelow?(path: string): boolean
  /** Which new files cannot come to stand at their paths, and why. */
  findBlocked?(paths: readonly string[]): Promise<ReadonlyMap<string, HotspareError>>
}

/** The part of a node's copy that its writer uses. */
export interface WriterCopy {
  readonly seq: number
  readonly ackedSeq: number
  readonly failed: HotspareError | undefined
  readonly lastOrdinal: number
  readonly durableOrdinal: number
  readonly congested: boolean
  readonly files: WriterFiles
  /** What names of files are refused; none where the copy does not say. */
  readonly names?: Pick<NameRules, 'spelledOtherwise'>
  /** Bytes of everything that a restore of this copy brings. */
  readonly contentBytes: number
  /** Bytes above which the journal drops segments that only a follower still needs. */
  readonly journalBytesMax: number
  append(
    entry: Entry,
    parts?: readonly BatchPart[],
    found?: ReadonlyMap<string, FileStat | null>,
  ): { readonly ordinal: number; readonly results: readonly UpdateResult[] | undefined }
  onDurable(listener: (durableOrdinal: number) => void): () => void
  onFailure(listener: (error: HotspareError) => void): () => void
  decongested(): Promise<void>
  flush(): Promise<void>
}

/** The part of a SyncPolicy that the writer uses. */
export interface WriterPolicy {
  get(name: string): ClassDeclaration | undefined
  names(): string[]
}

/** Limits of the write path. */
export interface WriterLimits {
  /** Bytes of changes in one batch; a larger change is a batch by itself. */
  readonly batchBytesMax: number
  /** Changes in one batch; further ones go into the next. */
  readonly batchChangesMax: number
  /** Content above this many bytes becomes a blob. */
  readonly inlineBytesMax: number
  /** Bytes of writes that are queued and not sequenced; beyond it `QUEUE_FULL`. */
  readonly queueBytesMax: number
  /** Writes that are not acknowledged yet; beyond it `QUEUE_FULL`. */
  readonly queueWritesMax: number
  /** Bytes of one blob; beyond it `WRITE_TOO_LARGE`. */
  readonly blobBytesMax: number
}

/** The default limits. */
export const writerLimits: WriterLimits = {
  batchBytesMax: 256 * 1024,
  batchChangesMax: 1024,
  inlineBytesMax: 128 * 1024,
  queueBytesMax: 64 * 1024 * 1024,
  queueWritesMax: 1_000_000,
  blobBytesMax: 64 * 1024 * 1024 * 1024,
}

/** What a {@link Writer} depends on. */
export interface WriterOptions {
  readonly copy: WriterCopy
  readonly policy: WriterPolicy
  readonly clock: Clock
  readonly random: Random
  readonly storage: OpenStorage
  readonly term: Term
  readonly nodeId: string
  readonly members: readonly { readonly id: string; readonly promotable: boolean }[]
  /** How long a standby of the in-sync set may leave an entry unacknowledged, in milliseconds. */
  readonly degradeAfterMs: number
  readonly onNoStandby: 'degrade' | 'block'
  /** Whether writers are paced for a standby that does not gain on them. */
  readonly flowControl: 'redundancy' | 'speed'
  readonly limits: WriterLimits
  /** Whether no promotable member is reachable, so that writes do not wait for one first. */
  readonly degraded: boolean
  readonly blobs: BlobDistributor
  /** Why something of this many bytes is refused for lack of disk space; undefined when it fits. */
  noRoomFor?(bytes: number): string | undefined
  emit(event: WriterEvent): void
  readonly tenure: TenureCheck
}

/** Asked before writes get their places, and before they are acknowledged. */
export interface TenureCheck {
  /** Whether this node may act as active now. The answer can change with every call. */
  mayAct(): boolean
}

/** What a write may choose instead of the settings of its class. */
export interface WriteOptions {
  /** How far it has come before it is acknowledged. Default: what its class says. */
  readonly ack?: AckLevel | undefined
  /** Whether that means memory or disk. Default: what its class says. */
  readonly durability?: Durability | undefined
  /**
   * Gives the call up, which then rejects with `ABORTED`, or with `WRITES_BLOCKED` if it waited for
   * a standby because of `onNoStandby: 'block'`. A write that is not sequenced yet then never
   * happens (`retryable` is true); one that is sequenced stays in the journal, goes to the
   * standbys, and is only not acknowledged (`retryable` is false). Decide about a retry by
   * `retryable`, not by the code.
   */
  readonly signal?: AbortSignal | undefined
}

/** How a write was acknowledged. */
export interface Receipt {
  /** Its place in the history. */
  readonly position: Position
  /**
   * The level at which it was acknowledged: what was asked for, or `local` while the cluster is
   * degraded.
   */
  readonly ack: AckLevel
  /** Whether it is on disk at every place that its level names. */
  readonly durable: boolean
  /** Whether it was acknowledged while no standby was in sync although its level asks for one. */
  readonly degraded: boolean
  /**
   * What `apply` returned, for updates: a copy of plain data, anything else itself, which then must
   * not be changed. A result that is no plain data is left out of the receipt of a write that a
   * switchover sent to another node.
   */
  readonly result?: unknown
}

/**
 * A write that is not sequenced, removed from the writer so that it can be sent to another node.
 */
export interface HeldWrite {
  readonly intent: WriteIntent
  readonly ack: AckLevel | undefined
  readonly durability: Durability | undefined
  /** Gives the write up. The new owner of the write must listen to it. */
  readonly signal: AbortSignal | undefined
  resolve(receipt: Receipt): void
  reject(error: unknown): void
}

/** The state of the write path. */
export interface WriterStatus {
  /** The members whose acknowledgements count. */
  readonly inSync: readonly string[]
  readonly degraded: boolean
  readonly blocked: boolean
  readonly frozen: boolean
  /** How writers are paced; undefined while they are not. */
  readonly pace: Pace | undefined
  /** Writes that are queued and not sequenced, and their bytes. */
  readonly queuedWrites: number
  readonly queuedBytes: number
  /** Writes that are sequenced and not acknowledged. */
  readonly unacknowledged: number
  readonly followers: readonly FollowerStatus[]
}
