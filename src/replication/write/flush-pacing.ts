/**
 * When the next flush runs: behind everything that is ready to run now, so that all callers who
 * were answered together are in the next batch together, and a lone write waits for nobody. Where
 * acknowledgements need no turn of the event loop, callers and flushes could go on for ever among
 * themselves; then it takes a turn now and then, for the sake of heartbeats and everybody else.
 */
import { nextTick } from 'node:process'

/**
 * Flushes in one turn of the event loop that answered somebody at once; further ones wait for the
 * next turn.
 */
const flushesPerTurnMax = 64

export class FlushPacing {
  readonly #run: () => void
  // A tick runs before pending microtasks when it is asked for outside of one, and after all of
  // them when it is asked for inside of one: hence both.
  readonly #arm = (): void => nextTick(this.#run)
  readonly #newTurn = (): void => {
    this.#answered = 0
  }
  #scheduled = false
  #answered = 0

  /** @param flush - what is to run */
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

  /** A flush answered somebody at once, who may be back at once. */
  answeredAtOnce(): void {
    this.#answered += 1
    if (this.#answered === 1) setImmediate(this.#newTurn)
  }
}
