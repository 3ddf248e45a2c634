// Tries whether each mutant is noticed. All mutants get some seeds before any gets more, so that a
// limited time is spent where it is most useful.
import { failingTests } from './unit-tests.mjs'
import { Workshop } from './workshop.mjs'

/** Seeds for a mutant in one turn. */
const seedsAtOnce = 30

/**
 * @typedef {object} Trial
 * @property {import('./patch.mjs').Mutant} mutant
 * @property {number} tried - seeds that the simulator had
 * @property {{ seed: number, profile?: string, checker: string } | undefined} simulator - the one
 *   that noticed
 * @property {string | undefined} tests - the file whose tests noticed
 * @property {boolean} tested - whether its tests had their turn
 * @property {boolean} ended - whether all was done that was to be done
 * @property {number} ms - how long that took
 */

/** @returns {Trial} */
const begun = (mutant) => ({
  mutant,
  tried: 0,
  simulator: undefined,
  tests: undefined,
  tested: false,
  ended: false,
  ms: 0,
})

export class Trials {
  /** In the order of the list. */
  all
  #queue
  #options
  #underWay = 0

  constructor(mutants, options) {
    this.all = mutants.map(begun)
    this.#queue = [...this.all]
    this.#options = options
  }

  /** Runs trials until none is left, or the time is over. */
  async work() {
    const workshop = await Workshop.open()
    try {
      for (let trial = this.#next(); trial !== undefined; trial = this.#next()) {
        this.#underWay += 1
        await this.#goOn(trial, workshop).finally(() => {
          this.#underWay -= 1
        })
        if (trial.ended) this.#options.judged(trial, this.#queue.length + this.#underWay)
        else this.#queue.push(trial)
      }
    } finally {
      await workshop.close()
    }
  }

  #next() {
    return performance.now() < this.#options.untilMs ? this.#queue.shift() : undefined
  }

  async #goOn(trial, workshop) {
    const { seeds, sound, tests, allTests, untilMs } = this.#options
    const { mutant } = trial
    const beganMs = performance.now()
    await workshop.apply(mutant)
    try {
      await seeds.goOn(trial, workshop, seedsAtOnce)
      const wantsTests = tests && !trial.tested && (allTests || trial.simulator === undefined)
      if (wantsTests && performance.now() < untilMs) {
        trial.tests = await failingTests(workshop, mutant.tests ?? [], sound)
        trial.tested = true
      }
      const hadAll = trial.tried >= seeds.count && (trial.tested || !tests)
      trial.ended = trial.simulator !== undefined || hadAll
    } finally {
      await workshop.restore()
      trial.ms += performance.now() - beganMs
    }
  }
}
