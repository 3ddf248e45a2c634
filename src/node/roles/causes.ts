/**
 * Why this node makes no progress: what it tries again and again, and what the last attempt failed
 * with. Every loop that retries reports here, so that no failure is known to the decision log
 * alone.
 *
 * Invariants: a cause stands from the first failed attempt to the success, or to the end of the
 * attempts; whatever was told as `stuck` is told as `unstuck` when it is over.
 */
import type { Role } from '../../core/state/facts.js'
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import { ReportLimiter } from '../../util/report-limiter.js'
import type { Emit } from '../contract/events.js'
import type { Tried } from '../contract/tried.js'

/** How much each weighs: the first of those that fail is what `status().stuck` says. */
const ranks: Readonly<Record<Tried, number>> = {
  ...{ storage: 0, room: 1, facts: 2, follow: 3, hold: 4, fetch: 5, promotion: 6 },
  ...{ gate: 7, wait: 8, search: 9, dial: 10 },
}

/** All of them, the most important one first. */
export const tried: readonly Tried[] = (Object.keys(ranks) as Tried[]).sort(
  (one, other) => ranks[one] - ranks[other],
)

/** Why one thing does not succeed. */
export interface CauseStatus {
  /** What is tried. */
  readonly what: Tried
  /** The code of the error; undefined where it is no failure. */
  readonly code: string | undefined
  /** Why, in words, for people. */
  readonly reason: string
  /** Attempts that failed in a row; 0 for what only waits. */
  readonly attempts: number
  /** Milliseconds since the first of them. */
  readonly forMs: number
}

/** Roles outside which something is not tried; what is not listed is tried in all of them. */
const triedIn: readonly (readonly [what: Tried, roles: readonly Role[]])[] = [
  ['follow', ['restoring', 'standby']],
  ['fetch', ['discovering', 'stopped']],
  ['promotion', ['discovering', 'stopped']],
  ['room', ['active']],
]

/** What an attempt failed with. */
export interface Failure {
  readonly code: string | undefined
  readonly reason: string
  /**
   * True for what passes by itself as a rule, or has an event of its own: it is told only when it
   * lasts.
   */
  readonly quiet?: boolean
}

/** A failure that is quiet is told with this attempt. */
const toldAttempt = 4

interface Cause extends Failure {
  readonly sinceMs: number
  readonly attempts: number
  readonly told: boolean
}

export class Causes {
  readonly #clock: Clock
  readonly #emit: Emit
  readonly #told: ReportLimiter
  readonly #present = new Map<Tried, Cause>()

  constructor(clock: Clock, emit: Emit) {
    this.#clock = clock
    this.#emit = emit
    this.#told = new ReportLimiter(clock)
  }

  /** Another attempt failed. */
  failed(what: Tried, failure: Failure): void {
    const { code, reason, quiet = false } = failure
    const before = this.#present.get(what)
    const attempts = (before?.attempts ?? 0) + 1
    const sinceMs = before?.sinceMs ?? this.#clock.nowMs()
    const isNews = this.#told.isDue(`${what} ${code} ${withoutNumbers(reason)} ${quiet}`)
    const isDue = quiet ? attempts >= toldAttempt && before?.told !== true : isNews
    this.#present.set(what, { ...failure, sinceMs, attempts, told: isDue || before?.told === true })
    if (isDue) this.#emit('stuck', { what, code, reason, attempts })
  }

  /**
   * Nothing failed, and yet nothing goes on before somebody decides or comes back; told by an event
   * of its own.
   */
  waits(what: Tried, reason: string): void {
    const before = this.#present.get(what)
    const sinceMs = before?.sinceMs ?? this.#clock.nowMs()
    const told = before?.told ?? false
    this.#present.set(what, { code: undefined, reason, sinceMs, attempts: 0, told })
  }

  /** It succeeded, or is not tried any more. */
  over(...all: readonly Tried[]): void {
    for (const what of all) {
      const cause = this.#present.get(what)
      if (cause === undefined) continue
      this.#present.delete(what)
      if (!cause.told) continue
      const forMs = Math.round(this.#clock.nowMs() - cause.sinceMs)
      this.#emit('unstuck', { what, forMs })
    }
  }

  /** What was tried in the role before, whatever became of it, is over where it is not now. */
  roleChanged(role: Role): void {
    for (const [what, roles] of triedIn) if (!roles.includes(role)) this.over(what)
  }

  get(what: Tried): string | undefined {
    const cause = this.#present.get(what)
    return cause === undefined ? undefined : textOf(cause)
  }

  /** All of them, the most important one first; `waits` adds what is known elsewhere. */
  list(waits: readonly CauseStatus[]): CauseStatus[] {
    if (this.#present.size === 0 && waits.length === 0) return []
    const nowMs = this.#clock.nowMs()
    return tried.flatMap((what) => {
      const cause = this.#present.get(what)
      const others = waits.filter((wait) => wait.what === what)
      if (cause === undefined) return others
      const { code, reason, attempts, sinceMs } = cause
      return [{ what, code, reason, attempts, forMs: Math.round(nowMs - sinceMs) }, ...others]
    })
  }
}

/** What `status().stuck` says of a cause. */
export function textOf({ code, reason }: Pick<CauseStatus, 'code' | 'reason'>): string {
  return code === undefined || reason.startsWith(code) ? reason : `${code}: ${reason}`
}

/** The failure that an error stands for. */
export function failureOf(error: unknown): Failure {
  if (error instanceof HotspareError) return { code: error.code, reason: error.message }
  return { code: undefined, reason: error instanceof Error ? error.message : String(error) }
}

/** Offsets, ports and counts change with each attempt; the cause does not. */
function withoutNumbers(reason: string): string {
  return reason.replace(/\d+/g, '#')
}
