/**
 * The causes for which this node makes no progress: what it keeps trying, and the last failure.
 * Every retry loop reports here, so that no failure is visible in the decision log only.
 *
 * Invariants: a cause lasts from the first failed attempt until an attempt succeeds or the attempts
 * end; every `stuck` event is followed by `unstuck` when its cause is over.
 */
import type { Role } from '../../core/state/facts.js'
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import { ReportLimiter } from '../../util/report-limiter.js'
import type { Emit } from '../contract/events.js'
import type { Tried } from '../contract/tried.js'

/** The weight of each cause; `status().stuck` shows the one that comes first. */
const ranks: Readonly<Record<Tried, number>> = {
  ...{ storage: 0, room: 1, facts: 2, follow: 3, hold: 4, fetch: 5, promotion: 6 },
  ...{ gate: 7, wait: 8, search: 9, dial: 10 },
}

/** All causes, the most important one first. */
export const tried: readonly Tried[] = (Object.keys(ranks) as Tried[]).sort(
  (one, other) => ranks[one] - ranks[other],
)

/** Why an attempt does not succeed. */
export interface CauseStatus {
  /** What is tried. */
  readonly what: Tried
  /** The code of the error; undefined when nothing failed. */
  readonly code: string | undefined
  /** The reason, for people. */
  readonly reason: string
  /** The number of consecutive failed attempts; 0 when this node only waits. */
  readonly attempts: number
  /** Milliseconds since the first failed attempt. */
  readonly forMs: number
}

/** The roles in which something is tried; what is not listed is tried in all roles. */
const triedIn: readonly (readonly [what: Tried, roles: readonly Role[]])[] = [
  ['follow', ['restoring', 'standby']],
  ['fetch', ['discovering', 'stopped']],
  ['promotion', ['discovering', 'stopped']],
  ['room', ['active']],
]

/** The failure of an attempt. */
export interface Failure {
  readonly code: string | undefined
  readonly reason: string
  /**
   * Whether the failure usually passes or has an event of its own, so that it is reported only when
   * it lasts.
   */
  readonly quiet?: boolean
}

/** The number of the attempt at which a quiet failure is reported. */
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

  /** Records a failed attempt. */
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
   * Records that this node waits for a member or an operator although nothing failed. An event of
   * its own reports it.
   */
  waits(what: Tried, reason: string): void {
    const before = this.#present.get(what)
    const sinceMs = before?.sinceMs ?? this.#clock.nowMs()
    const told = before?.told ?? false
    this.#present.set(what, { code: undefined, reason, sinceMs, attempts: 0, told })
  }

  /** Ends causes, because an attempt succeeded or the attempts ended. */
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

  /** Ends the causes of attempts that are not made in the new role. */
  roleChanged(role: Role): void {
    for (const [what, roles] of triedIn) if (!roles.includes(role)) this.over(what)
  }

  get(what: Tried): string | undefined {
    const cause = this.#present.get(what)
    return cause === undefined ? undefined : textOf(cause)
  }

  /** All causes, the most important one first. `waits` adds those that are known elsewhere. */
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

/** The text of `status().stuck` for a cause. */
export function textOf({ code, reason }: Pick<CauseStatus, 'code' | 'reason'>): string {
  return code === undefined || reason.startsWith(code) ? reason : `${code}: ${reason}`
}

/** The failure that an error represents. */
export function failureOf(error: unknown): Failure {
  if (error instanceof HotspareError) return { code: error.code, reason: error.message }
  return { code: undefined, reason: error instanceof Error ? error.message : String(error) }
}

/**
 * The reason without numbers, because offsets, ports and counts change with each attempt while the
 * cause remains.
 */
function withoutNumbers(reason: string): string {
  return reason.replace(/\d+/g, '#')
}
