/**
 * What the entries of a journal, read in order, add up to.
 *
 * Invariants: `seq` rises by the count of each entry and by nothing else; an entry belongs to the
 * last term of the history, or opens one of a higher epoch than the last change. A term without
 * changes leaves nothing behind: the history that goes on after it may never have known it, so that
 * its next entry may be of a lower epoch.
 */

import type { Entry } from '../../changes/entry.js'
import { inSyncOf, lastSeqOf, termOf, termTagOf } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { Extent, History, HistoryTerm } from '../../history/position.js'
import { sameTerm, withTerm } from '../../history/position.js'

/** A copy's place and the facts that its journal states up to there. */
export interface JournalFacts extends Extent {
  /** The highest acknowledged-up-to mark. */
  readonly ackedSeq: number
  /** The last in-sync set; undefined when none was journaled. */
  readonly inSync: readonly string[] | undefined
}

export const noFacts: JournalFacts = { history: [], seq: 0, ackedSeq: 0, inSync: undefined }

/** Follows a journal entry by entry. */
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

  /** Begins anew with these facts. */
  restart(facts: JournalFacts): void {
    this.history = facts.history
    this.seq = facts.seq
    this.ackedSeq = facts.ackedSeq
    this.inSync = facts.inSync
    this.#setTerm(facts.history.at(-1))
  }

  /** A copy that does not move. */
  snapshot(): JournalFacts {
    const { history, seq, ackedSeq, inSync } = this
    return { history, seq, ackedSeq, inSync }
  }

  /**
   * Throws unless the entry is the next one, and is one that `advance` can take in.
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
    // The term that is open already may be announced again: a stream that is resumed repeats it.
    if (this.#isOpen(entry) || this.#goesOn(entry)) return
    throw new HotspareError(
      'PROTOCOL_VIOLATION',
      `an entry of a term of epoch ${header.epoch} follows one of epoch ${this.#epoch}`,
    )
  }

  /** Takes the next entry in; it was checked before. */
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

  /** Whether it is of the term of the last change, which terms without changes have followed. */
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

/**
 * The epoch of the term in which the change at `seq` was made; undefined when the history begins
 * after it.
 */
export function epochAt(history: History, seq: number): number | undefined {
  for (let at = history.length - 1; at >= 0; at -= 1) {
    const term = history[at]
    if (term !== undefined && term.firstSeq <= seq) return term.epoch
  }
  return undefined
}
