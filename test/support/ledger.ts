/**
 * The application state of the test nodes: the updates that were applied, stored compactly as
 * ranges of numbers for each writer. Tests compare it with the acknowledged writes.
 */

/** Inclusive ranges in ascending order: `[first, last, first, last, …]`. */
export type Ranges = number[]

export interface Ledger {
  readonly applied: { readonly [writer: string]: Ranges }
  /** Updates that were applied more than once. */
  readonly repeated: readonly string[]
}

export function has(ranges: Ranges | undefined, count: number): boolean {
  for (let at = 0; at < (ranges?.length ?? 0); at += 2) {
    if (count >= (ranges?.[at] ?? 0) && count <= (ranges?.[at + 1] ?? 0)) return true
  }
  return false
}

/**
 * Adds a number, which is usually the highest so far; answers false when the number is there
 * already.
 */
export function add(ranges: Ranges, count: number): boolean {
  if (has(ranges, count)) return false
  let at = ranges.length
  while (at > 0 && (ranges[at - 2] ?? 0) > count) at -= 2
  ranges.splice(at, 0, count, count)
  join(ranges, at + 2)
  join(ranges, at)
  return true
}

/** Joins the range at this index with the one before it if they are adjacent. */
function join(ranges: Ranges, at: number): void {
  if (at < 2 || at >= ranges.length) return
  if ((ranges[at - 1] ?? 0) + 1 === ranges[at]) ranges.splice(at - 1, 2)
}

export class LedgerState {
  #applied = new Map<string, Ranges>()
  #repeated: string[] = []

  apply(writer: string, count: number): number {
    const ranges = this.#applied.get(writer) ?? []
    this.#applied.set(writer, ranges)
    if (!add(ranges, count)) this.#repeated.push(`${writer}#${count}`)
    return count
  }

  snapshot(): Ledger {
    const applied = [...this.#applied].map(
      ([writer, ranges]) => [writer, [...ranges]] as [string, Ranges],
    )
    return { applied: Object.fromEntries<Ranges>(applied), repeated: [...this.#repeated] }
  }

  restore({ applied, repeated }: Ledger): void {
    this.#applied = new Map(Object.entries(applied).map(([name, ranges]) => [name, [...ranges]]))
    this.#repeated = [...repeated]
  }
}
