/**
 * Recovers a copy from its storage up to the end of its journal.
 *
 * The journal is authoritative. The index begins at the checkpoint and the tree may be at any later
 * state, so every change of a file after the checkpoint is carried out again in order, except on
 * files that another program changed while the copy was closed, as far as that can be detected.
 * Application state begins at its own position or at its snapshot.
 */

import type { Entry } from '../../changes/entry.js'
import { type BatchPart, partsOf } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import { inBatches } from '../../util/in-batches.js'
import type { StateSlot } from '../contents/app-states.js'
import { decodeState, encodeState, stateDocument } from '../contents/app-states.js'
import type { Contents } from '../contents/replicated-state.js'
import type { LocalCopyOptions, StateSnapshot } from '../contents/types.js'
import { epochAt, type JournalFacts, noFacts } from '../journal/head.js'
import type { ScannedJournal, ScanStart } from '../journal/scan.js'
import { listSegments, scanJournal } from '../journal/scan.js'
import type { Segment } from '../journal/tail.js'
import type { CheckpointDocument } from './checkpoint-document.js'
import { ReplayCheck, type ReplayFindings } from './replay-check.js'

export const journalArea = 'journal'

/**
 * Bytes of entries in memory while the tree catches up; beyond it, reading the journal waits for
 * the tree.
 */
const aheadBytesMax = 16 * 1024 * 1024

/** Paths that are removed in one call; more take further calls. */
const removedTogether = 512

/**
 * Why a state cannot be rebuilt. A lack of descriptors says nothing about the stored state, so it
 * is thrown and tried again.
 */
function reasonOf(error: unknown): string {
  if (HotspareError.is(error, 'RESOURCES_EXHAUSTED')) throw error
  return String(error)
}

function readParts(entry: Entry): readonly BatchPart[] {
  try {
    return partsOf(entry)
  } catch (error) {
    // It was checked before it was journaled, so a newer version has written it.
    if (HotspareError.is(error, 'STORAGE_FORMAT')) throw error
    throw new HotspareError('JOURNAL_CORRUPT', 'an entry holds no changes', { cause: error })
  }
}

/** The start of a state class during recovery. */
interface StateBase {
  readonly seq: number
  readonly snapshot: StateSnapshot | undefined
  /** The change up to which this storage has the state, apart from the application's own store. */
  readonly coveredSeq: number
  readonly isStored: boolean
}

/** The facts about the copy that is recovered. */
export interface RecoveryFacts {
  /**
   * True at the start of the node, when the memory of the application is empty. After a switch its
   * memory and its stored snapshots still belong to the old copy and are replaced.
   */
  readonly isStart: boolean
  /** Whether the index matches the checkpoint, so that files can be compared with it. */
  readonly isIndexSound: boolean
}

/** Recovers into `contents`, whose index is at the checkpoint. */
export class Recovery {
  readonly #options: LocalCopyOptions
  readonly #contents: Contents
  readonly #checkpoint: CheckpointDocument | undefined
  readonly #facts: RecoveryFacts
  #segments: Segment[] = []
  /** The paths of the tree that must not be touched, with their records for the index. */
  #found: ReplayFindings['found'] | undefined

  constructor(
    options: LocalCopyOptions,
    contents: Contents,
    checkpoint: CheckpointDocument | undefined,
    facts: RecoveryFacts,
  ) {
    this.#options = options
    this.#facts = facts
    this.#contents = contents
    this.#checkpoint = checkpoint
  }

