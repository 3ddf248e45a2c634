/**
 * Flow control: limits the rate of writes when a standby that is alive does not gain on the active,
 * so that the standby joins the in-sync set in bounded time and stays in it.
 *
 * Each step compares how fast a standby processes work with how fast work is appended. While the
 * closest standby lags too much, writes are sequenced at a little less than its rate: the larger
 * the lag the lower the rate, but at least half of it. When the standby is close again, the rate
 * grows step by step until writes are not limited any more.
 *
 * Invariants:
 * - no write is delayed while no standby lags, nor for a standby that makes no progress or gained
 *   nothing at the lowest rate: such a standby is ignored for a while, each time for longer;
 * - when the stream of the standby that writers are paced for ends, the rate stays as it is until
 *   the standby is back, is known to be gone, or was away for `awayFactor` times `degradeAfterMs`;
 * - a write that has waited `paceHoldFactor` times `degradeAfterMs` passes at any rate;
 * - the rate never falls below a share of the rate before pacing: `paceShareMin` for the closest
 *   standby, `paceShareForOthers` for the others;
 * - at most one step timer runs, and none while nothing is appended and no standby lags.
 */
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import { FlowPeer, sampleWeight, type Work } from './flow-peer.js'
import type { Lag } from './lag-meter.js'

/** The longest delay of one write, as a multiple of `degradeAfterMs`. */
export const paceHoldFactor: number = 5
/**
 * The lowest rate that writers are paced to for the closest standby, as a share of the rate before.
 */
const paceShareMin = 1 / 64
/** The same for every further standby, because with one in sync the others matter less. */
const paceShareForOthers = 1 / 2
/**
 * How long writers stay paced for a standby whose stream ended, as a multiple of `degradeAfterMs`.
 */
const awayFactor = 5
/** Steps in `degradeAfterMs`. */
const stepsInPatience = 20
/** The factor by which the rate grows in one step. */
const growth = 1.1
/** The smallest factor by which the rate shrinks in one step, unless the standby is urgent. */
const shrinkage = 0.8
/** The lowest rate that writers are ever paced to, in writes a second. */
const writesPerSecondMin = 4
/** What one change costs a standby in addition to its bytes, expressed in bytes. */
export const changeWork: number = 1024

/** Work that passes at once when the first queued write is overdue. */
const overdueWork = 64 * 1024

/** A standby that writers can be paced for. */
export interface FlowStandby {
  readonly id: string
  /** Whether writes may have to wait for it. */
  readonly inSet: boolean
  readonly lag: Lag
  /** Whether it is being restored. */
  readonly restores: boolean
  /** Bytes that its restores transferred in this term. */
  readonly restoredBytes: number
  /** Bytes of contents that it already has of entries that it lacks. */
  readonly arrivedBytes: number
}

/** How the writers are paced. */
export interface Pace {
  /** The standby that writers are paced for. */
  readonly id: string
  /** How far it is behind. */
  readonly lag: Lag
  /** Changes sequenced in a second, at their recent average size. */
  readonly changesPerSecond: number
}

export type PaceEvent =
  /** Pacing begins, for this standby. */
  | { readonly name: 'writersPaced'; readonly pace: Pace }
  /** Pacing ends. */
  | { readonly name: 'writersReleased'; readonly peer: string }

/** The rate that one standby needs. */
interface Wanted {
  readonly id: string
  readonly rate: number
  /** Whether the rate must drop at once instead of step by step. */
  readonly isUrgent: boolean
}

/** What flow control depends on. */
export interface FlowControlOptions {
  readonly clock: Clock
  readonly degradeAfterMs: number
  /** False: writers are never paced. */
  readonly isOn: boolean
  readonly followers: {
    /**
     * Standbys that are alive and receive entries, and that are in the set or may join it as soon
     * as they are close.
     */
    standbys(): readonly FlowStandby[]
    /** Whether the standby is known to be gone, or to follow another active. */
    isGone(id: string): boolean
  }
  readonly copy: {
    /** Bytes that a full restore transfers. */
    readonly contentBytes: number
    /** Bytes above which the journal drops segments that only a standby still needs. */
    readonly journalBytesMax: number
  }
  readonly queue: {
    /** The number of the next write that is queued. */
    readonly nextNumber: number
  }
  emit(event: PaceEvent): void
  /** Delayed writes may continue. */
  resume(): void
}

