/**
 * Emits refusals as events, limited so that repeated attempts and many strangers do not fill the
 * log.
 */
import type { Clock } from '../../interfaces/clock.js'
import { ReportLimiter } from '../../util/report-limiter.js'
import type { Emit } from '../contract/events.js'

export interface Refusal {
  /** The id of a member, or the address of a stranger. */
  readonly peer: string
  readonly code: string
  readonly reason: string
}

export class Refusals {
  readonly #emit: Emit
  readonly #told: ReportLimiter
  #untold = 0

  constructor(clock: Clock, emit: Emit) {
    this.#emit = emit
    this.#told = new ReportLimiter(clock)
  }

  /** @param key - refusals with one key are the same */
  tell(key: string, { peer, code, reason }: Refusal): void {
    if (!this.#told.isDue(key)) {
      this.#untold += 1
      return
    }
    const untold = this.#untold
    this.#untold = 0
    const more = untold === 0 ? '' : ` (and ${untold} more refusals since the last one told)`
    this.#emit('refused', { peer, code, reason: `${reason}${more}` })
  }
}
