/**
 * Files that are not replicated although a class seems to claim them: because of their name, or
 * because of what they are. Nobody would notice before the machine is lost, so each start says so.
 *
 * Invariant: what is kept of them and told one by one is bounded; the rest is counted.
 */
import { pathProblem } from '../../policy/path-rules.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'

/** Skipped paths that are reported one by one and kept; the rest is counted. */
export const skippedNamedMax = 100
/**
 * Characters that are shown of a skipped path; the rest is left out. One that is too long to be
 * replicated is one of them.
 */
const shownMax = 1024

/** One of them. */
export interface SkippedPath {
  /** Relative to the root, its end left out where it is longer than 1 024 characters. */
  readonly path: string
  /** What is wrong with it, in words, for people. */
  readonly why: string
}

/** What the last scan left out. */
export interface SkippedReport {
  /** How many there are. */
  readonly count: number
  /** The first of them, at most {@link skippedNamedMax}. */
  readonly paths: readonly SkippedPath[]
}

/** What is told of them. */
export type SkippedEvent =
  /**
   * What a synced class seems to claim and cannot: a link, a special file, an unreadable folder, a
   * name that breaks the rules.
   */
  | { readonly name: 'skippedPath'; readonly path: string; readonly why: string }
  /** There are more of them than were told: so many in all. */
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

  /** A scan met what is no regular file, or could not be read. */
  add(path: string, why: string): void {
    if (!this.#policy.seemsSynced(path)) return
    this.#count += 1
    if (this.#paths.length >= skippedNamedMax) return
    const shown = path.length > shownMax ? `${path.slice(0, shownMax)}…` : path
    this.#paths.push({ path: shown, why })
    this.#emit({ name: 'skippedPath', path: shown, why })
  }

  /** A scan met a regular file that no synced class claims: it may be for its name. */
  addUnclaimed(path: string): void {
    const problem = pathProblem(path)
    if (problem !== undefined) this.add(path, `its path ${problem}`)
  }

  /** The scan is over. */
  end(): SkippedReport {
    const report = { count: this.#count, paths: this.#paths }
    if (report.count > report.paths.length) {
      this.#emit({ name: 'skippedPaths', count: report.count })
    }
    return report
  }
}
