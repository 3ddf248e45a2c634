/**
 * Promise 4, flow control: a standby that is alive and reachable gets in sync within a time that
 * follows from the amount of data and the narrowest link, however much is written meanwhile; and
 * writers are not paced while no standby lags.
 */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Process } from '../machine/machine.js'
import { Calm } from '../observed/calm.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/** Time for everything but the transfer: discovery, an attempt that a fault ended, a pause. */
const restMs = 15_000
/**
 * The factor by which a transfer may take longer, because the stream with new writes shares the
 * link.
 */
const shares = 4
/** The lowest rate of the simulator's disks while they have no fault, in bytes a second. */
const diskBytesPerSecond = 500_000
/**
 * How long pacing may outlast its reason, as a multiple of `degradeAfterMs`: it stays for 5 for a
 * standby that went away, and then needs up to 6 to grow from its lowest rate until it delays
 * nothing.
 */
const releaseTimes = 11

/** Since when an active has been in a state that should soon end. */
interface Watched {
  lackingSinceMs: number | undefined
  pacedSinceMs: number | undefined
}

class Flow implements Checker {
  readonly name = 'flow'
  readonly #world: World
  readonly #report: Report
  readonly #calm: Calm
  /** By active and standby: until when the standby has to stay out of the set. */
  readonly #outUntilMs = new Map<string, number>()
  readonly #watched = new Map<Process, Watched>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
    this.#calm = new Calm(world, { narrowIsSound: true })
  }

  observe(process: Process, status: NodeStatus): void {
    this.#calm.look()
    if (status.role !== 'active') {
      this.#watched.delete(process)
      return
    }
    const watched = this.#watched.get(process) ?? {
      lackingSinceMs: undefined,
      pacedSinceMs: undefined,
    }
    this.#watched.set(process, watched)
    this.#lacking(process, status, watched)
    this.#paced(process, status, watched)
  }

  /** The active reports for how long a standby that was too slow has to stay out. */
  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'standbyLost') return
    const { peer, reason } = event as { readonly peer: string; readonly reason: string }
    const outMs = Number(/stays out for (\d+) ms/.exec(reason)?.[1] ?? 0)
    this.#outUntilMs.set(`${process.id} ${peer}`, this.#world.nowMs + outMs)
  }

  ending(process: Process): void {
    this.#watched.delete(process)
  }

  /** Reports an active without a standby in sync although one has been sound for long enough. */
  #lacking(process: Process, status: NodeStatus, watched: Watched): void {
    const { nowMs } = this.#world
    const soundMs = status.inSync.some((id) => id !== process.id)
      ? 0
      : this.#soundMs(process, status)
    if (soundMs === 0) {
      watched.lackingSinceMs = undefined
      return
    }
    watched.lackingSinceMs ??= nowMs
    const forMs = Math.min(soundMs, nowMs - watched.lackingSinceMs)
    const boundMs = this.#boundMs(process, status)
    if (forMs <= boundMs) return
    this.#report(
      `nobody is in sync with ${process.id} for ${Math.round(forMs)} ms, although one that nothing is wrong with should be within ${Math.round(boundMs)} ms`,
    )
    watched.lackingSinceMs = undefined
  }

  /** How long the standby that has been sound the longest has been so; 0 when there is none. */
  #soundMs({ id }: Process, { peers }: NodeStatus): number {
    let longestMs = 0
    for (const member of this.#world.members) {
      if (member.id === id || member.observer === true) continue
      const other = this.#world.machine(member.id).process?.node.status()
      const isHeard = peers.some((peer) => peer.id === member.id && peer.heard)
      // A standby that is stuck waits for something that it reports.
      if (!isHeard || other?.active !== id || other.stuck !== undefined) continue
      const outUntilMs = this.#outUntilMs.get(`${id} ${member.id}`) ?? 0
      const sinceMs = Math.max(outUntilMs, this.#calm.troubledMs(id, member.id))
      const soundMs = Math.max(0, this.#world.nowMs - sinceMs)
      longestMs = Math.max(longestMs, soundMs)
    }
    return longestMs
  }

  #boundMs({ copy, choices }: Process, { options }: NodeStatus): number {
    const { restoreBytesPerSecondMax = Number.POSITIVE_INFINITY } = choices
    const slowest = Math.min(
      this.#world.links.narrowest,
      restoreBytesPerSecondMax,
      diskBytesPerSecond,
    )
    const transferMs = (shares * (copy?.contentBytes ?? 0) * 1000) / slowest
    return transferMs + 4 * options.degradeAfterMs + 2 * options.deadMs + restMs
  }

  #paced(process: Process, { pace, options, peers }: NodeStatus, watched: Watched): void {
    const lags = peers.some(({ lag }) => (lag?.ms ?? 0) > options.degradeAfterMs / 8)
    if (pace === undefined || lags) {
      watched.pacedSinceMs = undefined
      return
    }
    const { nowMs } = this.#world
    watched.pacedSinceMs ??= nowMs
    const forMs = nowMs - watched.pacedSinceMs
    if (forMs <= releaseTimes * options.degradeAfterMs) return
    this.#report(
      `${process.id} paces its writers for ${pace.peer} for ${forMs} ms, and nobody lags`,
    )
    watched.pacedSinceMs = nowMs
  }
}

export const flow = (world: World, report: Report): Checker => new Flow(world, report)
