/** Objects: immutable bytes under a name, durable after `sync`. */

/**
 * Areas of objects: payloads of the journal (`blobs`), what a restore brought (`staging`, and
 * `incoming` for whole files that bear the paths they will have in the tree), what a divergence
 * left (`vault`).
 */
export type ObjectArea = 'blobs' | 'staging' | 'incoming' | 'vault'

/**
 * Immutable bytes under a name, `[a-z0-9._-]+(/[a-z0-9._-]+)*`; in the area `incoming` a name is a
 * path of the tree.
 */
export interface ObjectStore {
  /** The objects of an area whose names start with `prefix` (default all), sorted by name. */
  list(area: ObjectArea, prefix?: string): Promise<ObjectInfo[]>
  /**
   * Writes slices of one buffer into objects; an object that does not exist is created. Slices of
   * one object arrive in order of their offsets. An adapter may leave blocks of zeros out where
   * that makes a hole. Not durable before `sync`. The storage has taken what it needs of `buffer`
   * when the call returns, before its promise settles: the caller may write into it then.
   */
  write(area: ObjectArea, buffer: Uint8Array, slices: readonly ObjectSlice[]): Promise<void>
  /**
   * Up to `length` bytes from `offset`; fewer only at the end. `STORAGE_FAILED` when there is no
   * such object.
   */
  read(area: ObjectArea, name: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Makes everything written to these objects (default: the whole area), and their names, durable.
   * A failed `sync` is never followed by a successful one for the same bytes: the objects have to
   * be written again.
   */
  sync(area: ObjectArea, names?: readonly string[]): Promise<void>
  /**
   * Removes objects; those that do not exist are no error. Names ending in `/` remove all below.
   * Not durable before `sync`: after a crash a removed object may be there again.
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
   * Permission bits that the object has from now on, 0 to 0o777; only in the area `incoming`.
   * Default: as it was, 0o644 for a new one.
   */
  readonly mode?: number
}
