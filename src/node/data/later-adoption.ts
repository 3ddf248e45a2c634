/**
 * Goes on with what a node could not adopt before it became active: there was too much of it, the
 * vault was full, a file could not be read. Until then such a file is as it was found, and cannot
 * be read through the library.
 */

import { isNothing } from '../../copy/files/tree-scan.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { AdoptionResult } from './adoption.js'

export interface LaterAdoptionOptions {
  readonly clock: Clock
  /** Tries once. @throws when the role is lost, or in doubt, or the storage failed */
  adopt(left: OutsideReport): Promise<AdoptionResult>
  /** Some of it was adopted. */
  adopted(result: AdoptionResult): void
}

/** Pause after an attempt that adopted something, in milliseconds. */
const progressMs = 100
/** Pause after an attempt that adopted nothing, in milliseconds. */
const vainMs = 30_000

export class LaterAdoption {
  readonly #options: LaterAdoptionOptions
  #timer: TimerHandle | undefined
  /** What the attempts are for; another one, or none, when they are over. */
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

  /** The role is lost. */
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
      // Whoever lost the role adopts nothing more; all else is tried again.
    }
    if (this.#turn === turn && !isNothing(next)) this.#wait(turn, next, delayMs)
  }
}
