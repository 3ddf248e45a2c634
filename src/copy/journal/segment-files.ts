/**
 * The open files of a journal's segments. Readers of a segment share one file, opened with the
 * first read; the file being written stays open.
 *
 * Invariants: a file is closed only while no read of it is in progress; the file of a segment is
 * opened or removed only when the previous one is closed.
 */
import type { Log, LogStore } from '../../interfaces/storage.js'
import { closed, removed } from './errors.js'
import type { Segment } from './tail.js'

interface SegmentFile {
  /** The open log; undefined before the first read. */
  log: Promise<Log> | undefined
  /** The number of readers whose position is in the segment. */
  users: number
  /** The reads in progress. */
  readonly reads: Set<Promise<unknown>>
}

export class SegmentFiles {
  readonly #logs: LogStore
  readonly #area: string
  readonly #files = new Map<Segment, SegmentFile>()
  /** What has to end before the file of a segment can be opened again; never rejects. */
  readonly #closing = new Map<Segment, Promise<unknown>>()
  readonly #removed = new WeakSet<Segment>()
  #current: Segment | undefined

  constructor(logs: LogStore, area: string) {
    this.#logs = logs
    this.#area = area
  }

  /** Sets the segment that is being written, with its open log. */
  setCurrent(segment: Segment, log: Log): void {
    const before = this.#current
    this.#current = segment
    this.#files.set(segment, { log: Promise.resolve(log), users: 0, reads: new Set() })
    if (before !== undefined) this.#closeIfUnused(before)
  }

  /** Opens the log of the current segment again; reads wait meanwhile. */
  reopen(segment: Segment): Promise<Log> {
    const file = this.#enter(segment)
    this.#close(segment, file)
    return this.#logOf(segment, file)
  }

  /** Records that a reader's position is in a segment. */
  enter(segment: Segment): void {
    this.#enter(segment).users += 1
  }

  leave(segment: Segment): void {
    const file = this.#files.get(segment)
    if (file === undefined) return
    file.users -= 1
    this.#closeIfUnused(segment)
  }

  /** Reads from a segment that the caller has entered. */
  async read(segment: Segment, offset: number, length: number): Promise<Uint8Array> {
    const file = this.#files.get(segment)
    if (file === undefined) throw closed()
    const read = this.#logOf(segment, file).then((log) => log.read(offset, length))
    file.reads.add(read)
    try {
      return await read
    } finally {
      file.reads.delete(read)
      this.#closeIfUnused(segment)
    }
  }

  isBusy(segment: Segment): boolean {
    return (this.#files.get(segment)?.reads.size ?? 0) > 0
  }

  /**
   * Removes segments that are not busy. Concurrent readers wait, and find the segment unchanged
   * when the removal fails.
   */
  async remove(segments: readonly Segment[]): Promise<void> {
    const closing = segments.map((segment) => {
      const file = this.#files.get(segment)
      if (file !== undefined) this.#close(segment, file)
      return this.#closing.get(segment)
    })
    const names = segments.map(({ name }) => name)
    const removal = Promise.all(closing).then(async () => {
      await this.#logs.remove(this.#area, names)
      for (const segment of segments) this.#removed.add(segment)
    })
    for (const segment of segments) this.#hold(segment, removal)
    await removal
  }

  async close(): Promise<void> {
    for (const [segment, file] of this.#files) this.#close(segment, file)
    this.#files.clear()
    await Promise.all(this.#closing.values())
  }

  #enter(segment: Segment): SegmentFile {
    let file = this.#files.get(segment)
    if (file === undefined) {
      file = { log: undefined, users: 0, reads: new Set() }
      this.#files.set(segment, file)
    }
    return file
  }

  #logOf(segment: Segment, file: SegmentFile): Promise<Log> {
    file.log ??= (this.#closing.get(segment) ?? Promise.resolve()).then(() => {
      // `LogStore.open` creates a missing log, so opening a removed segment would create an empty
      // one.
      if (this.#removed.has(segment)) throw removed(segment)
      return this.#logs.open(this.#area, segment.name)
    })
    return file.log
  }

  #closeIfUnused(segment: Segment): void {
    const file = this.#files.get(segment)
    if (file === undefined || segment === this.#current) return
    if (file.users > 0 || file.reads.size > 0) return
    this.#files.delete(segment)
    this.#close(segment, file)
  }

  /** Closes the file of a segment, if it is open, after the reads in progress. */
  #close(segment: Segment, file: SegmentFile): void {
    const { log, reads } = file
    if (log === undefined) return
    file.log = undefined
    // Closing a file that was only read, or is durable, has no failure to report.
    this.#hold(
      segment,
      Promise.allSettled(reads).then(async () => (await log).close()),
    )
  }

  #hold(segment: Segment, work: Promise<unknown>): void {
    const held = work
      .catch(() => undefined)
      .then(() => {
        if (this.#closing.get(segment) === held) this.#closing.delete(segment)
      })
    this.#closing.set(segment, held)
  }
}
