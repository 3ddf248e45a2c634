/** The profiles of faults, from which a seed draws its schedule. */
import {
  backUp,
  failCalls,
  failedSync,
  flip,
  fullDisk,
  hang,
  replaceDisk,
  slowDisk,
  slowKinds,
} from './faults/disks.js'
import type { Fault } from './faults/fault.js'
import {
  closePort,
  cut,
  halfOpen,
  heal,
  isolate,
  isolateActive,
  lossy,
  narrow,
  reset,
  slow,
  unread,
} from './faults/links.js'
import {
  failSnapshot,
  freeze,
  kill,
  powerOff,
  start,
  stepWall,
  stop,
  switchover,
  takeOver,
} from './faults/machines.js'
import { addToStandby, editStopped } from './faults/outside.js'
import type { SeededRandom } from './machine/seeded-random.js'
import type { World } from './world.js'

/** The kinds of schedules. */
export const profileNames = [
  'calm',
  'single',
  'crashes',
  'disk',
  'network',
  'everything',
  'storage',
  'replaced',
  'outside',
  'narrow',
] as const
/**
 * `calm`: no faults; `single`: one fault at a time, with time to recover; the others are named
 * after what fails.
 */
export type ProfileName = (typeof profileNames)[number]

type Weighted = readonly [number, Fault]

const crashes: readonly Weighted[] = [
  [3, kill],
  [1, powerOff],
  [6, start],
  [2, stop],
  [3, switchover],
  [1, takeOver],
]
const disks: readonly Weighted[] = [
  [2, fullDisk],
  [1, failedSync],
  [2, slowDisk],
  [1, flip],
]
const links: readonly Weighted[] = [
  [2, cut],
  [1, isolate],
  [4, heal],
  [2, slow],
  [2, reset],
]
const pauses: readonly Weighted[] = [[2, freeze]]
const calls: readonly Weighted[] = [
  [2, slowKinds],
  [2, hang],
  [3, failCalls],
]
const narrows: readonly Weighted[] = [
  [2, lossy],
  [2, narrow],
  [2, halfOpen],
  [1, closePort],
  [2, unread],
]
const oddities: readonly Weighted[] = [
  [1, stepWall],
  [1, failSnapshot],
]

const profiles: Record<ProfileName, readonly Weighted[]> = {
  calm: [],
  single: [
    [3, kill],
    [2, powerOff],
    [2, stop],
    [2, switchover],
    [2, freeze],
    [2, isolateActive],
    [1, reset],
  ],
  crashes,
  disk: [...crashes, ...disks],
  network: [...links, [1, kill], [3, start], [1, switchover]],
  everything: [...crashes, ...disks, ...links, ...pauses, ...calls, ...narrows, ...oddities],
  storage: [...crashes, ...calls, ...calls, [1, fullDisk], [1, failedSync], [1, failSnapshot]],
  replaced: [...crashes, [5, backUp], [4, replaceDisk]],
  outside: [...crashes, [5, editStopped], [2, addToStandby], [1, stepWall]],
  narrow: [
    ...narrows,
    [1, cut],
    [2, heal],
    [1, reset],
    [1, kill],
    [2, start],
    ...pauses,
    [1, stepWall],
  ],
}

/** Injects one fault, drawn from the profile. */
export function fail(world: World, random: SeededRandom, profile: ProfileName): void {
  const faults = profiles[profile]
  const total = faults.reduce((sum, [weight]) => sum + weight, 0)
  let left = random.number() * total
  for (const [weight, fault] of faults) {
    left -= weight
    if (left >= 0) continue
    fault(world, random)
    return
  }
}
