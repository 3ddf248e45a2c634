/**
 * What a storage adapter offers to a node. It has four parts, each with one rule of durability:
 *
 * - **documents**: small named values, replaced atomically and durably;
 * - **logs**: append-only byte files, durable when `append` resolves;
 * - **objects**: immutable bytes under a name (blobs, staged files, vaulted files), durable after `sync`;
 * - **tree**: the application's own files, durable after `sync`.
 *
 * Bytes that a call is handed stay the caller's. The caller leaves them as they are until the promise of the call settles,
 * whichever way, and the adapter looks at them no more from then on; `objects.write` alone gives them back sooner, when the
 * call returns. An adapter never writes into them. Bytes in an answer belong to the caller for ever, but for those that
 * `tree.read` lends.
 *
 * Nothing here knows of classes, positions or peers. Paths given to the tree were checked before: they
 * are relative, `/`-separated, NFC, without `.`, `..`, NUL or reserved names; an adapter still makes
 * sure that no link leads out of its root. Every failure is a `HotspareError` with one of the codes
 * `STORAGE_FULL`, `STORAGE_READ_ONLY`, `STORAGE_FAILED`, `STORAGE_CORRUPT`, `STORAGE_FORMAT`, `STORAGE_LOCKED`;
 * a name or path that breaks the rules is `PATH_INVALID`, one that something stands in the way of
 * `PATH_BLOCKED`, a call above an adapter's limits `OPTION_INVALID`. After `close`, and after the adapter
 * noticed that it lost its lock, every call is refused with `STORAGE_FAILED`; closing is not, and changes nothing then.
 */
export interface Storage {
  /** A short name for logs, for example `directory`. */
  readonly name: string
  /**
   * Opens the storage for one node and locks it against every other process.
   *
   * @param owner - the node that opens it
   * @param waits - told why, when it takes longer than it has to, in words, for people; an adapter may leave it uncalled
   * @throws `STORAGE_LOCKED` when another living node holds it.
   */
  open(owner: StorageOwner, waits?: (why: string) => void): Promise<OpenStorage>
}

/** Who opens a storage; written into its lock. */
export interface StorageOwner {
  /** The member that this node is. */
  readonly nodeId: string
  /** Drawn anew at every start, so that two processes of one node are told apart. */
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
  /** What is left on the device; left out where it cannot run out, or cannot be known. */
  readonly room?: StorageRoom
  /** Waits for work under way, then releases the lock. Idempotent. */
  close(): Promise<void>
}

/**
 * What is left on the device of a storage. An adapter that has it keeps some room for removals: on a disk that is full to
 * the last byte none could be journaled.
 */
export interface StorageRoom {
  /** Why what takes so many more bytes is refused, in words, for people; undefined when there is room for it. */
  refusal(bytes: number): string | undefined
}

/**
 * Small named values. Names are of the form `[a-z0-9._-]+(/[a-z0-9._-]+)*`; neither they nor areas of logs begin with
 * a part that an adapter uses itself (`lock`, `format`, `tmp`, `room` and the areas of objects).
 */
export interface DocumentStore {
  /** The value, or undefined when there is none. A value that fails its checksum is `STORAGE_CORRUPT`. */
  read(name: string): Promise<Uint8Array | undefined>
  /**
   * Replaces the value; when it resolves the new value is durable, and a crash leaves the old or the new one. Snapshots
   * of application state make values of up to 1 GiB and a little more.
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
   * Opens a log for reading and appending; creates it, durably, when it does not exist. After a crash, what
   * was appended durably may be followed by a torn append and by zeros: the reader verifies what it reads,
   * and cuts the rest with `truncate`. After an orderly close `bytes` is exact.
   * @throws `STORAGE_FAILED` when the log is open already.
   */
  open(area: string, name: string): Promise<Log>
  /** Removes logs of an area, durably; those that do not exist are no error. None of them may be open. */
  remove(area: string, names: readonly string[]): Promise<void>
  /**
   * Makes the logs of `from` the logs of `to`, durably; those that `to` had are removed. Idempotent:
   * when `from` has no logs any more, it does nothing. No log of either area may be open.
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
  /** Bytes in the log, appends under way excluded. */
  readonly bytes: number
  /**
   * Appends the parts, in order, as one stretch. Resolves when they are durable. One append at a time:
   * the caller waits for the last one. After a rejected append the log accepts no further one until
   * it is opened again, and what of the stretch is in the file is undefined.
   */
  append(parts: readonly Uint8Array[]): Promise<void>
  /** Up to `length` bytes from `offset`; fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Cuts the log to `bytes`; it never grows. What stays is durable then, also where nothing is cut. */
  truncate(bytes: number): Promise<void>
  /**
   * Closes the log. Idempotent.
   * @throws `STORAGE_FAILED` while an append or a truncate is under way: the caller waits for it.
   */
  close(): Promise<void>
}

/**
 * Areas of objects: payloads of the journal (`blobs`), what a restore brought (`staging`, and `incoming` for whole files
 * that bear the paths they will have in the tree), what a divergence left (`vault`).
 */
