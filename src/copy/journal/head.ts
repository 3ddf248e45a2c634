/**
 * The head of a journal: the result of its entries in order.
 *
 * Invariants: `seq` rises only by the count of each entry; an entry belongs to the last term of the
 * history, or opens a term with a higher epoch than the last change. A term without changes leaves
 * no trace: the history that continues after it may not have known it, so the next entry may have a
 * lower epoch.
 */

import type { Entry } from '../../changes/entry.js'
import { inSyncOf, lastSeqOf, termOf, termTagOf } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { Extent, History, HistoryTerm } from '../../history/position.js'
import { sameTerm, withTerm } from '../../history/position.js'

/** The position of a copy and the facts of its journal up to there. */
export interface JournalFacts extends Extent {
  /** The highest acknowledged position that an entry records. */
  readonly ackedSeq: number
  /** The last in-sync set; undefined when the journal contains none. */
  readonly inSync: readonly string[] | undefined
}

export const noFacts: JournalFacts = { history: [], seq: 0, ackedSeq: 0, inSync: undefined }

/** Keeps the head while entries are processed. */
export class FactsTracker implements JournalFacts {
  history: History
  seq: number
  ackedSeq: number
  inSync: readonly string[] | undefined
  #epoch = 0
  #tag = 0

  constructor(facts: JournalFacts) {
    this.history = facts.history
    this.seq = facts.seq
    this.ackedSeq = facts.ackedSeq
    this.inSync = facts.inSync
    this.#setTerm(facts.history.at(-1))
  }

  /** Restarts with these facts. */
  restart(facts: JournalFacts): void {
    this.history = facts.history
    this.seq = facts.seq
    this.ackedSeq = facts.ackedSeq
    this.inSync = facts.inSync
    this.#setTerm(facts.history.at(-1))
  }

  /** An immutable copy of the facts. */
  snapshot(): JournalFacts {
    const { history, seq, ackedSeq, inSync } = this
    return { history, seq, ackedSeq, inSync }
  }

  /**
   * Checks that the entry is the next one and that `advance` can process it.
   *
   * @throws `PROTOCOL_VIOLATION`
   */
  requireNext(entry: Entry): void {
    const { header } = entry
    if (header.firstSeq !== this.seq + 1) {
      throw new HotspareError(
        'PROTOCOL_VIOLATION',
        `an entry begins at ${header.firstSeq} where ${this.seq + 1} is next`,
      )
    }
    if (header.kind === 'inSync') inSyncOf(entry)
    if (header.kind === 'term') {
      termOf(entry)
      if (header.epoch > (epochAt(this.history, this.seq) ?? 0)) return
    }
    // An open term may be announced again, because a resumed stream repeats it.
    if (this.#isOpen(entry) || this.#goesOn(entry)) return
    throw new HotspareError(
      'PROTOCOL_VIOLATION',
      `an entry of a term of epoch ${header.epoch} follows one of epoch ${this.#epoch}`,
    )
  }

  /** Processes the next entry, which has been checked. */
  advance(entry: Entry): void {
    const { header } = entry
    if (header.ackedSeq > this.ackedSeq) this.ackedSeq = header.ackedSeq
    if (header.kind !== 'term' && !this.#isOpen(entry)) this.#dropUnused()
    if (header.kind === 'changes') {
      this.seq = lastSeqOf(header)
      return
    }
    if (header.kind === 'inSync') {
      this.inSync = inSyncOf(entry)
      return
    }
    const term = termOf(entry)
    const last = this.history.at(-1)
    if (last !== undefined && sameTerm(last, term)) return
    this.history = withTerm(this.history, term, this.seq)
    this.#setTerm(this.history.at(-1))
  }

  #isOpen({ header }: Entry): boolean {
    return header.epoch === this.#epoch && header.termTag === this.#tag
  }

  /**
   * Whether the entry belongs to the term of the last change, after which only terms without
   * changes followed.
   */
  #goesOn({ header }: Entry): boolean {
    const settled = this.#used().at(-1)
    return settled?.epoch === header.epoch && termTagOf(settled) === header.termTag
  }

  #used(): History {
    return this.history.filter((term) => term.firstSeq <= this.seq)
  }

  #dropUnused(): void {
    this.history = this.#used()
    this.#setTerm(this.history.at(-1))
  }

  #setTerm(term: HistoryTerm | undefined): void {
    this.#epoch = term?.epoch ?? 0
    this.#tag = term === undefined ? 0 : termTagOf(term)
  }
}

/** The epoch of the term of the change at `seq`; undefined when the history begins later. */
export function epochAt(history: History, seq: number): number | undefined {
  for (let at = history.length - 1; at >= 0; at -= 1) {
    const term = history[at]
    if (term !== undefined && term.firstSeq <= seq) return term.epoch
  }
  return undefined
}
