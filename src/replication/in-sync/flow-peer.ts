/**
 * What flow control knows of one standby: how fast it takes work, and whether pacing for it is of
 * any use.
 */
import type { Lag } from './lag-meter.js'

/** One that is closer than this share of `degradeAfterMs` needs no pacing. */
const closeShare = 1 / 8
/**
 * The same for a member of the set that is as fast as the writers: what it lacks is on its way,
 * over a slow link perhaps.
 */
const onItsWayShare = 1 / 3
/** A standby is late when it lags by more than this share of `degradeAfterMs`. */
const lateShare = 1 / 4
/** One that takes this share of what is appended keeps up. */
const keepsUpShare = 0.95
/**
 * A standby outside of the set is to be close within so many times `degradeAfterMs`, a member
 * within one.
 */
const reachFactor = 5
/**
 * One that took nothing for so many times `degradeAfterMs` stands still, and is left alone until it
 * takes something.
 */
const standsFactor = 2
/**
 * One that came no closer for so many times `degradeAfterMs`, for all the pacing, is left alone.
 */
const hopelessFactor = 5
/**
 * What it has to gain meanwhile, as a share of what it lacked and of what it took, the lesser of
 * the two.
 */
const gainShare = 0.1
/**
 * What restores bring counts until it is so many times what there is, counted since it was last in
 * the set.
 */
export const restoresMax: number = 3
/**
 * Writers that get at most so many times the rate that it needs are paced for it; until then
 * nothing is known.
 */
const inForceTimes = 1.25
/**
 * Writers of an active that restores a standby get this share of what it takes in all, at most,
 * while it is late.
 */
const restoreShare = 1 / 4
/**
 * One that lacks so much of what the journal may hold is late at once: what it lacks must not be
 * forgotten meanwhile.
 */
const urgentShare = 1 / 4
/** For how long a standby is left alone at first, as a multiple of `degradeAfterMs`. */
const restFactor = 32
/** For how long a standby is left alone at most, as a multiple of `degradeAfterMs`. */
const restFactorMax = 1024
/** Times that it took something, until its rate is known. */
const samplesMin = 2
/**
 * Steps in a row, as a share of those in `degradeAfterMs`, in which it is late before writers are
 * paced.
 */
const lateStepsShare = 1 / 2

/** Work, counted from the beginning of the term. */
export interface Work {
  /** What it lacks. */
  readonly lag: number
  /** What it has. */
  readonly done: number
}

/** How a standby stands at one step. */
export interface Standing {
  readonly inSet: boolean
  readonly lag: Lag
  readonly work: Work
  /** Whether it is being restored. */
  readonly restores: boolean
  /** Bytes that its restores brought in this term. */
  readonly restoredBytes: number
  /** Bytes of everything that a restore brings. */
  readonly contentBytes: number
  readonly nowMs: number
  /** Since the last step. */
  readonly sinceMs: number
  /** How long a step should be. */
  readonly stepMs: number
  /** Work appended in a millisecond, of late. */
  readonly appendRate: number
}

/** The share of a new sample in a rate, so that all rates follow what happens equally fast. */
export function sampleWeight(sinceMs: number, degradeAfterMs: number): number {
  return Math.min(1, (2 * sinceMs) / degradeAfterMs)
}

const noLag: Lag = { lagSeq: 0, lagBytes: 0, lagMs: 0 }

export class FlowPeer {
  readonly id: string
  inSet = false
  lag: Lag = noLag
  work: Work = { lag: 0, done: 0 }
  readonly #patienceMs: number
  readonly #urgentBytes: number
  #restores = false
  /** Bytes that its restore brings in a millisecond. */
  #restoreRate = 0
  /** Work that it takes in a millisecond while it is behind. */
  #rate = 0
  #samples = 0
  #appendRate = 0
  /** For how long it has been late and slower than it should be, without a break. */
  #lateMs = 0
  #nowMs = 0
  #restoredBytes = 0
  /** What its restores brought, as far as it counts: since it was in the set, and in all. */
  #countedSinceInSet = 0
  #restored = 0
  #movedAtMs = Number.NEGATIVE_INFINITY
  /**
   * How it stood when pacing for it began, or when it was last looked at whether that is of any
   * use.
   */
  #trial: (Work & { readonly atMs: number; readonly restored: number }) | undefined
  #rests = 0
  #restsUntilMs = Number.NEGATIVE_INFINITY
  #isLeftAlone = false

  constructor(id: string, degradeAfterMs: number, journalBytesMax: number) {
    this.id = id
    this.#urgentBytes = urgentShare * journalBytesMax
    this.#patienceMs = degradeAfterMs
  }

  /** Whether it stands still, or pacing for it was of no use lately. */
  get isLeftAlone(): boolean {
    return this.#isLeftAlone
  }

  /** Whether it has been late for so long that the writers have to be paced for it. */
  get isLate(): boolean {
    return this.isUrgent || this.#lateMs >= lateStepsShare * this.#patienceMs
  }

  /**
   * Whether the journal will forget soon what it lacks, so that it would have to be restored again.
   */
  get isUrgent(): boolean {
    return !this.inSet && !this.#isLeftAlone && this.lag.lagBytes >= this.#urgentBytes
  }

