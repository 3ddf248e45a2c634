/** Seeded random schedules: `CORE_SEED=S [CORE_SEEDS=N]` replays. */
import type { World } from './world.js'

/** A number from 0 up to, and without, `below`. */
export type Random = (below: number) => number

/** A small seeded generator: the seed is in every failure, and replays it. */
export function generator(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export function seeds(count: number): number[] {
  const first = Number(process.env.CORE_SEED ?? 1)
  const wanted = process.env.CORE_SEED === undefined ? count : Number(process.env.CORE_SEEDS ?? 1)
  return Array.from({ length: wanted }, (_, at) => first + at)
}

export function withSeed(seed: number, world: World, run: () => void): void {
  try {
    run()
  } catch (cause) {
    const tail = world.said.slice(-60).map((said) => `${said.atMs} ${said.node} ${said.what}`)
    throw new Error(`CORE_SEED=${seed}\n${tail.join('\n')}\n${world.describe()}`, { cause })
  }
}
