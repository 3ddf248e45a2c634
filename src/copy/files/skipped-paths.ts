/**
 * Reports files that are not replicated, because of their name or type, although a class seems to
 * claim them. Otherwise that would be noticed only after the loss of the machine, so every start
 * reports it.
 *
 * Invariant: the number of paths that are stored and reported individually is bounded; the rest is
 * counted.
 */
import { pathProblem } from '../../policy/path-rules.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'

/** Skipped paths that are stored and reported individually; the rest is counted. */
export const skippedNamedMax = 100
/**
 * Characters shown of a skipped path, which may be one that is too long to be replicated; the rest
 * is left out.
 */
const shownMax = 1024

/** A path that is not replicated. */
export interface SkippedPath {
  /** The path relative to the root, cut after 1 024 characters. */
  readonly path: string
  /** The reason, for people. */
  readonly why: string
}

/** What the last scan skipped. */
export interface SkippedReport {
  /** The number of skipped paths. */
  readonly count: number
  /** The first of them, at most {@link skippedNamedMax}. */
  readonly paths: readonly SkippedPath[]
}

/** The events about skipped paths. */
export type SkippedEvent =
  /**
   * A path that a synced class seems to claim and cannot: a link, a special file, an unreadable
   * folder, an invalid name.
   */
  | { readonly name: 'skippedPath'; readonly path: string; readonly why: string }
  /** There are more than were reported; the number of all. */
  | { readonly name: 'skippedPaths'; readonly count: number }

export const nothingSkipped: SkippedReport = { count: 0, paths: [] }

export class SkippedPaths {
  readonly #policy: SyncPolicy
  readonly #emit: (event: SkippedEvent) => void
  readonly #paths: SkippedPath[] = []
  #count = 0

  constructor(policy: SyncPolicy, emit: (event: SkippedEvent) => void) {
    this.#policy = policy
    this.#emit = emit
  }

  /** Records an object that is no regular file, or could not be read. */
  add(path: string, why: string): void {
    if (!this.#policy.seemsSynced(path)) return
    this.#count += 1
    if (this.#paths.length >= skippedNamedMax) return
    const shown = path.length > shownMax ? `${path.slice(0, shownMax)}…` : path
    this.#paths.push({ path: shown, why })
    this.#emit({ name: 'skippedPath', path: shown, why })
  }

  /** Records a regular file that no synced class claims, perhaps because of its name. */
  addUnclaimed(path: string): void {
    const problem = pathProblem(path)
    if (problem !== undefined) this.add(path, `its path ${problem}`)
  }

  /** Ends the scan. */
  end(): SkippedReport {
    const report = { count: this.#count, paths: this.#paths }
    if (report.count > report.paths.length) {
      this.#emit({ name: 'skippedPaths', count: report.count })
    }
    return report
  }
}
