/**
 * Tells since when a follower has not acknowledged an entry. It keeps marks instead of every entry:
 * at most one every `granularityMs`, and an exact one when everything before was acknowledged, so
 * that a lone write is timed exactly and a flood costs little. Between two marks the later time
 * counts, in the follower's favour.
 */

interface AppendMark {
  readonly ordinal: number
  atMs: number
}

/** When unacknowledged entries were appended. */
export class SilenceWatch {
  readonly #granularityMs: number
  #marks: AppendMark[] = []
  #lastOrdinal = 0

  constructor(granularityMs: number) {
    this.#granularityMs = granularityMs
  }

  /** An entry was appended; `answered` is the last entry that every member has. */
  appended(ordinal: number, answered: number, nowMs: number): void {
    if (answered >= this.#lastOrdinal) this.#marks.length = 0
    else this.#forget(answered)
    this.#lastOrdinal = ordinal
    const newest = this.#marks.at(-1)
    if (newest === undefined || nowMs - newest.atMs >= this.#granularityMs) {
      this.#marks.push({ ordinal, atMs: nowMs })
    }
  }

  /** When the oldest entry after `answered` was appended; undefined when there is none. */
  unansweredSinceMs(answered: number): number | undefined {
    if (answered >= this.#lastOrdinal) return undefined
    let before: AppendMark | undefined
    for (const mark of this.#marks) {
      if (mark.ordinal > answered + 1) break
      before = mark
    }
    if (before === undefined) return this.#marks[0]?.atMs
    return before.ordinal === answered + 1 ? before.atMs : before.atMs + this.#granularityMs
  }

  /** This node itself was late by `lateMs`, so that time does not count against followers. */
  shift(lateMs: number): void {
    for (const mark of this.#marks) mark.atMs += lateMs
  }

  #forget(answered: number): void {
    let keep = 0
    while ((this.#marks[keep + 1]?.ordinal ?? Number.POSITIVE_INFINITY) <= answered + 1) keep += 1
    if (keep > 0) this.#marks = this.#marks.slice(keep)
  }
}
