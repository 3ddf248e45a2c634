/** What all kinds of faults are made of. */
import type { SeededRandom } from '../machine/seeded-random.js'
import type { World } from '../world.js'

/** One kind of fault; it does nothing where it does not fit. */
export type Fault = (world: World, random: SeededRandom) => void

export const member = (world: World, random: SeededRandom): string => random.pick(world.members).id

export function two(world: World, random: SeededRandom): [string, string] | undefined {
  const [one, other] = [member(world, random), member(world, random)]
  return one === other ? undefined : [one, other]
}

/** More often the active than chance would have it. */
export function victim(world: World, random: SeededRandom): string {
  const actives = world.actives()
  return actives.length > 0 && random.chance(0.5) ? random.pick(actives) : member(world, random)
}
