/**
 * The kinds of change in a batch. On the wire and in the journal each change is a tuple that starts
 * with its kind; a later version may add kinds and may append fields to a tuple, but never changes
 * the meaning of existing ones.
 *
 * Bytes of files are not encoded in the tuple: the tuple has their length, and the bytes follow, in
 * the order of the changes, in the payload part of the entry; or they are a blob, named by `blob`.
 * The same holds for updates whose values are bytes, except in a transaction: consecutive ones of a
 * class share one tuple, a run.
 */

/** The numbers of the kinds, frozen in format version 1. */
export const changeKinds = {
  put: 1,
  patch: 2,
  truncate: 3,
  remove: 4,
  update: 5,
  transaction: 6,
  updateRun: 7,
} as const

/**
 * A payload that is too large for a batch: an immutable object beside the journal, kept as long as
 * a record of the journal names it.
 */
export interface BlobRef {
  /** The object's name in the area `blobs`. */
  readonly id: string
  readonly bytes: number
  /** crc32 of the content, for the transfer. */
  readonly crc: number
}

/** The file has exactly these bytes. Exactly one of `bytes` and `blob` is set. */
export interface PutChange {
  readonly kind: 'put'
  readonly className: string
  readonly path: string
  readonly mode: number
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/** The file has these bytes at this absolute offset; an append is a patch at the end. */
export interface PatchChange {
  readonly kind: 'patch'
  readonly className: string
  readonly path: string
  readonly offset: number
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/** The file has this size. */
export interface TruncateChange {
  readonly kind: 'truncate'
  readonly className: string
  readonly path: string
  readonly size: number
}

/** There is no file at this path. */
export interface RemoveChange {
  readonly kind: 'remove'
  readonly className: string
  readonly path: string
}

/** A logical change of a class of application state. */
export interface UpdateChange {
  readonly kind: 'update'
  readonly className: string
  readonly value: unknown
}

/** Several changes at one position, applied all or none. */
export interface TransactionChange {
  readonly kind: 'transaction'
  readonly changes: readonly SingleChange[]
}

/** A change of a file. */
export type FileChange = PutChange | PatchChange | TruncateChange | RemoveChange

/** A change other than a transaction. */
export type SingleChange = FileChange | UpdateChange

/** One replicated modification; it has one sequence number. */
export type Change = SingleChange | TransactionChange

/** A read position in the payload of an entry; `at` is the offset of the next bytes. */
export interface PayloadCursor {
  readonly bytes: Uint8Array
  at: number
}
