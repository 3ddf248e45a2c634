/**
 * The open files of a journal's segments. Readers share one file each; the one being written stays open.
 *
 * Invariant: a file is closed only while no read of it is under way.
 */
import type { Log, LogStore } from '../interfaces/storage.js'
import type { Segment } from './tail.js'

interface OpenFile {
  readonly log: Promise<Log>
  /** Readers that stand in it. */
  users: number
  /** Reads under way. */
  reads: number
}

export class SegmentFiles {
  readonly #logs: LogStore
  readonly #area: string
  readonly #open = new Map<Segment, OpenFile>()
  #current: Segment | undefined

  constructor(logs: LogStore, area: string) {
    this.#logs = logs
    this.#area = area
  }

  /** The segment that is written now, with its open log. */
  setCurrent(segment: Segment, log: Log): void {
    const before = this.#current
    const file = this.#open.get(segment)
    this.#current = segment
    this.#open.set(segment, {
      log: Promise.resolve(log),
      users: file?.users ?? 0,
      reads: file?.reads ?? 0,
    })
    if (before !== undefined && before !== segment) this.#closeIfUnused(before)
  }

  /** A reader comes to stand in a segment. */
  enter(segment: Segment): void {
    const file = this.#open.get(segment)
    if (file !== undefined) file.users += 1
    else {
      const log = this.#logs.open(this.#area, segment.name)
      // Whoever reads sees the failure; nobody else has to.
      log.catch(() => undefined)
      this.#open.set(segment, { log, users: 1, reads: 0 })
    }
  }

  leave(segment: Segment): void {
    const file = this.#open.get(segment)
    if (file === undefined) return
    file.users -= 1
    this.#closeIfUnused(segment)
  }

  /** Reads from a segment that the caller stands in. */
  async read(segment: Segment, offset: number, length: number): Promise<Uint8Array> {
    const file = this.#open.get(segment)
    if (file === undefined) return new Uint8Array(0)
    file.reads += 1
    try {
      return await (await file.log).read(offset, length)
    } finally {
      file.reads -= 1
      this.#closeIfUnused(segment)
    }
  }

  isBusy(segment: Segment): boolean {
    return (this.#open.get(segment)?.reads ?? 0) > 0
  }

  /** The segment is about to be removed. */
  async forget(segment: Segment): Promise<void> {
    const file = this.#open.get(segment)
    this.#open.delete(segment)
    await closeFile(file)
  }

  async close(): Promise<void> {
    const files = [...this.#open.values()]
    this.#open.clear()
    for (const file of files) await closeFile(file)
  }

  #closeIfUnused(segment: Segment): void {
    const file = this.#open.get(segment)
    if (file === undefined || segment === this.#current) return
    if (file.users > 0 || file.reads > 0) return
    this.#open.delete(segment)
    void closeFile(file)
  }
}

/** Closing a file that was only read, or whose bytes are durable, has nothing to report. */
async function closeFile(file: OpenFile | undefined): Promise<void> {
  try {
    await (await file?.log)?.close()
  } catch {
    // Its failure was seen by whoever opened it.
  }
}
