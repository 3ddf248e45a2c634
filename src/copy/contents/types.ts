/** The options, events and results of a local copy. */
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import type { LiveDatabaseEvent } from '../files/live-database.js'
import type { SkippedEvent } from '../files/skipped-paths.js'

/** Limits of a copy, in bytes unless the name says otherwise. */
export interface CopyLimits {
  /** The size above which the journal is trimmed, including blobs. */
  readonly journalBytesMax: number
  /** The size at which a segment of the journal is closed. */
  readonly segmentBytes: number
  /** Entries in memory for readers; older ones are read from the disk. */
  readonly tailBytesMax: number
  /** Entries that are not durable or not applied yet; above it writers wait. */
  readonly pendingBytesMax: number
  /** Journal after which a checkpoint is made. */
  readonly checkpointBytes: number
  /** Milliseconds between two checkpoints while there are changes. */
  readonly checkpointMs: number
  /** The longest snapshot of a class of application state; a longer one is `SNAPSHOT_FAILED`. */
  readonly snapshotBytesMax: number
}

/** The longest snapshot that any node accepts, in bytes; a longer one is `SNAPSHOT_FAILED`. */
export const snapshotBytesMax: number = 2 ** 30

const mib = 1024 * 1024

/** The default limits. */
export const copyLimits: CopyLimits = {
  journalBytesMax: 256 * mib,
  segmentBytes: 16 * mib,
  tailBytesMax: 8 * mib,
  pendingBytesMax: 32 * mib,
  checkpointBytes: 32 * mib,
  checkpointMs: 10_000,
  snapshotBytesMax,
}

/**
 * The largest share of the journal's limit in one segment, because the journal is trimmed by whole
 * segments.
 */
const segmentShare = 1 / 8
/**
 * The largest share of the journal's limit between checkpoints, because newer entries cannot be
 * trimmed.
 */
const checkpointShare = 1 / 4

/**
 * The limits of a copy for a limit of its journal. Journal and blobs together stay below one and a
 * half times the limit: the limit, a segment, and what is written during a checkpoint. More is kept
 * for a single larger blob, for what a standby still reads (up to twice the limit), and for a class
 * of application state whose snapshot fails.
 */
export function copyLimitsOf(journalBytesMax: number): CopyLimits {
  return {
    ...copyLimits,
    journalBytesMax,
    segmentBytes: Math.min(copyLimits.segmentBytes, journalBytesMax * segmentShare),
    checkpointBytes: Math.min(copyLimits.checkpointBytes, journalBytesMax * checkpointShare),
  }
}

/** The events of a copy. */
export type CopyEvent =
  /** The journal or the tree cannot be written; `reopen()` tries again. */
  | { readonly name: 'storageFailed'; readonly error: HotspareError }
  /** Changes up to `upTo` were trimmed although a known member lacks them. */
  | { readonly name: 'historyLost'; readonly upTo: number }
  | SkippedEvent
  | LiveDatabaseEvent
  /** Durable bytes fail their check, so the copy is not complete. */
  | {
      readonly name: 'journalDamaged'
      readonly where: string
      readonly why: string
      readonly seq: number
    }
  /** A change of a file cannot be carried out on the tree. */
  | { readonly name: 'applyFailed'; readonly path: string; readonly error: HotspareError }
  /**
   * Changes of a class or path that this node's policy does not have were journaled and not
   * applied.
   */
  | {
      readonly name: 'strangerClass'
      readonly className: string
      readonly path: string | undefined
    }
  /** A class of application state could not be rebuilt and has to be restored. */
  | { readonly name: 'stateLost'; readonly className: string; readonly why: string }
  /** The snapshot of a class could not be taken or stored; the next checkpoint tries again. */
  | {
      readonly name: 'snapshotFailed'
      readonly className: string
      readonly error: HotspareError
    }
  /** A checkpoint failed and will be repeated. */
  | { readonly name: 'checkpointFailed'; readonly error: HotspareError }

export interface LocalCopyOptions {
  readonly storage: OpenStorage
  readonly policy: SyncPolicy
  readonly clock: Clock
  readonly random: Random
  readonly limits: CopyLimits
  readonly emit: (event: CopyEvent) => void
  /** Called often while the copy is being opened, with the progress for people. */
  readonly recovers?: (progress: RecoveryProgress) => void
}

/** The progress of opening a copy. */
export interface RecoveryProgress {
  /** The phase: changes of the journal are replayed, or files are compared with the index. */
  readonly phase: 'journal' | 'files'
  /** The number of changes, or files, so far. */
  readonly done: number
}

/** The result of a change of application state; an error thrown by `apply` is a result, too. */
export type UpdateResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }
  | undefined

/** An encoded snapshot of a state, with the last change in it. */
export interface StateSnapshot {
  readonly bytes: Uint8Array
  readonly seq: number
}
