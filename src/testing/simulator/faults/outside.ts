/** Other programs, and people, that touch the files of a node. */
import { isSyncedPath } from '../content.js'
import type { Machine } from '../machine.js'
import type { SeededRandom } from '../seeded-random.js'
import type { World } from '../world.js'
import type { Fault } from './fault.js'
import { member } from './fault.js'

/**
 * Files of a node that stopped in order are edited, added and removed. What happens to those of a node that crashed
 * cannot be told from what it was doing to them itself.
 */
export const editStopped: Fault = (world, random) => {
  const idle = [...world.machines.values()].filter(
    ({ process, stoppedInOrder }) => process === undefined && stoppedInOrder,
  )
  if (idle.length > 0) edit(world, random.pick(idle), random)
}

/** The same to a standby that runs. Nobody looks before its next start, which follows soon. */
export const editStandby: Fault = (world, random) => {
  const machine = world.machine(member(world, random))
  const { process } = machine
  if (process?.node.role !== 'standby') return
  edit(world, machine, random)
  world.endsAfter(random.between(100, 3_000), () => {
    if (machine.process === process && process.started === 'started') void world.stop(machine.id)
  })
}

function edit(world: World, machine: Machine, random: SeededRandom): void {
  const { outside } = machine.storage
  for (let count = random.between(1, 4); count > 0; count -= 1) {
    // Reads of those are compared with what was written.
    const known = outside.list().filter((path) => isSyncedPath(path) && !path.includes('whole'))
    const roll = random.number()
    const path =
      roll < 0.25 || known.length === 0 ? `data/added${random.below(3)}` : random.pick(known)
    const before = outside.read(path)
    const what =
      roll > 0.75 ? 'outside remove' : before === undefined ? 'outside add' : 'outside edit'
    world.timeline.add(world.nowMs, machine.id, what, path)
    world.timeline.count(what)
    if (roll > 0.75) outside.remove(path)
    else outside.write(path, changed(before, random))
  }
}

/** As an editor leaves it: of another size, or of the same. */
function changed(before: Uint8Array | undefined, random: SeededRandom): Uint8Array {
  const more = random.bytes(random.between(1, 60))
  if (before === undefined || random.chance(0.3)) return more
  const bytes = before.slice()
  bytes.set(more.subarray(0, bytes.length))
  return bytes
}
