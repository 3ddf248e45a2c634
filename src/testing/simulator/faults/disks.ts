/** What goes wrong with disks. */

import { segmentName } from '../../../copy/journal/format.js'
import { HotspareError } from '../../../errors.js'
import { storageFailed } from '../../../storage/failure.js'
import type { MemoryFailure, MemoryOperation } from '../../../storage/memory.js'
import type { Machine } from '../machine/machine.js'
import type { World } from '../world.js'
import type { Fault } from './fault.js'
import { member, victim } from './fault.js'

export const fullDisk: Fault = (world, random) => {
  const id = member(world, random)
  const { storage, process } = world.machine(id)
  if (process?.node.role === 'active' && random.chance(0.8)) return
  world.timeline.add(world.nowMs, id, 'diskFull')
  storage.faults.full = true
  world.later(random.between(500, 6_000), () => {
    storage.faults.full = false
  })
}

export const failedSync: Fault = (world, random) => {
  world.failSync(member(world, random))
}

export const slowDisk: Fault = (world, random) => {
  const id = member(world, random)
  const latencyMs = random.between(10, 4_000)
  world.timeline.add(world.nowMs, id, 'slowDisk', latencyMs)
  slowCalls(world, id, random.between(500, 6_000), (operation) =>
    operation === 'log.append' ? latencyMs : 1,
  )
}

/** Some kinds of calls take long, or all of them. */
export const slowKinds: Fault = (world, random) => {
  const id = victim(world, random)
  const [kind, latencyMs] = [random.pick(kinds), random.between(5, 1_500)]
  world.timeline.add(world.nowMs, id, 'slowCalls', { kind, latencyMs })
  slowCalls(world, id, random.between(500, 6_000), (operation) =>
    operation.startsWith(kind) ? latencyMs : 0,
  )
}

/** Some kinds of calls, or all of them, do not come back before the fault is over. */
export const hang: Fault = (world, random) => {
  const id = victim(world, random)
  const [kind, forMs] = [random.pick(kinds), random.between(500, 8_000)]
  const untilMs = world.nowMs + forMs
  world.timeline.add(world.nowMs, id, 'hang', { kind, forMs })
  // A call that hangs then comes back no sooner, although the fault may be ended before.
  world.machine(id).hangsUntilMs = untilMs
  slowCalls(world, id, forMs, (operation) =>
    operation.startsWith(kind) ? untilMs - world.nowMs : 0,
  )
}

/** The first letters of calls that a fault is about. */
const kinds = ['', 'log', 'documents', 'objects', 'tree', 'tree.apply', 'tree.sync', 'tree.read']

function slowCalls(
  world: World,
  id: string,
  forMs: number,
  latency: (operation: MemoryOperation) => number,
): void {
  world.disturbances += 1
  world.endsAfter(forMs, world.machine(id).slow(latency))
}

/** The next calls of some kind fail: whole or torn, for good or for want of room. */
export const failCalls: Fault = (world, random) => {
  const id = victim(world, random)
  const { faults } = world.machine(id).storage
  const [kind, isFull, isTorn] = [random.pick(kinds), random.chance(0.3), random.chance(0.5)]
  let left = random.between(1, 3)
  const torn = random.fork()
  world.timeline.add(world.nowMs, id, 'failCalls', { kind, left, isFull, isTorn })
  const failure = (operation: MemoryOperation): MemoryFailure | undefined => {
    if (left === 0 || !operation.startsWith(kind)) return undefined
    left -= 1
    world.timeline.count(isTorn ? 'torn call' : 'failed call')
    const error = isFull
      ? new HotspareError('STORAGE_FULL', `there is no room for ${operation}`)
      : storageFailed(`${operation} fails, as the schedule wants it`)
    return isTorn ? { error, torn } : { error }
  }
  faults.failure = failure
  world.endsAfter(random.between(500, 6_000), () => {
    if (faults.failure === failure) faults.failure = undefined
  })
}

/** A backup of the disk, which may be put back later. */
export const backUp: Fault = (world, random) => {
  const { id, images, storage } = world.machine(member(world, random))
  world.timeline.add(world.nowMs, id, 'backUp')
  images.push({ image: storage.image(), atMs: world.nowMs })
  if (images.length > 3) images.shift()
}

/**
 * The machine comes back with an empty disk, or with an older state of it: once in a while, since
 * each is a loss.
 */
export const replaceDisk: Fault = (world, random) => {
  // Where a member lacks a class, the only copy of that class may be on the other disk.
  if (world.replacedInPhase || world.differs) return
  const machine = world.machine(victim(world, random))
  world.replacedInPhase = true
  const { images } = machine
  const backup = images.length > 0 && random.chance(0.7) ? random.pick(images) : undefined
  world.replaceDisk(machine.id, backup?.image, backup?.atMs)
  // Somebody may forget it.
  machine.joins = backup === undefined && random.chance(0.75)
  world.later(random.between(100, 5_000), () => restart(world, machine))
}

function restart(world: World, machine: Machine): void {
  world.powerOn(machine.id)
  if (machine.process === undefined) world.start(machine.id)
}

/**
 * A bit of a stopped node's journal turns over, while an active has the same data on a disk without
 * damage.
 */
export const flip: Fault = (world, random) => {
  // Where a member lacks a class, the only copy of that class may be on the disk that is damaged.
  if (world.differs) return
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  const machine = idle[0]
  // A damage that nobody has read yet is one all the same.
  const isSafe = world.actives().some((id) => !world.machine(id).damaged)
  if (machine === undefined || !isSafe) return
  for (const name of segmentNames(world.writes.length)) {
    if (!machine.storage.flipBit({ kind: 'log', area: 'journal', name }, random)) continue
    world.timeline.add(world.nowMs, machine.id, 'flip', name)
    world.excuse('damage', machine.id)
    machine.damaged = true
    return
  }
}

/**
 * Every name that a first or second segment may have: nobody lists the logs of a storage that is
 * closed.
 */
function* segmentNames(changes: number): Generator<string> {
  for (let number = 1; number <= 2; number += 1) {
    for (let seq = 1; seq <= changes + 1; seq += 1) yield segmentName(seq, number)
  }
}
