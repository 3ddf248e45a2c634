/** Waits for conditions, instead of sleeping for a fixed time. */
import { setTimeout as sleep } from 'node:timers/promises'

const pauseMs = 10
export const patienceMs = 20_000

/**
 * Calls `attempt` until it answers something other than undefined or false; an error that it throws
 * counts as not yet.
 *
 * @throws when it takes too long, with the name of the condition and the last error
 */
export async function retryUntil<T>(
  what: string,
  attempt: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs: number = patienceMs,
): Promise<T> {
  const endMs = performance.now() + limitMs
  let last: unknown
  while (performance.now() < endMs) {
    try {
      const found = await attempt()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      last = error
    }
    await sleep(pauseMs)
  }
  const message = `waited ${limitMs} ms for ${what}`
  throw last === undefined ? new Error(message) : new Error(message, { cause: last })
}

/**
 * Checks for a while that a condition stays true, to show that something does not happen.
 *
 * @throws as soon as it is false
 */
export async function staysTrue(
  what: string,
  holds: () => boolean | Promise<boolean>,
  forMs: number,
): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    if (!(await holds())) throw new Error(`it did not stay true that ${what}`)
    await sleep(pauseMs)
  }
}