export class FlowControl {
  readonly #options: FlowControlOptions
  readonly #stepMs: number
  readonly #peers = new Map<string, FlowPeer>()
  #timer: TimerHandle | undefined
  #resumeTimer: TimerHandle | undefined
  #steppedAtMs: number
  /** Work and changes appended since the start. */
  #total = 0
  #changes = 0
  #stepTotal = 0
  #stepChanges = 0
  /** Recent averages: work appended in a millisecond, and work in one change. */
  #appendRate = 0
  #changeWork = changeWork
  /** Work that may be sequenced in a millisecond; undefined while writers are not paced. */
  #rate: number | undefined
  /** The rate when pacing began. */
  #unpacedRate = 0
  #pacedFor = ''
  /** When that standby last had a stream. */
  #seenAtMs = 0
  #tokens = 0
  #filledAtMs = 0
  #delayedAtMs = Number.NEGATIVE_INFINITY
  /** Which writes were queued by which time, oldest first, while writers are paced. */
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
   * Work that may be sequenced now: above 0, or undefined when writes have to wait until `resume`.
   */
  allowance(firstWrite: number): number | undefined {
    if (this.#rate === undefined) return Number.POSITIVE_INFINITY
    this.#fill(this.#rate)
    if (this.#tokens > 0) return this.#tokens
    const nowMs = this.#options.clock.nowMs()
    this.#delayedAtMs = nowMs
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

  /** Stops the timers; no write is delayed any more. */
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
      // Nothing was measured meanwhile, so the first step measures only what is appended from now
      // on.
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
    // A single write, however large, delays the next one by no more than the longest delay.
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
      // A standby that is away keeps its record of useless pacing.
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

  /** Begins to pace when a late standby does not gain on what is appended. */
  #pace(peers: readonly FlowPeer[], nowMs: number): void {
    const late = peers.filter((peer) => peer.isLate)
    if (late.length === 0) return
    const wanted = this.#wanted(late, closestOf(peers), this.#appendRate, Number.POSITIVE_INFINITY)
    if (wanted === undefined) return
    this.#unpacedRate = this.#appendRate
    const steppedRate = wanted.isUrgent ? 0 : this.#appendRate / 2
    // The append rate may be 0, and at a rate of 0 no write would ever pass.
    this.#rate = Math.max(wanted.rate, steppedRate, this.#leastRate)
    this.#pacedFor = wanted.id
    this.#seenAtMs = nowMs
    this.#tokens = 0
    this.#filledAtMs = nowMs
    this.#delayedAtMs = nowMs
    this.#arrivals = [{ next: this.#options.queue.nextNumber, atMs: nowMs }]
    if (this.pace !== undefined) this.#options.emit({ name: 'writersPaced', pace: this.pace })
  }

  #adjust(rate: number, peers: readonly FlowPeer[], nowMs: number): void {
    const { degradeAfterMs } = this.#options
    this.#noteArrivals(nowMs)
    this.#fill(rate)
    if (peers.some(({ id }) => id === this.#pacedFor)) this.#seenAtMs = nowMs
    else if (this.#awaits(nowMs)) return this.#options.resume()
    const ignoresAll = peers.every((peer) => peer.isIgnored)
    if (ignoresAll || nowMs - this.#delayedAtMs >= degradeAfterMs) return this.#release()
    const wanted = this.#wanted(peers, closestOf(peers), this.#unpacedRate, rate)
    const next = wanted === undefined ? rate * growth : Math.max(wanted.rate, this.#leastRate)
    this.#rate = Math.min(
      rate * growth,
      wanted?.isUrgent === true ? next : Math.max(rate * shrinkage, next),
    )
    if (wanted !== undefined) {
      this.#pacedFor = wanted.id
      this.#seenAtMs = nowMs
    }
    // Release when writers append far less than the rate allows: it would delay nothing.
    if (this.#rate > 4 * Math.max(this.#unpacedRate, this.#appendRate)) this.#release()
    else this.#options.resume()
  }

  /**
   * Whether to keep the rate while the standby that writers are paced for has no stream: whatever
   * is appended meanwhile has to be sent first on its next stream, ahead of what its restore needs.
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
    // Keep the newest arrival that is old enough: it tells which writes are overdue.
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
   * The lowest rate that one of these standbys needs, and which one; undefined when none needs
   * pacing.
   */
  #wanted(
    peers: readonly FlowPeer[],
    closest: FlowPeer | undefined,
    unpacedRate: number,
    pacedRate: number,
  ): Wanted | undefined {
    let lowest: Wanted | undefined
    for (const peer of peers) {
      const share = peer === closest ? paceShareMin : paceShareForOthers
      const rate = peer.wanted(unpacedRate * share, pacedRate)
      if (rate === undefined || (lowest !== undefined && lowest.rate <= rate)) continue
      lowest = { id: peer.id, rate, isUrgent: peer.isUrgent }
    }
    return lowest
  }
}

/**
 * The standby that matters most: a member of the set before others, then the one that lags least.
 */
function closestOf(peers: readonly FlowPeer[]): FlowPeer | undefined {
  let closest: FlowPeer | undefined
  for (const peer of peers) {
    if (peer.isIgnored) continue
    if (closest === undefined) closest = peer
    else if (peer.inSet !== closest.inSet) closest = peer.inSet ? peer : closest
    else if (peer.lag.lagMs < closest.lag.lagMs) closest = peer
  }
  return closest
}
