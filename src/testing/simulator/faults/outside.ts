/** Changes to the files of a node by other programs and by people. */

import type { Machine } from '../machine/machine.js'
import type { SeededRandom } from '../machine/seeded-random.js'
import { isSyncedPath } from '../observed/content.js'
import type { World } from '../world.js'
import type { Fault } from './fault.js'
import { member } from './fault.js'

/** Edits, adds and removes files of a node that does not run, whether it was stopped or killed. */
export const editStopped: Fault = (world, random) => {
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  if (idle.length > 0) edit(world, random.pick(idle), random)
}

/** Adds files to a running standby. They are found only by its next start, which follows soon. */
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
    // Files named `whole` are left alone, because reads of them are compared with the writes.
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

/** A changed content, of another size or of the same size. */
function changed(before: Uint8Array | undefined, random: SeededRandom): Uint8Array {
  const more = random.bytes(random.between(1, 60))
  if (before === undefined || random.chance(0.3)) return more
  const bytes = before.slice()
  bytes.set(more.subarray(0, bytes.length))
  return bytes
}
