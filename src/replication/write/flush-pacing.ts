/**
 * Decides when the next flush runs: after everything that is ready to run now, so that callers
 * whose writes were acknowledged together share the next batch, and a lone write does not wait.
 * Where acknowledgements need no turn of the event loop, callers and flushes could keep each other
 * busy for ever, so after a number of flushes the next one waits for a new turn; otherwise
 * heartbeats and all other work would starve.
 */
import { nextTick } from 'node:process'

/**
 * Flushes in one turn of the event loop that acknowledged writes at once; further ones wait for the
 * next turn.
 */
const flushesPerTurnMax = 64

export class FlushPacing {
  readonly #run: () => void
  // A tick runs before pending microtasks when requested outside of a microtask, and after all of
  // them when requested inside one, so the tick is requested from a microtask.
  readonly #arm = (): void => nextTick(this.#run)
  readonly #newTurn = (): void => {
    this.#answered = 0
  }
  #scheduled = false
  #answered = 0

  /** @param flush - runs the next round of batches */
  constructor(flush: () => void) {
    this.#run = () => {
      this.#scheduled = false
      flush()
    }
  }

  /** Runs the flush soon, once. */
  schedule(): void {
    if (this.#scheduled) return
    if (this.#answered >= flushesPerTurnMax) {
      this.nextTurn()
      return
    }
    this.#scheduled = true
    queueMicrotask(this.#arm)
  }

  /** Runs the flush in the next turn of the event loop. */
  nextTurn(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  /** A flush acknowledged writes at once, so their callers may write again in the same turn. */
  answeredAtOnce(): void {
    this.#answered += 1
    if (this.#answered === 1) setImmediate(this.#newTurn)
  }
}
