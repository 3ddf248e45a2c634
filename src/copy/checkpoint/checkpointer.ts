/**
 * Makes checkpoints when they are due.
 *
 * Invariants:
 * - the document is written last; until then the previous one is valid, and everything it names
 *   exists;
 * - the stored index is written while the node works and may contain changes after the checkpoint;
 *   recovery repeats these from the journal, which has them, because nothing reaches the tree
 *   before it is durable there;
 * - only one checkpoint is in progress.
 */
import type { HotspareError } from '../../errors.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { StateSlot } from '../contents/app-states.js'
import { encodeState, stateDocument } from '../contents/app-states.js'
import type { Contents } from '../contents/replicated-state.js'
import type { LocalCopyOptions, StateSnapshot } from '../contents/types.js'
import type { IndexLog, IndexPlace } from '../files/index-log.js'
import { asStorageError } from '../journal/errors.js'
import type { Journal } from '../journal/journal.js'
import type { JournalPlace } from '../journal/scan.js'
import { checkpointName, encodeCheckpoint } from './checkpoint-document.js'

/** Share of the journal's limit after which blobs end a segment. */
const blobShare: number = 1 / 16

export class Checkpointer {
  readonly #options: LocalCopyOptions
  readonly #journal: Journal
  readonly #contents: Contents
  readonly #indexLog: IndexLog
  readonly #onFailure: (error: HotspareError) => void
  #running: Promise<void> | undefined
  #timer: TimerHandle | undefined
  #isStopped = false
  /** The last change of the valid checkpoint. */
  seq: number
  #place: string
  /** The segment that the valid checkpoint names. */
  #segment: string | undefined
  /** Bytes of journal that were appended since then. */
  #bytes = 0
  /** Bytes of blobs when their segment was begun. */
  #blobBytes = 0
  #lostUpTo = 0
  /** The error of the last checkpoint. */
  failed: HotspareError | undefined
  /** The lowest position of a known member, below which no entries are needed. */
  lowestPeerSeq: number = Number.POSITIVE_INFINITY

  constructor(
    options: LocalCopyOptions,
    journal: Journal,
    contents: Contents,
    indexLog: IndexLog,
    from: JournalPlace | undefined,
    onFailure: (error: HotspareError) => void,
  ) {
    this.#options = options
    this.#onFailure = onFailure
    this.#journal = journal
    this.#contents = contents
    this.#indexLog = indexLog
    this.seq = from?.facts.seq ?? 0
    this.#place = from === undefined ? '' : placeKey(from)
    this.#segment = from?.segment
  }

  /** Records appended bytes. */
  note(bytes: number): void {
    this.#bytes += bytes
    const { clock, limits } = this.#options
    if (this.#timer === undefined && !this.#isStopped) {
      this.#timer = clock.setTimer(limits.checkpointMs, () => this.#due())
    }
    const wanted = this.#isFull
      ? Math.min(limits.checkpointBytes, limits.segmentBytes)
      : limits.checkpointBytes
    this.#noteBlobs()
    if (this.#bytes >= wanted) {
      this.#bytes = 0
      this.#due()
    }
  }

