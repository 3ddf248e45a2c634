// Which seed of the simulator notices a mutant. A violation counts only when the same seed has none without the mutant.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('seed-runner.mjs', import.meta.url))

/** A seed that takes longer than this does not end. */
const seedMs = 120_000

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

export class Seeds {
  #first
  #count
  #soundWorkshop
  /** What a seed finds without any mutant. */
  #baseline = new Map()
  #sound
  #turn = Promise.resolve()

  /** @param {import('./workshop.mjs').Workshop} sound - one without a mutant */
  constructor(first, count, sound) {
    this.#soundWorkshop = sound
    this.#first = first
    this.#count = count
  }

  close() {
    this.#sound?.end()
  }

  /** The first seed that notices, or undefined. */
  async firstNoticed(workshop, { id, profiles = [] }) {
    let runner = new SeedRunner(workshop.simulator)
    try {
      for (let at = 0; at < this.#count; at += 1) {
        const seed = this.#first + at
        const profile = profiles.length === 0 ? undefined : profiles[at % profiles.length]
        const checker = await runner.run({ seed, profile })
        if (checker !== undefined) {
          if ((await this.#withoutMutant({ seed, profile })) === undefined) {
            return { seed, profile, checker, tried: at + 1 }
          }
          process.stdout.write(`${id}: seed ${seed} (${profile ?? 'any'}) fails without it, too\n`)
          runner.end()
          runner = new SeedRunner(workshop.simulator)
        }
        if (at % 100 === 99) process.stdout.write(`${id}: ${at + 1} seeds\n`)
      }
      return undefined
    } finally {
      runner.end()
    }
  }

  /** One at a time: it is asked for seldom. */
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
