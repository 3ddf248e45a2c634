/**
 * The record of a run: lines for people, a hash that differs between runs that differ, and counts
 * of what a run covered.
 */
import type { Hash } from 'node:crypto'
import { createHash } from 'node:crypto'

/** Lines that are kept. */
const keptLines = 400

/** The record of a run. */
export class Timeline {
  readonly #hash: Hash = createHash('sha256')
  readonly #verbose: ((line: string) => void) | undefined
  readonly #lines: string[] = []
  /** How often each kind of thing happened. */
  readonly counts: Map<string, number> = new Map()

  /** @param verbose - gets each line at once */
  constructor(verbose?: (line: string) => void) {
    this.#verbose = verbose
  }

  /**
   * @param what - its first word is the kind under which it is counted. @param detail - plain data
   */
  add(atMs: number, who: string, what: string, detail?: unknown): void {
    this.count(what.split(' ', 1)[0] ?? '')
    const text = detail === undefined ? '' : ` ${plain(detail)}`
    const line = `${atMs.toFixed(1).padStart(9)} ${who} ${what}${text}`
    this.#hash.update(line)
    this.#verbose?.(line)
    this.#lines.push(line)
    if (this.#lines.length > 2 * keptLines) this.#lines.splice(0, keptLines)
  }

  /** Counts something without adding a line. */
  count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  /** The last lines. */
  tail(count: number = keptLines): string[] {
    return this.#lines.slice(-count)
  }

  /** The hash of all lines; ends the record. */
  digest(): string {
    return this.#hash.digest('hex').slice(0, 16)
  }
}

function plain(detail: unknown): string {
  return JSON.stringify(detail, (_key, value: unknown) => {
    if (value instanceof Error)
      return { code: (value as { code?: string }).code, message: value.message }
    if (value instanceof Uint8Array) return `${value.length} bytes`
    return value
  })
}
