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
   * Bytes that it had when it was opened to be changed in place, 0 when there was none: by that it
   * is noticed when somebody else changed it. Only after `patch`, `patchObject` and `truncate`;
   * left out by adapters that cannot tell.
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
 * The application's files. Everything below the storage's own folder (`.hotspare`) is invisible
 * here. The mode of a file is for others: it keeps nobody here from reading or changing it, and
 * stays as it is.
 */
export interface TreeStore {
  /**
   * Whether paths that differ only in upper and lower case are one file here. Left out means no.
   */
  readonly foldsCase?: boolean
  /**
   * All regular files, in batches, in no particular order. Links and special files are skipped and
   * named once to `skipped`. Names that are no valid Unicode, and unreadable folders, are named
   * there too.
   */
  scan(skipped: (path: string, why: string) => void): AsyncIterable<TreeEntry[]>
  /** The state of files; undefined where there is no regular file. */
  stat(paths: readonly string[]): Promise<(FileStat | undefined)[]>
  /**
   * What stands in the way of a file at each path: whatever is no folder on the way to it, a link
   * or special file at the path itself, the first thing below it that is no folder. A regular file
   * at the path is no obstacle, nor is a folder that is missing. Nothing is changed.
   */
  obstacles(paths: readonly string[]): Promise<(Obstacle | undefined)[]>
  /**
   * Reads stretches of many files in one go. The answer packs them into one fresh buffer, in order,
   * and says for each where it lies; `missing` where there is no such regular file; fewer bytes
   * than asked only at the end of the file. `stat` is the file's state when its descriptor was
   * opened. With `lend` the buffer may be one that the storage uses again and again: the caller
   * gives it back with `release`.
   */
  read(requests: readonly ReadRequest[], lend?: boolean): Promise<ReadAnswer>
  /**
   * Carries out operations in their order and answers each with the file's new state (undefined
   * where the path holds no file now). Folders on the way are created; folders that a `remove`
   * leaves empty are removed up to the root. Each operation is idempotent. A file that has other
   * names, too (hard links), is changed under this one only. A file where a folder is wanted is
   * removed by `put`-like operations only when the operation says `force`; else, and where a folder
   * with files stands at the path itself, `PATH_BLOCKED`, which names what stands there in
   * `details.obstacle`. A link or special file at the path itself is replaced by put-like
   * operations only with `force`, and left alone by all others; a link on the way is
   * `PATH_BLOCKED`, always. After a failure the operations before it are done, those after it are
   * not. Calls that touch the same paths are carried out in the order in which they were made; a
   * small call may overtake a large one that has nothing to do with it. Not durable before `sync`.
   */
  apply(operations: readonly TreeOperation[]): Promise<(AppliedStat | undefined)[]>
  /**
   * Moves the objects of the area `incoming` to the paths they are named after, in the place of
   * regular files, and whole folders at once where nothing stands in their place. The objects must
   * be durable. One that is kept out by something else stays where it is. What was moved is durable
   * when this resolves; after a crash it may be called again.
   */
  takeIn(): Promise<void>
  /**
   * Makes all that was applied to these paths, their folders included, durable. `all` stands for
   * the whole tree.
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
  /** All stretches, one after the other; it belongs to the caller, unless it was lent. */
  readonly buffer: Uint8Array
  /**
   * Gives a lent buffer back, which nobody may look at afterwards. One that is never given back is
   * only not used again.
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
   * Whether the file takes less room than it is long: zeros in it may be holes then, and a copy of
   * it leaves them out. Left out by adapters that cannot tell.
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
      /**
       * Whether what stands in the way is removed: files on the way, a link or special file at the
       * path. Default false.
       */
      readonly force?: boolean
    }
  /**
   * These bytes stand at `offset`, in place; a missing file is created (`mode` 0o644), a gap is
   * filled with zeros.
   */
  | {
      /** Tells the operations apart. */
      readonly kind: 'patch'
      /** Relative to the root, checked before. */
      readonly path: string
      /** Where in the file the bytes go. */
      readonly offset: number
      /** What stands there afterwards. */
      readonly bytes: Uint8Array
      /**
       * Whether what stands in the way is removed: files on the way, a link or special file at the
       * path. Default false.
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
       * Whether what stands in the way is removed: files on the way, a link or special file at the
       * path. Default false.
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
       * Whether what stands in the way is removed: files on the way, a link or special file at the
       * path. Default false.
       */
      readonly force?: boolean
    }
  /** No file stands at the path; removing nothing is no error. */
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
       * Whether what stands in the way is removed: files on the way, a link or special file at the
       * path. Default false.
       */
      readonly force?: boolean
    }
  /**
   * The file's bytes become an object (in the vault); the file is gone afterwards unless `copy`. No
   * file: nothing happens. The object is there already: it was kept before, so nothing happens
   * either (a second round must not replace what the first one kept by what stands at the path
   * now). An object made by `copy` is whole whenever it is there, also after a crash.
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
