import { randomBytes } from 'node:crypto'
import type { Clock, TimerHandle } from '../../src/interfaces/clock.js'
import type { Random } from '../../src/interfaces/random.js'
import type { OwnIdentity } from '../../src/protocol/identity.js'

/** Real time. */
export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, callback) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
}

export const realRandom: Random = {
  bytes: (count) => randomBytes(count),
  number: () => Math.random(),
}

/** The seeded generator mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const number = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    number,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(number() * 256)),
  }
}

/** A clock whose time passes only in `advance`. */
export class VirtualClock implements Clock {
  #nowMs = 0
  #count = 0
  readonly #timers = new Map<number, { atMs: number; callback: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const id = this.#count++
    this.#timers.set(id, { atMs: this.#nowMs + delayMs, callback })
    return id
  }

  clearTimer(timer: TimerHandle): void {
    this.#timers.delete(timer as number)
  }

  /** Advances time; promises settle between timers. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    for (;;) {
      await settle()
      let next: [number, { atMs: number; callback: () => void }] | undefined
      for (const entry of this.#timers) {
        if (entry[1].atMs <= endMs && (next === undefined || entry[1].atMs < next[1].atMs)) {
          next = entry
        }
      }
      if (next === undefined) break
      this.#timers.delete(next[0])
      this.#nowMs = Math.max(this.#nowMs, next[1].atMs)
      next[1].callback()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Resolves when all promises that need no timer have settled. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

export function identityOf(nodeId: string, more: Partial<OwnIdentity> = {}): OwnIdentity {
  return {
    nodeId,
    bootId: `${nodeId}-boot`,
    kind: 'member',
    cluster: 'test',
    libraryVersion: '0.1.0',
    features: [],
    fingerprints: {},
    ...more,
  }
}
