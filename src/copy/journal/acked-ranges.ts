/**
 * Finds the changes of a journal that the marks in its entries report as acknowledged.
 *
 * Invariant: a mark counts only for the changes of the tenure that wrote it. A new writer does not
 * know which of the earlier changes were answered: the previous tenure may have ended with some
 * unanswered, and although a later acknowledgement makes them safe, their callers were not told.
 */
import type { Entry, EntryHeader } from '../../changes/entry.js'
import { goesOn } from '../../changes/entry.js'

export class AckedRanges {
  /** The first change of each tenure, by term; 0 for a tenure that began before the first entry. */
  readonly #beginnings = new Map<string, number>()
  /** The highest mark of each tenure, by its first change. */
  readonly #marks = new Map<number, number>()
  #last: string | undefined

  /** Processes the next entry of the journal. */
  note(entry: Entry): void {
    const { header } = entry
    const term = termKey(header)
    if (!this.#beginnings.has(term)) this.#beginnings.set(term, this.#begun(entry))
    this.#last = term
    const beginning = this.#beginning(term)
    const mark = this.#marks.get(beginning) ?? 0
    if (header.ackedSeq > mark) this.#marks.set(beginning, header.ackedSeq)
  }

  /** Whether the entries show that the caller of this change was told. */
  has(seq: number): boolean {
    for (const [beginning, mark] of this.#marks) if (seq >= beginning && seq <= mark) return true
    return false
  }

  /** The first change of the tenure whose term begins with this entry. */
  #begun(entry: Entry): number {
    if (entry.header.kind !== 'term') return 0
    return goesOn(entry) ? this.#beginning(this.#last) : entry.header.firstSeq
  }

  #beginning(term: string | undefined): number {
    return term === undefined ? 0 : (this.#beginnings.get(term) ?? 0)
  }
}

function termKey({ epoch, termTag }: EntryHeader): string {
  return `${epoch} ${termTag}`
}
