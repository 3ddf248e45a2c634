/** What a local copy is opened with, says and answers. */
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import type { LiveDatabaseEvent } from '../files/live-database.js'
import type { SkippedEvent } from '../files/skipped-paths.js'

/** Limits of a copy, in bytes unless the name says otherwise. */
export interface CopyLimits {
  /** The journal is trimmed above this, blobs included. */
  readonly journalBytesMax: number
  /** A segment of the journal is closed when it has this many. */
  readonly segmentBytes: number
  /** Entries kept in memory for readers; older ones are read from the disk. */
  readonly tailBytesMax: number
  /** Entries appended and not yet durable and applied; above it writers wait. */
  readonly pendingBytesMax: number
  /** Journal between two checkpoints; a checkpoint begins above it. */
  readonly checkpointBytes: number
  /** Milliseconds between two checkpoints while something changed. */
  readonly checkpointMs: number
  /** The snapshot of one class of application state; a longer one is `SNAPSHOT_FAILED`. */
  readonly snapshotBytesMax: number
}

/** Longest snapshot that any node takes in, in bytes; a longer one is `SNAPSHOT_FAILED`. */
export const snapshotBytesMax: number = 2 ** 30

const mib = 1024 * 1024

/** The limits that hold where nothing else is said. */
export const copyLimits: CopyLimits = {
  journalBytesMax: 256 * mib,
  segmentBytes: 16 * mib,
  tailBytesMax: 8 * mib,
  pendingBytesMax: 32 * mib,
  checkpointBytes: 32 * mib,
  checkpointMs: 10_000,
  snapshotBytesMax,
}

/** A segment has this share of the journal at most: the journal is trimmed by whole segments. */
const segmentShare = 1 / 8
/** A checkpoint comes after this share of the journal at most: what is newer cannot be trimmed. */
const checkpointShare = 1 / 4

/**
 * The limits of a copy whose journal may have so many bytes. Journal and blobs together stay below
 * one and a half times the limit: it, a segment, and what comes while a checkpoint is made. More is
 * kept for a blob that is larger by itself, for what a standby still reads (up to twice the limit),
 * and for a class of application state whose snapshot fails.
 */
export function copyLimitsOf(journalBytesMax: number): CopyLimits {
  return {
    ...copyLimits,
    journalBytesMax,
    segmentBytes: Math.min(copyLimits.segmentBytes, journalBytesMax * segmentShare),
    checkpointBytes: Math.min(copyLimits.checkpointBytes, journalBytesMax * checkpointShare),
  }
}

/** What a copy reports. */
export type CopyEvent =
  /** The journal or the tree cannot be written; `reopen()` tries again. */
  | { readonly name: 'storageFailed'; readonly error: HotspareError }
  /** Changes up to `upTo` were trimmed although a known member lacks them. */
  | { readonly name: 'historyLost'; readonly upTo: number }
  | SkippedEvent
  | LiveDatabaseEvent
  /** Bytes that had been durable fail their check; the copy is not complete. */
  | {
      readonly name: 'journalDamaged'
      readonly where: string
      readonly why: string
      readonly seq: number
    }
  /** A change of a file cannot be carried out on the tree. */
  | { readonly name: 'applyFailed'; readonly path: string; readonly error: HotspareError }
  /**
   * Changes of a class, or of a path, that this node's policy does not have were journaled and not
   * applied.
   */
  | {
      readonly name: 'strangerClass'
      readonly className: string
      readonly path: string | undefined
    }
  /** A class of application state could not be rebuilt and has to be restored. */
  | { readonly name: 'stateLost'; readonly className: string; readonly why: string }
  /**
   * The snapshot of a class could not be taken or stored; it is tried again at the next checkpoint.
   */
  | {
      readonly name: 'snapshotFailed'
      readonly className: string
      readonly error: HotspareError
    }
  /** A checkpoint failed; it is tried again. */
  | { readonly name: 'checkpointFailed'; readonly error: HotspareError }

export interface LocalCopyOptions {
  readonly storage: OpenStorage
  readonly policy: SyncPolicy
  readonly clock: Clock
  readonly random: Random
  readonly limits: CopyLimits
  readonly emit: (event: CopyEvent) => void
  /** Told while the copy is opened, for people who wait for it; often. */
  readonly recovers?: (progress: RecoveryProgress) => void
}

/** How far the opening of a copy is. */
export interface RecoveryProgress {
  /**
   * The changes of the journal are carried out again, or the files are compared with what is known
   * of them.
   */
  readonly phase: 'journal' | 'files'
  /** Changes, or files, so far. */
  readonly done: number
}

/** How a change of application state ended; a throw of its `apply` is a result, too. */
export type UpdateResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }
  | undefined

/** A state's snapshot, encoded, with the last change in it. */
export interface StateSnapshot {
  readonly bytes: Uint8Array
  readonly seq: number
}
