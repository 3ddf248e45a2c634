/**
 * Makes checkpoints: when they are due, and how.
 *
 * Invariants:
 * - the document is written last: until then the one before is in force, and everything it names is
 *   still there;
 * - the stored index may know changes after the checkpoint (it is written while the node works);
 *   recovery repeats these from the journal, which has them, because nothing reaches the tree
 *   before it is durable there;
 * - one checkpoint at a time.
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

/** Blobs of this share of the journal's limit end a segment. */
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
  /** The last change of the checkpoint in force. */
  seq: number
  #place: string
  /** The segment that the checkpoint in force names. */
  #segment: string | undefined
  /** Journal appended since then. */
  #bytes = 0
  /** Bytes of blobs when the segment was begun for them. */
  #blobBytes = 0
  #lostUpTo = 0
  /** Why the last one failed. */
  failed: HotspareError | undefined
  /** The lowest position of a known member; nothing below it is wanted. */
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

  /** So many bytes were appended. */
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

  /** Blobs go with the segment that names them, so many of them end it early. */
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
    // A failure is kept, and reported, by then.
    this.run(false).catch(() => undefined)
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  /**
   * Makes one, or waits for the one under way and then makes one. `isLast`: the copy is about to be
   * closed.
   */
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
   * What cannot be made durable any more must not grow: the copy fails, unless it has failed
   * already.
   */
  #fail(error: HotspareError): void {
    if (this.#isStopped) return
    if (this.#journal.failed !== undefined || this.#contents.applier.failed !== undefined) return
    this.failed = error
    this.#options.emit({ name: 'checkpointFailed', error })
    this.#onFailure(error)
  }

  /** Makes no more by itself; waits for the one under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#clearTimer()
    await this.#running?.catch(() => undefined)
  }

  /** Goes on after `stop`. */
  start(): void {
    this.#isStopped = false
  }

  async #make(isLast: boolean): Promise<void> {
    const { storage } = this.#options
    const { index, applier } = this.#contents
    this.#bytes = 0
    await this.#journal.flushed()
    const place = this.#journal.durablePlace()
    // Nothing was appended: the document in force says the same.
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

  /** What did not change since it was stored is stored up to here. */
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
      // A stored snapshot never holds what the journal could still lose.
      await this.#journal.flushed()
      try {
        await storage.documents.write(stateDocument(slot.name), encodeState(snapshot))
      } catch (error) {
        // The one before is intact. A storage that takes nothing at all fails the checkpoint below.
        states.fail(slot, error, true)
        continue
      }
      states.stored(slot, snapshot, moved)
    }
  }

  /**
   * Whether the oldest segment of a journal that is over its limit is kept for this state, which
   * seldom changes.
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

  /** The state now; undefined when the application gave none, which is kept and told by then. */
  #snapshot(slot: StateSlot): StateSnapshot | undefined {
    try {
      return this.#contents.states.snapshot(slot.name, this.#journal.facts.seq)
    } catch {
      return undefined
    }
  }

  /** Removes what the limit leaves no room for and recovery does not need. */
  async #trim(): Promise<void> {
    const { limits, storage, emit } = this.#options
    const { blobs, states } = this.#contents
    let safeSeq = this.seq
    for (const { lost, coveredSeq } of states.slots) {
      // A state whose snapshot fails holds the journal beyond its limit: nothing else has what came
      // after the last one.
      if (lost === undefined) safeSeq = Math.min(safeSeq, coveredSeq)
    }
    const bytesMax = limits.journalBytesMax
    const upTo = await this.#journal.trim({ bytesMax, safeSeq, blobs, keep: this.#segment })
    if (upTo === undefined) return
    const gone = blobs.takeUpTo(upTo)
    try {
      if (gone.length > 0) await storage.objects.remove('blobs', gone)
    } catch {
      // The checkpoint is made, and no record names them any more: they go at the next start.
    }
    if (upTo <= this.lowestPeerSeq || upTo <= this.#lostUpTo) return
    this.#lostUpTo = upTo
    emit({ name: 'historyLost', upTo })
  }
}

function placeKey(place: JournalPlace): string {
  return `${place.segment}:${place.offset}`
}
