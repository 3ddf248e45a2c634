/**
 * The open files of a journal's segments. Readers share one file each, opened when it is first
 * read; the one being written stays open.
 *
 * Invariants: a file is closed only while no read of it is under way; a segment's file is opened or
 * removed only when the one that was open before is closed.
 */
import type { Log, LogStore } from '../../interfaces/storage.js'
import { closed, removed } from './errors.js'
import type { Segment } from './tail.js'

interface SegmentFile {
  /** Undefined until somebody reads. */
  log: Promise<Log> | undefined
  /** Readers that stand in it. */
  users: number
  /** Reads under way. */
  readonly reads: Set<Promise<unknown>>
}

export class SegmentFiles {
  readonly #logs: LogStore
  readonly #area: string
  readonly #files = new Map<Segment, SegmentFile>()
  /** What has to end before the file of a segment is opened again; never rejects. */
  readonly #closing = new Map<Segment, Promise<unknown>>()
  readonly #removed = new WeakSet<Segment>()
  #current: Segment | undefined

  constructor(logs: LogStore, area: string) {
    this.#logs = logs
    this.#area = area
  }

  /** The segment that is written now, a new one, with its open log. */
  setCurrent(segment: Segment, log: Log): void {
    const before = this.#current
    this.#current = segment
    this.#files.set(segment, { log: Promise.resolve(log), users: 0, reads: new Set() })
    if (before !== undefined) this.#closeIfUnused(before)
  }

  /** Opens the log of the segment that is written anew; who reads meanwhile waits. */
  reopen(segment: Segment): Promise<Log> {
    const file = this.#enter(segment)
    this.#close(segment, file)
    return this.#logOf(segment, file)
  }

  /** A reader comes to stand in a segment. */
  enter(segment: Segment): void {
    this.#enter(segment).users += 1
  }

  leave(segment: Segment): void {
    const file = this.#files.get(segment)
    if (file === undefined) return
    file.users -= 1
    this.#closeIfUnused(segment)
  }

  /** Reads from a segment that the caller stands in. */
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
   * Removes segments, none of which is busy. Who reads one meanwhile waits, and finds it as it was
   * when this fails.
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
      // `LogStore.open` creates a missing log: opening a removed segment would bring it back empty.
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

  /** Closes the file of a segment, if it is open, after the reads under way. */
  #close(segment: Segment, file: SegmentFile): void {
    const { log, reads } = file
    if (log === undefined) return
    file.log = undefined
    // Closing a file that was only read, or whose bytes are durable, has nothing to report.
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
