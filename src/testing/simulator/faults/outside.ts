/** Other programs, and people, that touch the files of a node. */

import type { Machine } from '../machine/machine.js'
import type { SeededRandom } from '../machine/seeded-random.js'
import { isSyncedPath } from '../observed/content.js'
import type { World } from '../world.js'
import type { Fault } from './fault.js'
import { member } from './fault.js'

/**
 * Files of a node that does not run are edited, added and removed, whether it stopped in order or
 * died.
 */
export const editStopped: Fault = (world, random) => {
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  if (idle.length > 0) edit(world, random.pick(idle), random)
}

/**
 * Files are added to a standby that runs. Nobody looks before its next start, which follows soon.
 */
export const addToStandby: Fault = (world, random) => {
  const machine = world.machine(member(world, random))
  const { process } = machine
  if (process?.node.role !== 'standby') return
  add(world, machine, random)
  world.endsAfter(random.between(100, 3_000), () => {
    if (machine.process === process && process.started === 'started') void world.stop(machine.id)
  })
}

function add(world: World, { id, storage }: Machine, random: SeededRandom): void {
  const path = `data/added${random.below(3)}`
  world.timeline.add(world.nowMs, id, 'outside add', path)
  world.timeline.count('outside add')
  storage.outside.write(path, changed(storage.outside.read(path), random))
}

function edit(world: World, machine: Machine, random: SeededRandom): void {
  const { outside } = machine.storage
  for (let count = random.between(1, 4); count > 0; count -= 1) {
    // Reads of those are compared with what was written.
    const known = outside.list().filter((path) => isSyncedPath(path) && !path.includes('whole'))
    if (known.length === 0 || random.chance(0.25)) {
      add(world, machine, random)
      continue
    }
    const path = random.pick(known)
    const what = random.chance(0.3) ? 'outside remove' : 'outside edit'
    world.timeline.add(world.nowMs, machine.id, what, path)
    world.timeline.count(what)
    if (what === 'outside remove') outside.remove(path)
    else outside.write(path, changed(outside.read(path), random))
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
