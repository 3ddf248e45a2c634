/** The tree: the application's own files, durable after `sync`. */
import type { ObjectArea } from './object-store.js'

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
   * Size in bytes when the file was opened to be changed in place, 0 when it was created. A size
   * that differs from the expected one shows that another program changed the file. Only after
   * `patch`, `patchObject` and `truncate`; left out by adapters that cannot determine it.
   */
  readonly sizeBefore?: number
}

/** A regular file of the tree. */
export interface TreeEntry extends FileStat {
  /** Relative to the root, with `/` between the parts. */
  readonly path: string
}

/** What prevents a file at a path. */
export interface Obstacle {
  /** Its path: above the requested one, equal to it, or below it. */
  readonly path: string
  /** What it is. */
  readonly kind: 'file' | 'link' | 'special'
}

/**
 * The application's files. Everything below the storage's own folder (`.hotspare`) is hidden. The
 * permission bits of a file are preserved but do not restrict this storage, which reads and changes
 * the file in any case.
 */
export interface TreeStore {
  /**
   * Whether paths that differ only in upper and lower case are one file here. Left out means no.
   */
  readonly foldsCase?: boolean
  /**
   * All regular files, in batches, in no particular order. Links and special files are skipped and
   * reported once to `skipped`, as are names that are not valid Unicode and folders that cannot be
   * read.
   */
  scan(skipped: (path: string, why: string) => void): AsyncIterable<TreeEntry[]>
  /** The state of files; undefined where there is no regular file. */
  stat(paths: readonly string[]): Promise<(FileStat | undefined)[]>
  /**
   * For each path, what prevents a file there: anything on the way that is not a folder, a link or
   * special file at the path itself, or the first thing below it that is not a folder. A regular
   * file at the path is no obstacle, nor is a missing folder. Changes nothing.
   */
  obstacles(paths: readonly string[]): Promise<(Obstacle | undefined)[]>
  /**
   * Reads stretches of many files in one call. The answer packs them into one buffer, in order, and
   * states where each lies; `missing` where there is no regular file; fewer bytes than asked only
   * at the end of a file. `stat` is the state of the file when it was opened. With `lend` the
   * buffer may be one that the storage reuses: the caller returns it with `release`.
   */
  read(requests: readonly ReadRequest[], lend?: boolean): Promise<ReadAnswer>
  /**
   * Carries out operations in order and answers each with the file's new state (undefined where the
   * path has no file now). Missing folders on the way are created; folders that a `remove` leaves
   * empty are removed, up to the root. Each operation is idempotent. A file with several names
   * (hard links) is changed under this name only. What obstructs a path: a file where a folder is
   * needed is removed by operations that create a file only with `force`, else the call is
   * `PATH_BLOCKED`, as it is where a folder with files has the path itself; `details.obstacle`
   * names the obstacle. A link or special file at the path itself is replaced by such operations
   * only with `force`, and ignored by the others; a link on the way is always `PATH_BLOCKED`. After
   * a failure the operations before it are done, those after it are not. Calls that touch the same
   * paths run in the order in which they were made; calls with no common path may overtake each
   * other. Not durable before `sync`.
   */
  apply(operations: readonly TreeOperation[]): Promise<(AppliedStat | undefined)[]>
  /**
   * Moves the objects of the area `incoming` to the paths that they are named after. Each replaces
   * a regular file; a folder is moved whole where nothing exists at its path. The objects must be
   * durable. An object that is obstructed by anything else stays where it is. When the call
   * resolves, what was moved is durable; after a crash the call may be repeated.
   */
  takeIn(): Promise<void>
  /**
   * Makes everything applied to these paths, and their folders, durable. `all` means the whole
   * tree.
   */
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
  /** All stretches, one after the other. It belongs to the caller, unless it was lent. */
  readonly buffer: Uint8Array
  /**
   * Returns a lent buffer, which must not be used afterwards. A buffer that is never returned is
   * not reused, which costs only memory.
   */
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
   * Whether the file occupies less space than its length, so that zeros in it may be holes, which a
   * copy leaves out. Left out by adapters that cannot determine it.
   */
  readonly isSparse?: boolean
}

/** A change to the tree. Each states its absolute result, so that repeating it is harmless. */
export type TreeOperation =
  /**
   * The file has exactly these bytes. They are written to a temporary file that is renamed, so that
   * no reader sees a part of them.
   */
  | {
      /** Tells the operations apart. */
      readonly kind: 'put'
      /** Relative to the root, checked before. */
      readonly path: string
      /** The whole content. */
      readonly bytes: Uint8Array
      /** Permission bits, 0 to 0o777. */
      readonly mode: number
      /**
       * Whether obstacles are removed: files on the way, a link or special file at the path.
       * Default false.
       */
      readonly force?: boolean
    }
  /**
   * The file has these bytes at `offset`, written in place. A missing file is created (mode 0o644);
   * a gap is filled with zeros.
   */
  | {
      /** Tells the operations apart. */
      readonly kind: 'patch'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where in the file the bytes go. */
      readonly offset: number
      /** The bytes that the file has there afterwards. */
      readonly bytes: Uint8Array
      /**
       * Whether obstacles are removed: files on the way, a link or special file at the path.
       * Default false.
       */
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
      /**
       * Whether obstacles are removed: files on the way, a link or special file at the path.
       * Default false.
       */
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
      /**
       * Whether obstacles are removed: files on the way, a link or special file at the path.
       * Default false.
       */
      readonly force?: boolean
    }
  /** The path has no file; removing nothing is no error. */
  | {
      /** Tells the operations apart. */
      readonly kind: 'remove'
      /** Relative to the root, checked before. */
      readonly path: string
    }
  /**
   * The file has the object's bytes. `move`: the object is gone afterwards; doing it again when the
   * object is gone does nothing.
   */
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
      /**
       * Whether obstacles are removed: files on the way, a link or special file at the path.
       * Default false.
       */
      readonly force?: boolean
    }
  /**
   * Moves the file's bytes to an object (in the vault); the file is gone afterwards unless `copy`
   * is set. Without a file nothing happens. If the object exists already nothing happens either,
   * because a repeated call must not replace what the first one moved by a newer file at the path.
   * An object made by `copy` is complete whenever it exists, also after a crash.
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
