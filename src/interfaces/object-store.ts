/** Objects: immutable bytes under a name, durable after `sync`. */

/**
 * Areas of objects: `blobs` for large payloads of the journal, `staging` for content that a restore
 * received, `incoming` for whole files received by a restore, named by their later paths in the
 * tree, `vault` for content that a divergence or a restore removed.
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
   * one object arrive in order of their offsets. An adapter may store blocks of zeros as holes. Not
   * durable before `sync`. The adapter copies what it needs of `buffer` before the call returns, so
   * the caller may reuse the buffer then, before the promise settles.
   */
  write(area: ObjectArea, buffer: Uint8Array, slices: readonly ObjectSlice[]): Promise<void>
  /**
   * Up to `length` bytes from `offset`; fewer only at the end. `STORAGE_FAILED` when there is no
   * such object.
   */
  read(area: ObjectArea, name: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Makes everything written to these objects (default: the whole area), and their names, durable.
   * After a failed `sync`, later ones of the same objects fail too, until the objects are written
   * again.
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
  /** How many bytes; 0 only creates the object and sets its mode. */
  readonly length: number
  /**
   * Permission bits of the object, 0 to 0o777; only in the area `incoming`. Default: unchanged,
   * 0o644 for a new object.
   */
  readonly mode?: number
}
