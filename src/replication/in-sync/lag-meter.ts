/**
 * Measures how far behind an ordinal is, in changes, bytes and time, from a bounded number of
 * marks. The older half of the marks is thinned out, so that memory is bounded however far a
 * follower lags, while a small lag is measured closely. Between two marks the meter interpolates
 * linearly.
 */

interface Mark {
  readonly ordinal: number
  readonly seq: number
  /** Bytes of journal, and of the contents that it names, up to and including this entry. */
  readonly bytes: number
  readonly atMs: number
}

/** How far a follower is behind. */
export interface Lag {
  /** Changes that it has not on its disk. */
  readonly lagSeq: number
  /** Bytes of journal, and of the contents that it names, that it has not on its disk. */
  readonly lagBytes: number
  /** Age of the oldest change that it has not on its disk, in milliseconds; 0 when it has all. */
  readonly lagMs: number
}

/**
 * Marks kept; beyond it every second mark of the older half is dropped, and the lag is less exact
 * there.
 */
const marksMax = 1024
/**
 * Entries within this time after a mark share one mark, that of the last of them, in milliseconds.
 */
const markEveryMs = 10
/**
 * An entry of at least this size always gets its own mark, because interpolating across it would be
 * wrong.
 */
const markBytes = 1024 * 1024

/** Records what was appended when. */
export class LagMeter {
  #marks: Mark[] = []
  #last: Mark

  /** @param seq - the last change before the first mark, `ordinal` its entry */
  constructor(ordinal: number, seq: number, nowMs: number) {
    this.#last = { ordinal, seq, bytes: 0, atMs: nowMs }
    this.#marks.push(this.#last)
  }

  /** The last entry appended. */
  get lastOrdinal(): number {
    return this.#last.ordinal
  }

  /** An entry was appended. */
  note(ordinal: number, lastSeq: number, bytes: number, nowMs: number): void {
    const before = this.#last
    this.#last = { ordinal, seq: lastSeq, bytes: before.bytes + bytes, atMs: nowMs }
    const newest = this.#marks.at(-1) ?? before
    if (nowMs - newest.atMs < markEveryMs && bytes < markBytes) return
    // Mark the entry before as well, so that no interpolation spans a time in which nothing was
    // appended.
    if (newest !== before) this.#marks.push(before)
    this.#marks.push(this.#last)
    if (this.#marks.length <= marksMax) return
    this.#marks = this.#marks.filter((_, at) => at % 2 === 0 || at > marksMax / 2)
  }

  /** The lag of a follower that has everything up to this ordinal. */
  lagOf(ordinal: number, nowMs: number): Lag {
    const last = this.#last
    if (ordinal >= last.ordinal) return { lagSeq: 0, lagBytes: 0, lagMs: 0 }
    const marks = this.#marks
    let low = 0
    let high = marks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((marks[middle]?.ordinal ?? 0) > ordinal) high = middle
      else low = middle + 1
    }
    const had = marks[low - 1]
    const lacks = marks[low] ?? last
    // For an ordinal before all marks nothing is known, so the follower may lack everything.
    if (had === undefined)
      return { lagSeq: last.seq, lagBytes: last.bytes, lagMs: nowMs - lacks.atMs }
    const share = (ordinal - had.ordinal) / (lacks.ordinal - had.ordinal)
    const between = (from: number, to: number): number => from + share * (to - from)
    // The oldest entry that it lacks is the one after the last that it has.
    const next = Math.min(1, share + 1 / (lacks.ordinal - had.ordinal))
    const lackedSinceMs = had.atMs + next * (lacks.atMs - had.atMs)
    return {
      lagSeq: last.seq - Math.floor(between(had.seq, lacks.seq)),
      lagBytes: last.bytes - Math.floor(between(had.bytes, lacks.bytes)),
      lagMs: Math.max(0, nowMs - lackedSinceMs),
    }
  }
}