  /** It follows no more: what comes next is measured anew. */
  pause(): void {
    this.#samples = 0
    this.#lateMs = 0
    this.#trial = undefined
    this.#movedAtMs = Number.NEGATIVE_INFINITY
  }

  measure(standing: Standing): void {
    const { inSet, lag, work, restores, nowMs, sinceMs, stepMs, appendRate } = standing
    const wasBehind = this.work.lag > 0
    const done = Math.max(0, work.done - this.work.done)
    const isFirst = this.#movedAtMs === Number.NEGATIVE_INFINITY
    this.inSet = inSet
    this.lag = lag
    this.work = work
    this.#appendRate = appendRate
    this.#nowMs = nowMs
    const restored = this.#countRestored(standing)
    const weight = restores ? sampleWeight(sinceMs, this.#patienceMs) : 1
    this.#restoreRate += weight * (restored / sinceMs - this.#restoreRate)
    this.#restores = restores
    if (!wasBehind) this.#samples = 0
    else if (done > 0 && !isFirst) this.#sample(done, Math.max(sinceMs, nowMs - this.#movedAtMs))
    if (isFirst || done > 0 || restored > 0 || !wasBehind) this.#movedAtMs = nowMs
    // This node was late itself: nobody is to blame for that time.
    else if (sinceMs > 2 * stepMs) this.#movedAtMs += sinceMs - stepMs
    const stands = nowMs - this.#movedAtMs >= standsFactor * this.#patienceMs
    this.#isLeftAlone = stands || nowMs < this.#restsUntilMs
    const isSlow = lag.lagMs > lateShare * this.#patienceMs && appendRate > this.#gainingRate * 1.05
    this.#lateMs = isSlow && this.#isMeasured && !this.#isLeftAlone ? this.#lateMs + sinceMs : 0
  }

  /** What its restore brought since the last step, as far as it counts. */
  #countRestored({ inSet, restoredBytes, contentBytes }: Standing): number {
    if (inSet) this.#countedSinceInSet = 0
    const left = Math.max(0, restoresMax * contentBytes - this.#countedSinceInSet)
    const counted = Math.min(left, Math.max(0, restoredBytes - this.#restoredBytes))
    this.#restoredBytes = restoredBytes
    this.#countedSinceInSet += counted
    this.#restored += counted
    return counted
  }

  get #isMeasured(): boolean {
    return this.#samples >= samplesMin
  }

  /** It took so much since it last took anything: many answer in bursts. */
  #sample(done: number, sinceMs: number): void {
    const rate = done / sinceMs
    const weight = sampleWeight(sinceMs, this.#patienceMs)
    this.#rate = this.#samples === 0 ? rate : this.#rate + weight * (rate - this.#rate)
    this.#samples += 1
  }

  get #keepsUp(): boolean {
    return this.inSet && this.#rate >= keepsUpShare * this.#appendRate
  }

  get #closeMs(): number {
    return (this.#keepsUp ? onItsWayShare : closeShare) * this.#patienceMs
  }

  /** The rate of appends at which it gains enough. */
  get #gainingRate(): number {
    if (this.lag.lagMs <= this.#closeMs) return Number.POSITIVE_INFINITY
    const reachMs = this.inSet ? this.#patienceMs : reachFactor * this.#patienceMs
    const surplus = Math.max(0, this.work.lag - this.#rate * this.#closeMs)
    const gaining = Math.max(this.#rate / 2, this.#rate - surplus / reachMs)
    if (!this.#restores) return gaining
    // The stream would take as much of the link as the writers give it, and the restore only the
    // rest.
    return Math.min(gaining, restoreShare * (this.#rate + this.#restoreRate))
  }

  /**
   * The rate of appends that it needs, never below the floor; undefined when it needs none.
   *
   * @param pacedRate - the rate that writers are paced to now
   */
  wanted(floor: number, pacedRate: number): number | undefined {
    if (this.#isLeftAlone) return undefined
    if (!this.#isMeasured) return this.isUrgent ? floor : undefined
    const rate = this.#gainingRate
    if (rate === Number.POSITIVE_INFINITY) {
      this.#trial = undefined
      return undefined
    }
    const wanted = Math.max(floor, rate)
    // What it lags still grows while the rate comes down to that, which says nothing of what pacing
    // is good for.
    if (pacedRate > inForceTimes * wanted) this.#trial = undefined
    else if (this.#isHopeless()) return undefined
    return wanted
  }

  /**
   * Whether it came no closer for so long although the writers are paced for it. What a restore
   * brings is work that it lacked like that of the stream, and shares the link with it.
   */
  #isHopeless(): boolean {
    const { lag, done } = this.work
    const nowMs = this.#nowMs
    const restored = this.#restored
    this.#trial ??= { atMs: nowMs, lag, done, restored }
    const trial = this.#trial
    if (nowMs - trial.atMs < hopelessFactor * this.#patienceMs) return false
    const brought = restored - trial.restored
    const gained = trial.lag - lag + brought
    const moved = done - trial.done + brought
    if (gained >= gainShare * Math.min(trial.lag + brought, moved)) {
      this.#trial = { atMs: nowMs, lag, done, restored }
      return false
    }
    this.#trial = undefined
    const factor = Math.min(restFactorMax, restFactor * 2 ** this.#rests)
    this.#rests += 1
    this.#restsUntilMs = nowMs + factor * this.#patienceMs
    this.#isLeftAlone = true
    return true
  }
}