export type ObjectArea = 'blobs' | 'staging' | 'incoming' | 'vault'

/** Immutable bytes under a name, `[a-z0-9._-]+(/[a-z0-9._-]+)*`; in the area `incoming` a name is a path of the tree. */
export interface ObjectStore {
  /** The objects of an area whose names start with `prefix` (default all), sorted by name. */
  list(area: ObjectArea, prefix?: string): Promise<ObjectInfo[]>
  /**
   * Writes slices of one buffer into objects; an object that does not exist is created. Slices of one
   * object arrive in order of their offsets. An adapter may leave blocks of zeros out where that makes a hole. Not durable
   * before `sync`. The storage has taken what it needs of `buffer`
   * when the call returns, before its promise settles: the caller may write into it then.
   */
  write(area: ObjectArea, buffer: Uint8Array, slices: readonly ObjectSlice[]): Promise<void>
  /** Up to `length` bytes from `offset`; fewer only at the end. `STORAGE_FAILED` when there is no such object. */
  read(area: ObjectArea, name: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Makes everything written to these objects (default: the whole area), and their names, durable. A failed
   * `sync` is never followed by a successful one for the same bytes: the objects have to be written again.
   */
  sync(area: ObjectArea, names?: readonly string[]): Promise<void>
  /**
   * Removes objects; those that do not exist are no error. Names ending in `/` remove all below. Not
   * durable before `sync`: after a crash a removed object may be there again.
   */
  remove(area: ObjectArea, names: readonly string[]): Promise<void>
}

/** One object. */
export interface ObjectInfo {
  /** Unique within its area. */
  readonly name: string
  /** Its length. */
  readonly bytes: number
}

/** `length` bytes at `start` of the buffer go to `offset` of the object `name`. */
export interface ObjectSlice {
  /** The object, created when it does not exist. */
  readonly name: string
  /** Where in the object the bytes go. */
  readonly offset: number
  /** Where in the buffer they begin. */
  readonly start: number
  /** How many bytes; none only sets the mode. */
  readonly length: number
  /**
   * Permission bits that the object has from now on, 0 to 0o777; only in the area `incoming`. Default: as it
   * was, 0o644 for a new one.
   */
  readonly mode?: number
}

/** What identifies a state of a file without reading it. */
export interface FileStat {
  /** In bytes. */
  readonly size: number
  /** Modification time in milliseconds, with the fraction that the file system keeps. */
  readonly mtimeMs: number
  /** Inode number, as a number; 0 where the platform has none. */
  readonly inode: number
  /** Permission bits, `0o000` to `0o777`. */
  readonly mode: number
}

/** A file after an operation. */
export interface AppliedStat extends FileStat {
  /**
   * Bytes that it had when it was opened to be changed in place, 0 when there was none: by that it is noticed when somebody
   * else changed it. Only after `patch`, `patchObject` and `truncate`; left out by adapters that cannot tell.
   */
  readonly sizeBefore?: number
}

/** A regular file of the tree. */
export interface TreeEntry extends FileStat {
  /** Relative to the root, with `/` between the parts. */
  readonly path: string
}

/** What keeps a file from standing at a path. */
export interface Obstacle {
  /** Where it stands: above the path, at it, or below it. */
  readonly path: string
  /** What it is. */
  readonly kind: 'file' | 'link' | 'special'
}

/**
 * The application's files. Everything below the storage's own folder (`.hotspare`) is invisible here. The mode of a file
 * is for others: it keeps nobody here from reading or changing it, and stays as it is.
 */
export interface TreeStore {
  /**
   * Whether paths that differ only in upper and lower case are one file here. Left out means no.
   */
  readonly foldsCase?: boolean
  /**
   * All regular files, in batches, in no particular order. Links and special files are skipped and
   * named once to `skipped`. Names that are no valid Unicode, and unreadable folders, are named there too.
   */
  scan(skipped: (path: string, why: string) => void): AsyncIterable<TreeEntry[]>
  /** The state of files; undefined where there is no regular file. */
  stat(paths: readonly string[]): Promise<(FileStat | undefined)[]>
  /**
   * What stands in the way of a file at each path: whatever is no folder on the way to it, a link or special
   * file at the path itself, the first thing below it that is no folder. A regular file at the path is no
   * obstacle, nor is a folder that is missing. Nothing is changed.
   */
  obstacles(paths: readonly string[]): Promise<(Obstacle | undefined)[]>
  /**
   * Reads stretches of many files in one go. The answer packs them into one fresh buffer, in order,
   * and says for each where it lies; `missing` where there is no such regular file; fewer bytes than asked only at
   * the end of the file. `stat` is the file's state when its descriptor was opened. With `lend` the buffer may be
   * one that the storage uses again and again: the caller gives it back with `release`.
   */
  read(requests: readonly ReadRequest[], lend?: boolean): Promise<ReadAnswer>
  /**
   * Carries out operations in their order and answers each with the file's new state (undefined where the
   * path holds no file now). Folders on the way are created; folders that a `remove` leaves empty are
   * removed up to the root. Each operation is idempotent. A file that has other names, too (hard links), is changed
   * under this one only. A file where a folder is wanted is removed by
   * `put`-like operations only when the operation says `force`; else, and where a folder with files stands
   * at the path itself, `PATH_BLOCKED`, which names what stands there in `details.obstacle`. A link or special
   * file at the path itself is replaced by put-like operations only with `force`, and left alone by all
   * others; a link on the way is `PATH_BLOCKED`, always. After a failure the operations before it are done,
   * those after it are not.
   * Calls that touch the same paths are carried out in the order in which they were made; a small call may
   * overtake a large one that has nothing to do with it. Not durable before `sync`.
   */
  apply(operations: readonly TreeOperation[]): Promise<(AppliedStat | undefined)[]>
  /**
   * Moves the objects of the area `incoming` to the paths they are named after, in the place of regular files, and whole
   * folders at once where nothing stands in their place. The objects must be durable. One that is kept out by something
   * else stays where it is. What was moved is durable when this resolves; after a crash it may be called again.
   */
  takeIn(): Promise<void>
  /** Makes all that was applied to these paths, their folders included, durable. `all` stands for the whole tree. */
  sync(paths: readonly string[] | 'all'): Promise<void>
}

/** A stretch to read. `length` is a maximum. */
export interface ReadRequest {
  /** The file. */
  readonly path: string
  /** The first byte; at or beyond the end there is nothing to read. */
  readonly offset: number
  /** Bytes at most. */
  readonly length: number
}

/** What {@link TreeStore.read} found. */
export interface ReadAnswer {
  /** All stretches, one after the other; it belongs to the caller, unless it was lent. */
  readonly buffer: Uint8Array
  /** Gives a lent buffer back, which nobody may look at afterwards. One that is never given back is only not used again. */
  readonly release?: () => void
  /** One for each request, in order; `missing` where there is no regular file. */
  readonly results: readonly (ReadResult | 'missing')[]
}

/** Where one stretch lies in the answer's buffer. */
export interface ReadResult {
  /** The first byte of the stretch in the buffer. */
  readonly start: number
  /** Bytes read; fewer than asked only at the end of the file. */
  readonly length: number
  /** The file when its descriptor was opened. */
  readonly stat: FileStat
  /**
   * Whether the file takes less room than it is long: zeros in it may be holes then, and a copy of it leaves them out. Left
   * out by adapters that cannot tell.
   */
  readonly isSparse?: boolean
}

/** A change to the tree; each carries its absolute result, so doing it twice is harmless. */
export type TreeOperation =
  /** The file has exactly these bytes; written aside and renamed, so no reader sees half of it. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'put'
      /** Relative to the root, checked before. */
      readonly path: string
      /** The whole content. */
      readonly bytes: Uint8Array
      /** Permission bits, 0 to 0o777. */
      readonly mode: number
      /** Whether what stands in the way is removed: files on the way, a link or special file at the path. Default false. */
      readonly force?: boolean
    }
  /** These bytes stand at `offset`, in place; a missing file is created (`mode` 0o644), a gap is filled with zeros. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'patch'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where in the file the bytes go. */
      readonly offset: number
      /** What stands there afterwards. */
      readonly bytes: Uint8Array
      /** Whether what stands in the way is removed: files on the way, a link or special file at the path. Default false. */
      readonly force?: boolean
    }
  /** Like `patch`, with the bytes of an object. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'patchObject'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where in the file the object's bytes go. */
      readonly offset: number
      /** Where the object lies. */
      readonly area: ObjectArea
      /** The object; it stays. */
      readonly name: string
      /** Whether what stands in the way is removed: files on the way, a link or special file at the path. Default false. */
      readonly force?: boolean
    }
  /** The file has this size; missing is created, a gap is filled with zeros. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'truncate'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Bytes that the file has afterwards. */
      readonly size: number
      /** Whether what stands in the way is removed: files on the way, a link or special file at the path. Default false. */
      readonly force?: boolean
    }
  /** No file stands at the path; removing nothing is no error. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'remove'
      /** Relative to the root, checked before. */
      readonly path: string
    }
  /** The file has the object's bytes. `move`: the object is gone afterwards; doing it again when the object is gone does nothing. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'install'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where the object lies. */
      readonly area: ObjectArea
      /** The object with the whole content. */
      readonly name: string
      /** Permission bits, 0 to 0o777. */
      readonly mode: number
      /** Whether the object may be renamed into place instead of being copied. */
      readonly move: boolean
      /** Whether what stands in the way is removed: files on the way, a link or special file at the path. Default false. */
      readonly force?: boolean
    }
  /**
   * The file's bytes become an object (in the vault); the file is gone afterwards unless `copy`. No file: nothing
   * happens. The object is there already: it was kept before, so nothing happens either (a second round must
   * not replace what the first one kept by what stands at the path now). An object made by `copy` is whole
   * whenever it is there, also after a crash.
   */
  | {
      /** Tells the operations apart. */
      readonly kind: 'keep'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where the object goes. */
      readonly area: ObjectArea
      /** The object that gets the file's bytes. */
      readonly name: string
      /** Whether the file stays. */
      readonly copy: boolean
    }
