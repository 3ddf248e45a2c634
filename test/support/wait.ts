/** Waiting for what must become true, instead of sleeping and hoping. */
import { setTimeout as sleep } from 'node:timers/promises'

const pauseMs = 10
export const patienceMs = 20_000

/**
 * Tries until `attempt` gives something else than undefined or false; what it throws counts as not
 * yet.
 *
 * @throws when it takes too long, saying what was waited for and what was thrown last
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
 * Watches for a stretch of time that something stays true: for what must *not* happen.
 *
 * @throws as soon as it does
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
