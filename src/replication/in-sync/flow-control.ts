/**
 * Flow control: paces the writers for a standby that is alive and does not gain on the active, so
 * that it gets into the in-sync set in bounded time and stays in it.
 *
 * Each step compares how fast a standby takes work with how fast work is appended. While the
 * closest standby is behind by more than it should, writes get their places at a little less than
 * its rate: the more it lags, the less, at least half of it. When it is close again the rate grows
 * step by step, until nothing is held any more.
 *
 * Invariants:
 * - nothing is held while no standby is behind, and nothing for one that stands still or that
 *   gained nothing at the floor: it is left alone for a while, each time for longer;
 * - when the stream of whom writers are paced for ends, the rate stays as it is until the standby
 *   is back, is known to be gone, or was away for `awayFactor` times `degradeAfterMs`;
 * - a write that waited `paceHoldFactor` times `degradeAfterMs` passes, whatever the rate is;
 * - the rate never falls below the floor: for the closest standby a small share of the rate before,
 *   for others half;
 * - it has one timer at most, and none while nothing is appended and nobody is behind.
 */
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import { FlowPeer, sampleWeight, type Work } from './flow-peer.js'
import type { Lag } from './lag-meter.js'

/** The longest time that one write is held, as a multiple of `degradeAfterMs`. */
export const paceHoldFactor: number = 5
/** The smallest share of the rate before that writers are paced to, for the closest standby. */
const paceShareMin = 1 / 64
/** The same for every further standby: with one in sync the others are worth less. */
const paceShareForOthers = 1 / 2
/**
 * For so long writers stay paced for a standby whose stream ended, as a multiple of
 * `degradeAfterMs`.
 */
const awayFactor = 5
/** Steps in `degradeAfterMs`. */
const stepsInPatience = 20
/** How much the rate grows in one step. */
const growth = 1.1
/** How much the rate shrinks in one step. */
const shrinkage = 0.8
/** Paced for nobody at least so often, in writes a second. */
const writesPerSecondMin = 4
/** What one change costs a standby beside its bytes, as bytes. */
export const changeWork: number = 1024

/** Work that passes at once when its first write is overdue. */
const overdueWork = 64 * 1024

/** A standby that writers can be paced for. */
export interface FlowStandby {
  readonly id: string
  /** Whether writes may have to wait for it. */
  readonly inSet: boolean
  readonly lag: Lag
  /** Whether it is being restored. */
  readonly restores: boolean
  /** Bytes that its restores brought in this term. */
  readonly restoredBytes: number
  /** Bytes of the contents of what it lags that it got already. */
  readonly arrivedBytes: number
}

/** How the writers are paced. */
export interface Pace {
  /** For which standby. */
  readonly id: string
  /** How far it is behind. */
  readonly lag: Lag
  /** Changes that get a place in a second, at the size that they have of late. */
  readonly changesPerSecond: number
}

export type PaceEvent =
  /** Writers are paced from now on, for this standby. */
  | { readonly name: 'writersPaced'; readonly pace: Pace }
  /** They are not any more. */
  | { readonly name: 'writersReleased'; readonly peer: string }

/** The rate that one standby needs. */
interface Wanted {
  readonly id: string
  readonly rate: number
  /** Whether there is no time to come down to it step by step. */
  readonly isUrgent: boolean
}

/** What flow control works with. */
export interface FlowControlOptions {
  readonly clock: Clock
  readonly degradeAfterMs: number
  /** False: writers are never paced. */
  readonly isOn: boolean
  readonly followers: {
    /**
     * Standbys that are alive and take entries, and that may join the set as soon as they are
     * close, or are in it.
     */
    standbys(): readonly FlowStandby[]
    /** Whether the process of a standby is known to be gone, or to follow another active. */
    isGone(id: string): boolean
  }
  readonly copy: {
    /** Bytes of everything that a restore brings. */
    readonly contentBytes: number
    /** Bytes of the journal, above which it forgets what only a standby needs. */
    readonly journalBytesMax: number
  }
  readonly queue: {
    /** The number of the next write that comes in. */
    readonly nextNumber: number
  }
  emit(event: PaceEvent): void
  /** Writes that were held may go on. */
  resume(): void
}

