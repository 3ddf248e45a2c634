/**
 * Write intents: what a caller requests. Most are changes already. Appends and commits become
 * changes only when they are sequenced, because their meaning depends on the changes before them.
 */
import type { BlobRef, Change, SingleChange } from './change.js'
import { requirePlain } from './plain-value.js'
import type { UpdateRun } from './update-run.js'

/**
 * Appends bytes to the file, at its end when the write is sequenced. Exactly one of `bytes` and
 * `blob` is set.
 */
export interface AppendIntent {
  readonly kind: 'append'
  readonly className: string
  readonly path: string
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/**
 * A file that a transaction has read, with the sequence number of its last change; 0 where there
 * was no file.
 */
export interface ReadExpectation {
  readonly path: string
  readonly version: number
}

/** A listing that a transaction has read: the paths below a prefix. */
export interface ListExpectation {
  readonly prefix: string
  readonly paths: readonly string[]
}

/**
 * The changes of a transaction. They are applied together, and only if none of the files and
 * listings that it read has changed.
 */
export interface CommitIntent {
  readonly kind: 'commit'
  readonly changes: readonly SingleChange[]
  readonly reads: readonly ReadExpectation[]
  readonly lists: readonly ListExpectation[]
}

/**
 * Anything that can be submitted to a {@link Writer}. It is plain data, so it can be sent to
 * another node.
 */
export type WriteIntent = Change | AppendIntent | CommitIntent

/** The blobs that an intent, or a part of a batch, names. */
export function blobsOf(intent: WriteIntent | UpdateRun): BlobRef[] {
  switch (intent.kind) {
    case 'put':
    case 'patch':
    case 'append':
      return intent.blob === undefined ? [] : [intent.blob]
    case 'transaction':
    case 'commit':
      return intent.changes.flatMap(blobsOf)
    default:
      return []
  }
}

/**
 * Refuses an intent with a value that would not be decoded as it was encoded.
 *
 * @throws `VALUE_INVALID`
 */
export function requirePlainValues(intent: WriteIntent): void {
  if (intent.kind === 'update') {
    // Most values are bytes, which need no check.
    if (intent.value instanceof Uint8Array) return
    requirePlain(intent.value, `the change for '${intent.className}'`)
  } else if (intent.kind === 'transaction' || intent.kind === 'commit') {
    for (const change of intent.changes) requirePlainValues(change)
  }
}

/** Whether an intent needs space on the device besides its journal record. */
export function needsSpace(intent: WriteIntent): boolean {
  switch (intent.kind) {
    case 'remove':
    case 'truncate':
      return false
    case 'transaction':
    case 'commit':
      return intent.changes.some(needsSpace)
    default:
      return true
  }
}

/** The paths of files that an intent may create. */
export function writtenPaths(intent: WriteIntent): readonly string[] {
  switch (intent.kind) {
    case 'update':
    case 'remove':
      return []
    case 'transaction':
    case 'commit':
      return intent.changes.flatMap(writtenPaths)
    default:
      return [intent.path]
  }
}

/**
 * Estimated bytes of memory that an intent occupies while it waits. Strings and byte arrays are
 * counted; for any other update value the estimate is `valueBytes`, the average of earlier updates.
 */
export function bytesOf(intent: WriteIntent, valueBytes: number): number {
  switch (intent.kind) {
    case 'update': {
      const { value } = intent
      if (typeof value === 'string') return value.length + changeBytes
      if (value instanceof Uint8Array) return value.length + changeBytes
      return valueBytes
    }
    case 'put':
    case 'patch':
    case 'append':
      return (intent.bytes?.length ?? 0) + intent.path.length + changeBytes
    case 'transaction':
    case 'commit': {
      let sum = 0
      for (const change of intent.changes) sum += bytesOf(change, valueBytes)
      return sum
    }
    default:
      return intent.path.length + changeBytes
  }
}

/** Estimated bytes of memory of a change besides its payload. */
export const changeBytes = 64