  /**
   * Ends a segment early when it names many blobs, because blobs are removed with the segment that
   * names them.
   */
  #noteBlobs(): void {
    const { bytes } = this.#contents.blobs
    if (bytes < this.#blobBytes) this.#blobBytes = bytes
    const added = bytes - this.#blobBytes
    if (added < this.#options.limits.journalBytesMax * blobShare) return
    this.#blobBytes = bytes
    this.#bytes += added
    this.#journal.rollSoon()
  }

  #due(): void {
    this.#clearTimer()
    if (this.#isStopped || this.#journal.failed !== undefined) return
    if (this.#contents.applier.failed !== undefined) return
    // A failure has been recorded and reported.
    this.run(false).catch(() => undefined)
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  /** Makes a checkpoint, after the one in progress. `isLast`: the copy is about to be closed. */
  async run(isLast: boolean): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined)
    this.#running = this.#make(isLast)
    try {
      await this.#running
      this.failed = undefined
    } catch (error) {
      this.#fail(asStorageError(error))
      throw error
    } finally {
      this.#running = undefined
    }
  }

  /**
   * Fails the copy, unless it has failed already, because data that cannot be made durable must not
   * grow.
   */
  #fail(error: HotspareError): void {
    if (this.#isStopped) return
    if (this.#journal.failed !== undefined || this.#contents.applier.failed !== undefined) return
    this.failed = error
    this.#options.emit({ name: 'checkpointFailed', error })
    this.#onFailure(error)
  }

  /** Stops automatic checkpoints, after the one in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#clearTimer()
    await this.#running?.catch(() => undefined)
  }

  /** Continues after `stop`. */
  start(): void {
    this.#isStopped = false
  }

  async #make(isLast: boolean): Promise<void> {
    const { storage } = this.#options
    const { index, applier } = this.#contents
    this.#bytes = 0
    await this.#journal.flushed()
    const place = this.#journal.durablePlace()
    // Nothing was appended, so the existing document has the same content.
    if (placeKey(place) === this.#place && index.dirty === 0) return
    this.#coverQuietStates(place.facts.seq)
    await applier.applied(place.facts.seq)
    await this.#storeStates(isLast)
    const dirty = index.takeDirty()
    let written: IndexPlace
    try {
      if (dirty.size > 0) await storage.tree.sync([...dirty])
      written = await this.#indexLog.write(index, dirty)
      await storage.documents.write(checkpointName, this.#document(place, written))
    } catch (error) {
      index.returnDirty(dirty)
      throw error
    }
    this.seq = place.facts.seq
    this.#place = placeKey(place)
    this.#segment = place.segment
    await this.#indexLog.removeStale()
    await this.#trim()
  }

  #document(place: JournalPlace, index: IndexPlace): Uint8Array {
    const { states, strangers, blobs } = this.#contents
    const { tombstoneFloor } = this.#contents.index
    const covered = [...states.slots].filter(({ lost }) => lost === undefined)
    return encodeCheckpoint({
      place,
      index: { log: index.log, bytes: index.bytes },
      tombstoneFloor,
      states: new Map(covered.map(({ name, coveredSeq }) => [name, coveredSeq])),
      strangers: [...strangers, ...states.lost],
      blobs: [...blobs.entries()]
        .filter(([, { seq }]) => seq <= place.facts.seq)
        .map(([id, { seq, bytes }]) => ({ id, seq, bytes })),
    })
  }

  /** Marks states that have not changed since they were stored as stored up to here. */
  #coverQuietStates(seq: number): void {
    for (const slot of this.#contents.states.slots) {
      if (slot.movedBytes === 0 && slot.coveredSeq < seq) slot.coveredSeq = seq
    }
  }

  async #storeStates(isLast: boolean): Promise<void> {
    const { states } = this.#contents
    const { storage, limits } = this.#options
    for (const slot of states.slots) {
      if (!states.isDue(slot, limits.checkpointBytes, isLast) && !this.#holdsJournal(slot)) continue
      const snapshot = this.#snapshot(slot)
      if (snapshot === undefined) continue
      const moved = slot.movedBytes
      // A stored snapshot never contains changes that the journal could still lose.
      await this.#journal.flushed()
      try {
        await storage.documents.write(stateDocument(slot.name), encodeState(snapshot))
      } catch (error) {
        // The previous snapshot is intact. If the storage accepts nothing at all, the checkpoint
        // fails below.
        states.fail(slot, error, true)
        continue
      }
      states.stored(slot, snapshot, moved)
    }
  }

  /**
   * Whether a state that seldom changes keeps the oldest segment of a journal that exceeds its
   * limit.
   */
  #holdsJournal({ lost, movedBytes, coveredSeq }: StateSlot): boolean {
    const next = this.#journal.segments[1]
    if (!this.#isFull || next === undefined || lost !== undefined || movedBytes === 0) return false
    return coveredSeq < next.firstSeq - 1
  }

  get #isFull(): boolean {
    const { bytes } = this.#contents.blobs
    return this.#journal.bytes + bytes > this.#options.limits.journalBytesMax
  }

  /**
   * The present state; undefined when the application gave none, which has been recorded and
   * reported.
   */
  #snapshot(slot: StateSlot): StateSnapshot | undefined {
    try {
      return this.#contents.states.snapshot(slot.name, this.#journal.facts.seq)
    } catch {
      return undefined
    }
  }

  /** Trims what exceeds the limit and recovery does not need. */
  async #trim(): Promise<void> {
    const { limits, storage, emit } = this.#options
    const { blobs, states } = this.#contents
    let safeSeq = this.seq
    for (const { lost, coveredSeq } of states.slots) {
      // A state whose snapshot fails keeps the journal beyond its limit, because the changes after
      // the last snapshot are stored nowhere else.
      if (lost === undefined) safeSeq = Math.min(safeSeq, coveredSeq)
    }
    const bytesMax = limits.journalBytesMax
    const upTo = await this.#journal.trim({ bytesMax, safeSeq, blobs, keep: this.#segment })
    if (upTo === undefined) return
    const gone = blobs.takeUpTo(upTo)
    try {
      if (gone.length > 0) await storage.objects.remove('blobs', gone)
    } catch {
      // The checkpoint is complete and no entry names them any more, so they are removed at the
      // next start.
    }
    if (upTo <= this.lowestPeerSeq || upTo <= this.#lostUpTo) return
    this.#lostUpTo = upTo
    emit({ name: 'historyLost', upTo })
  }
}

function placeKey(place: JournalPlace): string {
  return `${place.segment}:${place.offset}`
}
