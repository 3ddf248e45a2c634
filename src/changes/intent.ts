/**
 * What a caller asks for. Most intents are changes already; the others become one only when they
 * get their place in the order, because what they mean depends on what stands before them.
 */
import type { BlobRef, Change, SingleChange } from './change.js'
import { requirePlain } from './plain-value.js'
import type { UpdateRun } from './update-run.js'

/**
 * These bytes go to the end of the file, wherever that is then. Exactly one of `bytes` and `blob`
 * is set.
 */
export interface AppendIntent {
  readonly kind: 'append'
  readonly className: string
  readonly path: string
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/**
 * What a transaction has read of a file: the sequence number of its last change, 0 where there was
 * none.
 */
export interface ReadExpectation {
  readonly path: string
  readonly version: number
}

/** What a transaction has read of a listing. */
export interface ListExpectation {
  readonly prefix: string
  readonly paths: readonly string[]
}

/** Changes that happen together, and only if nothing was changed that their author had read. */
export interface CommitIntent {
  readonly kind: 'commit'
  readonly changes: readonly SingleChange[]
  readonly reads: readonly ReadExpectation[]
  readonly lists: readonly ListExpectation[]
}

/**
 * Anything that can be submitted to a {@link Writer}. It is plain data and can be sent to another
 * node.
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
 * Refuses an intent with a value that would not arrive as it is.
 *
 * @throws `VALUE_INVALID`
 */
export function requirePlainValues(intent: WriteIntent): void {
  if (intent.kind === 'update') {
    // Most are bytes, and these need no look.
    if (intent.value instanceof Uint8Array) return
    requirePlain(intent.value, `the change for '${intent.className}'`)
  } else if (intent.kind === 'transaction' || intent.kind === 'commit') {
    for (const change of intent.changes) requirePlainValues(change)
  }
}

/** Whether an intent takes room of the device for more than its record. */
export function grows(intent: WriteIntent): boolean {
  switch (intent.kind) {
    case 'remove':
    case 'truncate':
      return false
    case 'transaction':
    case 'commit':
      return intent.changes.some(grows)
    default:
      return true
  }
}

/** The files that an intent may bring into being. */
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
 * Bytes that an intent keeps in memory while it waits. Values of updates are opaque; strings and
 * byte arrays are counted, for all else stands `valueBytes`, what updates took on average.
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

/** What a change takes besides its payload, roughly. */
export const changeBytes = 64