export class FlowControl {
  readonly #options: FlowControlOptions
  readonly #stepMs: number
  readonly #peers = new Map<string, FlowPeer>()
  #timer: TimerHandle | undefined
  #resumeTimer: TimerHandle | undefined
  #steppedAtMs: number
  /** All that was appended. */
  #total = 0
  #changes = 0
  #stepTotal = 0
  #stepChanges = 0
  /** Work appended in a millisecond, of late, and work in a change. */
  #appendRate = 0
  #changeWork = changeWork
  /** Work that may get a place in a millisecond; undefined while nobody is paced. */
  #rate: number | undefined
  /** The rate when pacing began. */
  #freeRate = 0
  #pacedFor = ''
  /** When that one was last seen. */
  #seenAtMs = 0
  #tokens = 0
  #filledAtMs = 0
  #heldAtMs = Number.NEGATIVE_INFINITY
  /** Writes that came in up to a time, oldest first, while writers are paced. */
  #arrivals: { readonly next: number; readonly atMs: number }[] = []
  #closed = false

  constructor(options: FlowControlOptions) {
    this.#options = options
    this.#stepMs = Math.max(1, options.degradeAfterMs / stepsInPatience)
    this.#steppedAtMs = options.clock.nowMs()
  }

  /** How the writers are paced now; undefined while they are not. */
  get pace(): Pace | undefined {
    if (this.#rate === undefined) return undefined
    const id = this.#pacedFor
    const lag = this.#options.followers.standbys().find((one) => one.id === id)?.lag
    const none = { lagSeq: 0, lagBytes: 0, lagMs: 0 }
    const changesPerSecond = Math.max(1, Math.round((this.#rate * 1000) / this.#changeWork))
    return { id, lag: lag ?? none, changesPerSecond }
  }

  /** An entry was appended. */
  appended(changes: number, bytes: number): void {
    if (!this.#options.isOn) return
    const work = bytes + changes * changeWork
    this.#total += work
    this.#changes += changes
    if (this.#rate !== undefined) this.#tokens -= work
    if (this.#timer === undefined) this.#begin()
  }

  /**
   * Work that may get its place now: above 0, or undefined when writes have to wait until `resume`.
   */
  allowance(firstWrite: number): number | undefined {
    if (this.#rate === undefined) return Number.POSITIVE_INFINITY
    this.#fill(this.#rate)
    if (this.#tokens > 0) return this.#tokens
    const nowMs = this.#options.clock.nowMs()
    this.#heldAtMs = nowMs
    if (this.#isOverdue(firstWrite, nowMs)) return overdueWork
    if (this.#resumeTimer === undefined) {
      const waitMs = Math.max(1, Math.min(this.#stepMs, -this.#tokens / this.#rate))
      this.#resumeTimer = this.#options.clock.setTimer(waitMs, () => {
        this.#resumeTimer = undefined
        this.#options.resume()
      })
    }
    return undefined
  }

  /** Ends everything: nothing is held any more. */
  close(): void {
    this.#closed = true
    const { clock } = this.#options
    if (this.#timer !== undefined) clock.clearTimer(this.#timer)
    if (this.#resumeTimer !== undefined) clock.clearTimer(this.#resumeTimer)
    this.#timer = undefined
    this.#resumeTimer = undefined
    this.#rate = undefined
  }

  #begin(): void {
    const { clock } = this.#options
    const idleMs = clock.nowMs() - this.#steppedAtMs
    if (idleMs > 2 * this.#stepMs) {
      // Nothing was measured meanwhile: the first step looks at what comes from here on.
      this.#steppedAtMs = clock.nowMs()
      this.#appendRate = 0
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.setTimer(this.#stepMs, () => this.#step())
  }

  #fill(rate: number): void {
    const nowMs = this.#options.clock.nowMs()
    const burst = rate * this.#stepMs
    // No single write, however large, holds the next one for longer than any write is held.
    const debtMax = rate * paceHoldFactor * this.#options.degradeAfterMs
    const filled = Math.max(this.#tokens, -debtMax) + rate * (nowMs - this.#filledAtMs)
    this.#tokens = Math.min(burst, filled)
    this.#filledAtMs = nowMs
  }

  #isOverdue(firstWrite: number, nowMs: number): boolean {
    const first = this.#arrivals[0]
    const holdMs = paceHoldFactor * this.#options.degradeAfterMs
    return first !== undefined && firstWrite < first.next && nowMs - first.atMs >= holdMs
  }

  #step(): void {
    this.#timer = undefined
    const { clock } = this.#options
    const nowMs = clock.nowMs()
    const sinceMs = Math.max(1, nowMs - this.#steppedAtMs)
    this.#steppedAtMs = nowMs
    const moved = this.#measureAppends(sinceMs)
    const standbys = this.#measurePeers(nowMs, sinceMs)
    if (this.#rate === undefined) this.#pace(standbys, nowMs)
    else this.#adjust(this.#rate, standbys, nowMs)
    const behind = standbys.some(({ work }) => work.lag > 0)
    if (moved || behind || this.#rate !== undefined) this.#arm()
  }

  /** Whether anything was appended since the last step. */
  #measureAppends(sinceMs: number): boolean {
    const work = this.#total - this.#stepTotal
    const changes = this.#changes - this.#stepChanges
    this.#stepTotal = this.#total
    this.#stepChanges = this.#changes
    const weight = sampleWeight(sinceMs, this.#options.degradeAfterMs)
    const rate = work / sinceMs
    this.#appendRate =
      this.#appendRate === 0 ? rate : this.#appendRate + weight * (rate - this.#appendRate)
    if (changes > 0) this.#changeWork += weight * (work / changes - this.#changeWork)
    return work > 0
  }

  #measurePeers(nowMs: number, sinceMs: number): FlowPeer[] {
    const { degradeAfterMs } = this.#options
    const found = this.#options.followers.standbys()
    for (const id of this.#peers.keys()) {
      // One that is away for a while keeps what it did not gain before.
      if (!found.some((one) => one.id === id)) this.#peers.get(id)?.pause()
    }
    return found.map(({ id, inSet, lag, restores, restoredBytes, arrivedBytes }) => {
      let peer = this.#peers.get(id)
      if (peer === undefined) {
        peer = new FlowPeer(id, degradeAfterMs, this.#options.copy.journalBytesMax)
        this.#peers.set(id, peer)
      }
      const behind = Math.max(0, lag.lagBytes - arrivedBytes) + lag.lagSeq * changeWork
      const work: Work = { lag: behind, done: Math.max(0, this.#total - behind) }
      const appendRate = this.#appendRate
      const restore = { restores, restoredBytes, contentBytes: this.#options.copy.contentBytes }
      const times = { nowMs, sinceMs, stepMs: this.#stepMs }
      peer.measure({ inSet, lag, work, ...restore, ...times, appendRate })
      return peer
    })
  }

  /** Begins to pace when one that is late does not gain on what is appended. */
  #pace(peers: readonly FlowPeer[], nowMs: number): void {
    const late = peers.filter((peer) => peer.isLate)
    if (late.length === 0) return
    const wanted = this.#wanted(late, closestOf(peers), this.#appendRate, Number.POSITIVE_INFINITY)
    if (wanted === undefined) return
    this.#freeRate = this.#appendRate
    const comesDown = wanted.isUrgent ? 0 : this.#appendRate / 2
    // Nobody may have appended anything of late, and nothing would ever pass at a rate of nothing.
    this.#rate = Math.max(wanted.rate, comesDown, this.#leastRate)
    this.#pacedFor = wanted.id
    this.#seenAtMs = nowMs
    this.#tokens = 0
    this.#filledAtMs = nowMs
    this.#heldAtMs = nowMs
    this.#arrivals = [{ next: this.#options.queue.nextNumber, atMs: nowMs }]
    if (this.pace !== undefined) this.#options.emit({ name: 'writersPaced', pace: this.pace })
  }

  #adjust(rate: number, peers: readonly FlowPeer[], nowMs: number): void {
    const { degradeAfterMs } = this.#options
    this.#noteArrivals(nowMs)
    this.#fill(rate)
    if (peers.some(({ id }) => id === this.#pacedFor)) this.#seenAtMs = nowMs
    else if (this.#awaits(nowMs)) return this.#options.resume()
    const forNobody = peers.every((peer) => peer.isLeftAlone)
    if (forNobody || nowMs - this.#heldAtMs >= degradeAfterMs) return this.#release()
    const wanted = this.#wanted(peers, closestOf(peers), this.#freeRate, rate)
    const next = wanted === undefined ? rate * growth : Math.max(wanted.rate, this.#leastRate)
    this.#rate = Math.min(
      rate * growth,
      wanted?.isUrgent === true ? next : Math.max(rate * shrinkage, next),
    )
    if (wanted !== undefined) {
      this.#pacedFor = wanted.id
      this.#seenAtMs = nowMs
    }
    // Nobody appends that fast any more: what is left of it would hold nothing.
    if (this.#rate > 4 * Math.max(this.#freeRate, this.#appendRate)) this.#release()
    else this.#options.resume()
  }

  /**
   * Whether the standby that writers are paced for, and whose stream ended, is waited for with the
   * rate as it is: what writers are let do meanwhile would be the first that the next stream has to
   * bring, before anything that its restore needs.
   */
  #awaits(nowMs: number): boolean {
    const { degradeAfterMs, followers } = this.#options
    return nowMs - this.#seenAtMs < awayFactor * degradeAfterMs && !followers.isGone(this.#pacedFor)
  }

  get #leastRate(): number {
    return (writesPerSecondMin * this.#changeWork) / 1000
  }

  #noteArrivals(nowMs: number): void {
    this.#arrivals.push({ next: this.#options.queue.nextNumber, atMs: nowMs })
    const holdMs = paceHoldFactor * this.#options.degradeAfterMs
    // The newest of those that are old enough says which writes are overdue.
    while ((this.#arrivals[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - holdMs) {
      this.#arrivals.shift()
    }
  }

  #release(): void {
    this.#rate = undefined
    this.#arrivals = []
    this.#options.emit({ name: 'writersReleased', peer: this.#pacedFor })
    this.#options.resume()
  }

  /**
   * The lowest rate that one of these needs, and who needs it; undefined when none of them needs
   * any.
   */
  #wanted(
    peers: readonly FlowPeer[],
    closest: FlowPeer | undefined,
    freeRate: number,
    pacedRate: number,
  ): Wanted | undefined {
    let lowest: Wanted | undefined
    for (const peer of peers) {
      const share = peer === closest ? paceShareMin : paceShareForOthers
      const rate = peer.wanted(freeRate * share, pacedRate)
      if (rate === undefined || (lowest !== undefined && lowest.rate <= rate)) continue
      lowest = { id: peer.id, rate, isUrgent: peer.isUrgent }
    }
    return lowest
  }
}

/** The one that is needed most: a member of the set before others, then the one that lags least. */
function closestOf(peers: readonly FlowPeer[]): FlowPeer | undefined {
  let closest: FlowPeer | undefined
  for (const peer of peers) {
    if (peer.isLeftAlone) continue
    if (closest === undefined) closest = peer
    else if (peer.inSet !== closest.inSet) closest = peer.inSet ? peer : closest
    else if (peer.lag.lagMs < closest.lag.lagMs) closest = peer
  }
  return closest
}
