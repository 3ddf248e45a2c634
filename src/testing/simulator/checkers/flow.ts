/**
 * Promise 4, flow control: a standby that is alive and in reach gets in sync in a time that follows
 * from the data and from the narrowest link, whatever is written meanwhile; and writers are not
 * paced while nobody lags.
 */
import type { NodeLogEvent } from '../../../node/contract/events.js'
import type { NodeStatus } from '../../../node/report/status.js'
import type { Process } from '../machine/machine.js'
import { Calm } from '../observed/calm.js'
import type { World } from '../world.js'
import type { Checker, Report } from './checker.js'

/**
 * What comes before and after the transfer: finding each other, an attempt that a fault ended, a
 * pause.
 */
const restMs = 15_000
/** The stream shares the link with a restore, and what is written meanwhile has to come too. */
const shares = 4
/** Bytes a second that disks of the simulator take at least while nothing is wrong with them. */
const diskBytesPerSecond = 500_000
/**
 * The pace stays for who went away for 5 times `degradeAfterMs`, and grows from its floor for up to
 * 6 times until it holds nothing.
 */
const releaseTimes = 11

/** Since when something holds of an active that should soon be over. */
interface Watched {
  lackingSinceMs: number | undefined
  pacedSinceMs: number | undefined
}

class Flow implements Checker {
  readonly name = 'flow'
  readonly #world: World
  readonly #report: Report
  readonly #calm: Calm
  /** By active and standby. */
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

  /** A standby that was too slow too often has to stay out for a while, and says for how long. */
  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'standbyLost') return
    const { peer, reason } = event as { readonly peer: string; readonly reason: string }
    const outMs = Number(/stays out for (\d+) ms/.exec(reason)?.[1] ?? 0)
    this.#outUntilMs.set(`${process.id} ${peer}`, this.#world.nowMs + outMs)
  }

  ending(process: Process): void {
    this.#watched.delete(process)
  }

  /** Whom nothing is wrong with for so long that it should be in sync. */
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

  /** For how long nothing is wrong with the soundest standby; 0 when there is none. */
  #soundMs({ id }: Process, { peers }: NodeStatus): number {
    let longestMs = 0
    for (const member of this.#world.members) {
      if (member.id === id || member.observer === true) continue
      const other = this.#world.machine(member.id).process?.node.status()
      const isHeard = peers.some((peer) => peer.id === member.id && peer.heard)
      // One that says what it needs waits for that.
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
    const slowest = Math.min(this.#world.narrowest, restoreBytesPerSecondMax, diskBytesPerSecond)
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
