/**
 * Which changes of a journal the marks in its entries call acknowledged.
 *
 * Invariant: a mark counts for the changes of the tenure that wrote it, and for no earlier ones. A
 * writer that begins does not know which of the changes before it were ever answered: the tenure
 * before may have ended with some of them unanswered, and what a later tenure acknowledged makes
 * those safe, but nobody was told.
 */
import type { Entry, EntryHeader } from '../../changes/entry.js'
import { goesOn } from '../../changes/entry.js'

export class AckedRanges {
  /** By term: the first change of its tenure; 0 for a tenure that began before the first entry. */
  readonly #beginnings = new Map<string, number>()
  /** By the first change of a tenure: its highest mark. */
  readonly #marks = new Map<number, number>()
  #last: string | undefined

  /** Takes in the next entry of the journal. */
  note(entry: Entry): void {
    const { header } = entry
    const term = termKey(header)
    if (!this.#beginnings.has(term)) this.#beginnings.set(term, this.#begun(entry))
    this.#last = term
    const beginning = this.#beginning(term)
    const mark = this.#marks.get(beginning) ?? 0
    if (header.ackedSeq > mark) this.#marks.set(beginning, header.ackedSeq)
  }

  /** Whether the caller of this change had been told, as far as the entries say. */
  has(seq: number): boolean {
    for (const [beginning, mark] of this.#marks) if (seq >= beginning && seq <= mark) return true
    return false
  }

  /** The first change of the tenure whose term comes up with this entry. */
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
