/** Faults of disks. */

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

/** Some kinds of calls, or all calls, are slow. */
export const slowKinds: Fault = (world, random) => {
  const id = victim(world, random)
  const [kind, latencyMs] = [random.pick(kinds), random.between(5, 1_500)]
  world.timeline.add(world.nowMs, id, 'slowCalls', { kind, latencyMs })
  slowCalls(world, id, random.between(500, 6_000), (operation) =>
    operation.startsWith(kind) ? latencyMs : 0,
  )
}

/** Some kinds of calls, or all calls, hang until the end of the fault. */
export const hang: Fault = (world, random) => {
  const id = victim(world, random)
  const [kind, forMs] = [random.pick(kinds), random.between(500, 8_000)]
  const untilMs = world.nowMs + forMs
  world.timeline.add(world.nowMs, id, 'hang', { kind, forMs })
  // A call that hangs returns no sooner even if the fault is ended early.
  world.machine(id).hangsUntilMs = untilMs
  slowCalls(world, id, forMs, (operation) =>
    operation.startsWith(kind) ? untilMs - world.nowMs : 0,
  )
}

/** Prefixes of the names of the calls that a fault affects. */
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

/**
 * The next calls of some kind fail: completely or after a part was written, with a disk error or
 * for lack of space.
 */
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

/** Takes a backup of the disk, which may be restored later. */
export const backUp: Fault = (world, random) => {
  const { id, images, storage } = world.machine(member(world, random))
  world.timeline.add(world.nowMs, id, 'backUp')
  images.push({ image: storage.image(), atMs: world.nowMs })
  if (images.length > 3) images.shift()
}

/**
 * The machine restarts with an empty disk or from a backup; at most once in a phase, because each
 * is a loss.
 */
export const replaceDisk: Fault = (world, random) => {
  // When a member lacks a class, the only copy of that class may be on this disk.
  if (world.replacedInPhase || world.differs) return
  const machine = world.machine(victim(world, random))
  world.replacedInPhase = true
  const { images } = machine
  const backup = images.length > 0 && random.chance(0.7) ? random.pick(images) : undefined
  world.replaceDisk(machine.id, backup?.image, backup?.atMs)
  // The operator sometimes forgets `join`.
  machine.joins = backup === undefined && random.chance(0.75)
  world.later(random.between(100, 5_000), () => restart(world, machine))
}

function restart(world: World, machine: Machine): void {
  world.powerOn(machine.id)
  if (machine.process === undefined) world.start(machine.id)
}

/**
 * A bit of a stopped node's journal is flipped, while an active has the data on an undamaged disk.
 */
export const flip: Fault = (world, random) => {
  // When a member lacks a class, the only copy of that class may be on the damaged disk.
  if (world.differs) return
  const idle = [...world.machines.values()].filter(
    ({ process, off }) => process === undefined && !off,
  )
  const machine = idle[0]
  // Damage that was not noticed yet counts as well.
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
 * All names that the first or second segment may have, because the logs of a closed storage cannot
 * be listed.
 */
function* segmentNames(changes: number): Generator<string> {
  for (let number = 1; number <= 2; number += 1) {
    for (let seq = 1; seq <= changes + 1; seq += 1) yield segmentName(seq, number)
  }
}
