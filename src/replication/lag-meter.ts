/**
 * How far behind an ordinal is, in changes, bytes and time, from a bounded number of marks. The
 * marks grow coarser with age, so that a follower that is far behind costs no more memory than one
 * that is not.
 */

interface Mark {
  readonly ordinal: number
  readonly seq: number
  /** Bytes of journal up to and including this entry. */
  readonly bytes: number
  readonly atMs: number
}

/** How far behind. */
export interface Lag {
  readonly lagSeq: number
  readonly lagBytes: number
  readonly lagMs: number
}

const marksMax = 512

/** Marks of what was appended when. */
export class LagMeter {
  #marks: Mark[] = []
  #last: Mark
  /** Entries between two marks; doubles whenever the marks are thinned out. */
  #stride = 1

  /** @param seq - the last change before the first mark, `ordinal` its entry */
  constructor(ordinal: number, seq: number, nowMs: number) {
    this.#last = { ordinal, seq, bytes: 0, atMs: nowMs }
    this.#marks.push(this.#last)
  }

  /** An entry was appended. */
  note(ordinal: number, lastSeq: number, bytes: number, nowMs: number): void {
    this.#last = { ordinal, seq: lastSeq, bytes: this.#last.bytes + bytes, atMs: nowMs }
    const newest = this.#marks.at(-1)
    if (newest !== undefined && ordinal - newest.ordinal < this.#stride) return
    this.#marks.push(this.#last)
    if (this.#marks.length <= marksMax) return
    this.#marks = this.#marks.filter((_, at) => at % 2 === 0)
    this.#stride *= 2
  }

  /**
   * How far behind one is who has everything up to this ordinal. A mark's coarseness may overstate
   * it.
   */
  lagOf(ordinal: number, nowMs: number): Lag {
    const last = this.#last
    if (ordinal >= last.ordinal) return { lagSeq: 0, lagBytes: 0, lagMs: 0 }
    let had: Mark | undefined
    let lacks = last
    for (const mark of this.#marks) {
      if (mark.ordinal > ordinal) {
        lacks = mark
        break
      }
      had = mark
    }
    // Of one who is older than all marks nothing is known, so that it may lack everything.
    const from = had ?? { seq: 0, bytes: 0 }
    return {
      lagSeq: last.seq - from.seq,
      lagBytes: last.bytes - from.bytes,
      lagMs: Math.max(0, nowMs - lacks.atMs),
    }
  }
}
