/** What all kinds of faults share. */
import type { SeededRandom } from '../machine/seeded-random.js'
import type { World } from '../world.js'

/** One kind of fault; it does nothing when the world does not allow it. */
export type Fault = (world: World, random: SeededRandom) => void

export const member = (world: World, random: SeededRandom): string => random.pick(world.members).id

export function two(world: World, random: SeededRandom): [string, string] | undefined {
  const [one, other] = [member(world, random), member(world, random)]
  return one === other ? undefined : [one, other]
}

/** A random member, with a preference for the active. */
export function victim(world: World, random: SeededRandom): string {
  const actives = world.actives()
  return actives.length > 0 && random.chance(0.5) ? random.pick(actives) : member(world, random)
}
