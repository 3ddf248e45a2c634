import type { ObjectStore } from './object-store.js'
import type { TreeStore } from './tree-store.js'

/**
 * What a storage adapter offers to a node. It has four parts, each with one rule of durability:
 *
 * - **documents**: small named values, replaced atomically and durably;
 * - **logs**: append-only byte files, durable when `append` resolves;
 * - **objects**: immutable bytes under a name (blobs, staged files, vaulted files), durable after
 *   `sync`;
 * - **tree**: the application's own files, durable after `sync`.
 *
 * Ownership of bytes: a caller must not change the bytes that it passes until the promise of the
 * call settles, and the adapter must not read them afterwards; `objects.write` alone is done with
 * them when the call returns. An adapter never writes into them. Bytes in an answer belong to the
 * caller, except those lent by `tree.read`.
 *
 * A storage knows nothing of classes, positions or peers. Paths of the tree are checked by the
 * caller: they are relative, `/`-separated, NFC, without `.`, `..`, NUL or reserved names. An
 * adapter must still make sure that no link leads out of its root. Every failure is a
 * `HotspareError` with one of the codes `STORAGE_FULL`, `STORAGE_READ_ONLY`, `STORAGE_FAILED`,
 * `STORAGE_CORRUPT`, `STORAGE_FORMAT`, `STORAGE_LOCKED`, `RESOURCES_EXHAUSTED`; a name or path that
 * breaks the rules is `PATH_INVALID`, one that is obstructed by another file `PATH_BLOCKED`, a call
 * above an adapter's limits `OPTION_INVALID`. After `close`, and after the adapter lost its lock,
 * every call except `close` is refused with `STORAGE_FAILED`; `close` then does nothing.
 */
export interface Storage {
  /** A short name for logs, for example `directory`. */
  readonly name: string
  /**
   * Opens the storage for one node and locks it against every other process.
   *
   * @param owner - the node that opens it
   * @param waits - called with a reason, a text for people, when opening takes long; an adapter
   *   need not call it
   * @throws `STORAGE_LOCKED` when another living process has it open.
   */
  open(owner: StorageOwner, waits?: (why: string) => void): Promise<OpenStorage>
}

/** Who opens a storage; written into its lock. */
export interface StorageOwner {
  /** The member that this node is. */
  readonly nodeId: string
  /** New at every start, so that two processes of one node can be distinguished. */
  readonly bootId: string
}

/** An opened, locked storage. */
export interface OpenStorage {
  /** Small named values. */
  readonly documents: DocumentStore
  /** Append-only byte files: the journal and the index. */
  readonly logs: LogStore
  /** Immutable bytes: blobs, staged files, the vault. */
  readonly objects: ObjectStore
  /** The application's files. */
  readonly tree: TreeStore
  /** Free space of the device; left out where space cannot run out, or cannot be determined. */
  readonly room?: StorageRoom
  /** Waits for work under way, then releases the lock. Idempotent. */
  close(): Promise<void>
}

/**
 * Free space on the device of a storage. An adapter that has it reserves some space for removals,
 * because on a full disk a removal could not be journaled.
 */
export interface StorageRoom {
  /**
   * Why a write of so many more bytes is refused, as a text for people; undefined when there is
   * space.
   */
  refusal(bytes: number): string | undefined
}

/**
 * Small named values. Names are of the form `[a-z0-9._-]+(/[a-z0-9._-]+)*`; neither they nor areas
 * of logs begin with a part that an adapter uses itself (`lock`, `format`, `tmp`, `room` and the
 * areas of objects).
 */
export interface DocumentStore {
  /**
   * The value, or undefined when there is none. A value that fails its checksum is
   * `STORAGE_CORRUPT`.
   */
  read(name: string): Promise<Uint8Array | undefined>
  /**
   * Replaces the value. When it resolves the new value is durable; a crash before that leaves the
   * old or the new value. Values may be slightly longer than 1 GiB, because they store snapshots of
   * application state.
   */
  write(name: string, value: Uint8Array): Promise<void>
  /** Removes the value, durably; removing nothing is no error. */
  remove(name: string): Promise<void>
  /** All names that start with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>
}

/** Append-only byte files in named areas (`journal`, `journal.next`). */
export interface LogStore {
  /** The logs of an area, sorted by name. */
  list(area: string): Promise<LogInfo[]>
  /**
   * Opens a log for reading and appending; creates it, durably, when it does not exist. After a
   * crash the durable appends may be followed by a torn append and by zeros; the reader verifies
   * what it reads and cuts the rest with `truncate`. After an orderly close `bytes` is exact.
   * @throws `STORAGE_FAILED` when the log is open already.
   */
  open(area: string, name: string): Promise<Log>
  /**
   * Removes logs of an area, durably; those that do not exist are no error. None of them may be
   * open.
   */
  remove(area: string, names: readonly string[]): Promise<void>
  /**
   * Makes the logs of `from` the logs of `to`, durably; those that `to` had are removed.
   * Idempotent: when `from` has no logs any more, it does nothing. No log of either area may be
   * open.
   */
  replace(from: string, to: string): Promise<void>
}

/** One log of an area. */
export interface LogInfo {
  /** Unique within its area. */
  readonly name: string
  /** Its length on disk; after a crash that includes a torn end. */
  readonly bytes: number
}

/** An open log. */
export interface Log {
  /** Bytes in the log, without an append that is under way. */
  readonly bytes: number
  /**
   * Appends the parts, in order, as one record. Resolves when they are durable. One append at a
   * time: the caller awaits the previous one. After a rejected append the log accepts no further
   * ones until it is opened again, and it is undefined how much of the append is in the file.
   */
  append(parts: readonly Uint8Array[]): Promise<void>
  /** Up to `length` bytes from `offset`; fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * Cuts the log to `bytes`; it never extends it. When it resolves, the remaining bytes are
   * durable, even if nothing was cut.
   */
  truncate(bytes: number): Promise<void>
  /**
   * Closes the log. Idempotent.
   * @throws `STORAGE_FAILED` while an append or a truncate is under way: the caller waits for it.
   */
  close(): Promise<void>
}
