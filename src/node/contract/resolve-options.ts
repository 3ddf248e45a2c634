/** Checks the options of a node and fills in the defaults. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import { checkGiven, checkOptions } from './option-checks.js'
import { type Classes, type ClusterNodeOptions, type NodeOptions, nodeDefaults } from './options.js'

/** The clocks of the machine. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, callback) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
}

/** The randomness of the machine. */
export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  number: () => randomBytes(4).readUInt32LE(0) / 2 ** 32,
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws `OPTION_INVALID` naming the option and its value
 */
export function resolveOptions<C extends Classes>(given: ClusterNodeOptions<C>): NodeOptions<C> {
  checkGiven(given)
  const deadMs = given.deadMs ?? nodeDefaults.deadMs
  const options: NodeOptions<C> = {
    ...nodeDefaults,
    degradeAfterMs: deadMs,
    clock: systemClock,
    random: systemRandom,
    ...withoutUndefined(given),
  }
  checkOptions(options)
  return options
}

function withoutUndefined<T extends object>(value: T): T {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(entries) as T
}
