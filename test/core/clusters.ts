/** Ready clusters for tests. */
import { World } from './world.js'
import type { WorldOptions } from './world-types.js'

export function names(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `n${at + 1}`)
}

/**
 * All nodes run, the first is active, the others are standbys in sync, and five writes were made.
 */
export function settled(count: number, options: WorldOptions = {}): World {
  const ids = options.members?.map((member) => member.id) ?? names(count)
  const world = new World(ids, options)
  for (const id of ids) world.start(id)
  world.until(
    () => ids.every((id) => world.role(id) === (id === ids[0] ? 'active' : 'standby')),
    20_000,
    'one active, the others standbys',
  )
  for (let writes = 0; writes < 5; writes += 1) world.write(ids[0] ?? '')
  world.run(1_000)
  world.said = []
  return world
}

export function cutOff(world: World, id: string): void {
  for (const { id: other } of world.members) if (other !== id) world.cutLink(id, other)
}

export function healAll(world: World): void {
  world.cuts.clear()
}
