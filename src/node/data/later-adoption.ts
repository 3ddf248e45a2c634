/**
 * Continues, while a node is active, with the outside changes that it could not adopt before: there
 * were too many, the vault was full, or a file could not be read. Until then such a file stays as
 * it was found, and cannot be read through the library.
 */

import { isNothing } from '../../copy/files/tree-scan.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { AdoptionResult } from './adoption.js'

export interface LaterAdoptionOptions {
  readonly clock: Clock
  /**
   * Makes one attempt.
   *
   * @throws when the role is lost or in doubt, or the storage failed
   */
  adopt(left: OutsideReport): Promise<AdoptionResult>
  /** Some changes were adopted. */
  adopted(result: AdoptionResult): void
}

/** Pause after an attempt that adopted something, in milliseconds. */
const progressMs = 100
/** Pause after an attempt that adopted nothing, in milliseconds. */
const vainMs = 30_000

export class LaterAdoption {
  readonly #options: LaterAdoptionOptions
  #timer: TimerHandle | undefined
  /** Identifies the present series of attempts; undefined when there is none. */
  #turn: object | undefined

  constructor(options: LaterAdoptionOptions) {
    this.#options = options
  }

  begin(left: OutsideReport): void {
    this.end()
    const turn = {}
    this.#turn = turn
    this.#wait(turn, left, progressMs)
  }

  /** Ends the attempts, because the role is lost. */
  end(): void {
    this.#turn = undefined
    if (this.#timer !== undefined) this.#options.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  #wait(turn: object, left: OutsideReport, delayMs: number): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.#try(turn, left))
  }

  async #try(turn: object, left: OutsideReport): Promise<void> {
    let next = left
    let delayMs = vainMs
    try {
      const result = await this.#options.adopt(left)
      next = result.left
      if (!isNothing(result.adopted)) {
        delayMs = progressMs
        this.#options.adopted(result)
      }
    } catch {
      // After the loss of the role nothing more is adopted; other failures are tried again.
    }
    if (this.#turn === turn && !isNothing(next)) this.#wait(turn, next, delayMs)
  }
}
