// Finds the seed of the simulator that notices a mutant. A violation counts only when the same seed
// has none without the mutant.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('seed-runner.mjs', import.meta.url))

/** Time limit of one seed; a longer one counts as endless. */
const seedMs = 120_000

/** Processes that end with this one. */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A process that runs seeds one after the other. */
class SeedRunner {
  #child
  #answer

  /** @param {string} simulator - the module that has `simulate` */
  constructor(simulator) {
    this.#child = fork(runner, [simulator], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: ['--max-semi-space-size=64'],
    })
    running.add(this.#child)
    this.#child.on('exit', () => running.delete(this.#child))
    this.#child.on('message', (found) => this.#done(found))
    this.#child.on('exit', (code, signal) => this.#done(`the process ended (${code ?? signal})`))
    this.#child.on('error', (error) => this.#done(String(error)))
  }

  #done(found) {
    const answer = this.#answer
    this.#answer = undefined
    answer?.(found)
  }

  /** The name of a checker that complains, or what else went wrong; undefined when nothing did. */
  run(task) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#done('it does not end'), seedMs)
      this.#answer = (found) => {
        clearTimeout(timer)
        resolve(found ?? undefined)
      }
      this.#child.send(task, (error) => {
        if (error) this.#done(String(error))
      })
    })
  }

  end() {
    this.#child.kill('SIGKILL')
  }
}

/**
 * Which of its profiles a mutant gets next: every second seed is of the first, which is likely to
 * notice; the others share the rest. Undefined: the seed decides.
 */
function profileAt(profiles, at) {
  if (profiles.length < 2 || at % 2 === 0) return profiles[0]
  return profiles[1 + (((at - 1) / 2) % (profiles.length - 1))]
}

export class Seeds {
  /** Seeds for each mutant. */
  count
  #first
  #untilMs
  #soundWorkshop
  /** The violation that a seed finds without a mutant. */
  #baseline = new Map()
  #sound
  #turn = Promise.resolve()

  /**
   * @param {object} options
   * @param {number} options.first
   * @param {number} options.count
   * @param {import('./workshop.mjs').Workshop} options.sound - one without a mutant
   * @param {number} options.untilMs - by `performance.now()`
   */
  constructor({ first, count, sound, untilMs }) {
    this.#soundWorkshop = sound
    this.#first = first
    this.#untilMs = untilMs
    this.count = count
  }

  close() {
    this.#sound?.end()
  }

  /**
   * Gives a mutant its next seeds, until one of them notices.
   *
   * @param {import('./trials.mjs').Trial} trial
   */
  async goOn(trial, workshop, atMost) {
    const { id, profiles = [] } = trial.mutant
    const end = Math.min(this.count, trial.tried + atMost)
    let runner = new SeedRunner(workshop.simulator)
    try {
      while (trial.tried < end && performance.now() < this.#untilMs) {
        const seed = this.#first + trial.tried
        const profile = profileAt(profiles, trial.tried)
        trial.tried += 1
        const checker = await runner.run({ seed, profile })
        if (checker === undefined) continue
        if ((await this.#withoutMutant({ seed, profile })) === undefined) {
          trial.simulator = { seed, profile, checker }
          return
        }
        process.stdout.write(`${id}: seed ${seed} (${profile ?? 'any'}) fails without it, too\n`)
        runner.end()
        runner = new SeedRunner(workshop.simulator)
      }
    } finally {
      runner.end()
    }
  }

  /** Runs one at a time, because it is needed rarely. */
  #withoutMutant(task) {
    const key = `${task.profile} ${task.seed}`
    this.#turn = this.#turn.then(async () => {
      if (this.#baseline.has(key)) return
      this.#sound ??= new SeedRunner(this.#soundWorkshop.simulator)
      this.#baseline.set(key, await this.#sound.run(task))
      if (this.#baseline.get(key) === undefined) return
      this.#sound.end()
      this.#sound = undefined
    })
    return this.#turn.then(() => this.#baseline.get(key))
  }
}