  async run(): Promise<ScannedJournal> {
    const { logs } = this.#options.storage
    this.#contents.restart()
    for (const name of this.#checkpoint?.strangers ?? []) this.#contents.strangers.add(name)
    this.#segments = await listSegments(logs, journalArea)
    for (const { id, seq, bytes } of this.#checkpoint?.blobs ?? []) {
      // Blobs that a checkpoint names may have been removed by the trim after it.
      if (seq > this.#journalStart) this.#contents.blobs.refer(id, seq, bytes)
    }
    if (this.#segments.length === 0 && this.#checkpoint !== undefined) return this.#lostJournal()
    await this.#startStates()
    // After a switch this process itself has just moved the files into place.
    const { isStart, isIndexSound } = this.#facts
    if (isStart && isIndexSound) this.#found = await this.#findOutside()
    let scanned = await this.#replay(this.#scanStart())
    if (scanned.facts.seq < this.#filesSeq) {
      // With damage before the checkpoint, states that need the changes there are lost, and files
      // are not.
      this.#loseStatesBelow(this.#filesSeq, 'the journal before the checkpoint is damaged')
      scanned = await this.#replay(this.#checkpoint?.place)
    }
    this.#loseStatesAbove(scanned.facts.seq)
    return scanned
  }

  /** The change at which the files are before the replay. */
  get #filesSeq(): number {
    return this.#checkpoint?.place.facts.seq ?? 0
  }

  get #journalStart(): number {
    return (this.#segments[0]?.firstSeq ?? 1) - 1
  }

  #lostJournal(): ScannedJournal {
    const facts = this.#checkpoint?.place.facts ?? noFacts
    const why = 'the journal is missing'
    for (const slot of this.#contents.states.slots) this.#lose(slot, why)
    const damage = { segment: this.#checkpoint?.place.segment ?? '', offset: 0, why }
    return { segments: [], facts, nonce: undefined, damage }
  }

  /** The checkpoint, or an earlier segment if a state needs changes before it. */
  #scanStart(): ScanStart | undefined {
    const place = this.#checkpoint?.place
    if (place === undefined) return undefined
    let seq = place.facts.seq
    for (const { lost, appliedSeq } of this.#contents.states.slots) {
      if (lost === undefined) seq = Math.min(seq, appliedSeq)
    }
    if (seq >= place.facts.seq) return place
    let start = this.#segments[0]
    for (const segment of this.#segments) if (segment.firstSeq <= seq + 1) start = segment
    return start === undefined ? place : { segment: start.name }
  }

  async #findOutside(): Promise<ReplayFindings['found']> {
    const { storage, policy } = this.#options
    const check = new ReplayCheck(policy, this.#contents.index, this.#filesSeq)
    await scanJournal(storage.logs, journalArea, this.#checkpoint?.place, (entry) => {
      if (entry.header.kind === 'changes') check.take(readParts(entry))
    })
    const { found, begun } = await check.find(storage)
    // If the storage treats it as another file, that one stays; after skipped changes nothing is
    // certain.
    const { strangers } = this.#contents
    const isOwn = (path: string): boolean => this.#contents.names.standsFor(path) === undefined
    const own = strangers.size > 0 ? [] : begun.filter(isOwn)
    for (const batch of inBatches(own, removedTogether)) {
      await storage.tree.apply(batch.map((path) => ({ kind: 'remove', path })))
    }
    return found
  }

  async #replay(from: ScanStart | undefined): Promise<ScannedJournal> {
    const { applier } = this.#contents
    const { logs } = this.#options.storage
    applier.isReplaying = true
    let ordinal = 0
    const scanned = await scanJournal(logs, journalArea, from, (entry) => {
      ordinal += 1
      this.#take(entry, ordinal)
      this.#options.recovers?.({ phase: 'journal', done: ordinal })
      applier.release(ordinal)
      return this.#contents.unappliedBytes > aheadBytesMax ? applier.settled() : undefined
    })
    await applier.settled()
    // From here on the ordinals start again.
    applier.release(0)
    applier.endReplay()
    return scanned
  }

  #take(entry: Entry, ordinal: number): void {
    if (entry.header.kind !== 'changes') return
    const options = { ordinal, wantsResults: false, filesSeq: this.#filesSeq, found: this.#found }
    this.#contents.take(entry, readParts(entry), options)
  }

  async #startStates(): Promise<void> {
    const slots = [...this.#contents.states.slots]
    const needsEnd = slots.some(({ hooks }) => hooks.position !== undefined)
    const end = needsEnd ? await this.#findEnd() : undefined
    for (const slot of slots) {
      const base = await this.#baseOf(slot, end).catch(reasonOf)
      if (typeof base === 'string') {
        this.#lose(slot, base)
        continue
      }
      const { states } = this.#contents
      if (base.snapshot !== undefined) await states.restore(slot, base.snapshot)
      states.startAt(slot, base.seq, base.coveredSeq)
      slot.isStored = base.isStored
      if (this.#facts.isStart && states.needsBase(slot)) await this.#storeBase(slot)
    }
  }

  /**
   * Stores the state that the application began with, before changes are applied to it. A failure
   * does not end the start; the first checkpoint tries again.
   */
  async #storeBase(slot: StateSlot): Promise<void> {
    const { states } = this.#contents
    let snapshot: StateSnapshot
    try {
      snapshot = states.snapshot(slot.name, slot.appliedSeq)
    } catch {
      // It has been recorded and reported.
      return
    }
    try {
      await this.#options.storage.documents.write(stateDocument(slot.name), encodeState(snapshot))
    } catch (error) {
      states.fail(slot, error, true)
      return
    }
    states.stored(slot, snapshot, slot.movedBytes)
  }

  /** Finds the end of the journal without carrying out anything. */
  async #findEnd(): Promise<JournalFacts> {
    const { logs } = this.#options.storage
    const scanned = await scanJournal(logs, journalArea, this.#checkpoint?.place, () => undefined)
    return scanned.facts
  }

  /** The start of the state of a class, or why it cannot be rebuilt. */
  async #baseOf(slot: StateSlot, end: JournalFacts | undefined): Promise<StateBase | string> {
    if (this.#contents.strangers.has(slot.name)) {
      this.#contents.strangers.delete(slot.name)
      return 'changes of the class were skipped'
    }
    const own = this.#facts.isStart ? await slot.hooks.position?.() : undefined
    const snapshot = await this.#storedSnapshot(slot.name)
    const isStored = snapshot !== undefined
    const coveredSeq = Math.max(this.#coveredSeq(slot.name), snapshot?.seq ?? 0)
    // A snapshot newer than the application's own position is from a restore that the application
    // has not stored yet.
    if (own !== undefined && end !== undefined && own.seq >= (snapshot?.seq ?? 0)) {
      if (this.#isOn(end, own.seq, own.epoch)) {
        return { seq: own.seq, snapshot: undefined, coveredSeq, isStored }
      }
    }
    if (coveredSeq < this.#journalStart)
      return 'the journal does not reach back to what is stored of it'
    if (snapshot !== undefined) return { seq: coveredSeq, snapshot, coveredSeq, isStored }
    if (own !== undefined) return 'its position is not in the journal, and there is no snapshot'
    if (slot.wasChanged) return 'the restore brought no snapshot of it'
    return { seq: coveredSeq, snapshot: undefined, coveredSeq, isStored }
  }

  #isOn(end: JournalFacts, seq: number, epoch: number): boolean {
    if (seq > end.seq || seq < this.#journalStart) return false
    return seq === 0 || epochAt(end.history, seq) === epoch
  }

  /** A class that the checkpoint does not contain had no changes up to it. */
  #coveredSeq(name: string): number {
    const known = this.#checkpoint?.states
    return known?.get(name) ?? this.#filesSeq
  }

  async #storedSnapshot(name: string): Promise<StateSnapshot | undefined> {
    const { documents } = this.#options.storage
    const document = await documents.read(stateDocument(name))
    return document === undefined ? undefined : decodeState(document)
  }

  #loseStatesBelow(seq: number, why: string): void {
    for (const slot of this.#contents.states.slots) {
      if (slot.appliedSeq < seq) this.#lose(slot, why)
    }
  }

  /** Drops states that are ahead of a journal which lost its end to damage. */
  #loseStatesAbove(seq: number): void {
    for (const slot of this.#contents.states.slots) {
      if (slot.appliedSeq > seq) this.#lose(slot, 'it is ahead of the journal')
    }
  }

  #lose(slot: StateSlot, why: string): void {
    if (slot.lost !== undefined) return
    slot.lost = why
    this.#options.emit({ name: 'stateLost', className: slot.name, why })
  }
}
