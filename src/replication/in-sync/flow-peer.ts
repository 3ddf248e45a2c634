/**
 * What flow control measures of one standby: how fast it processes work, and whether pacing writers
 * for it helps.
 */
import type { Lag } from './lag-meter.js'

/** A standby that lags less than this share of `degradeAfterMs` needs no pacing. */
const closeShare = 1 / 8
/**
 * The same for a member of the set that is as fast as the writers, because what it lacks is only in
 * transit.
 */
const onItsWayShare = 1 / 3
/** A standby is late when it lags by more than this share of `degradeAfterMs`. */
const lateShare = 1 / 4
/** A standby that processes at least this share of what is appended keeps up. */
const keepsUpShare = 0.95
/**
 * The time in which a standby outside of the set should catch up, as a multiple of
 * `degradeAfterMs`; a member has one `degradeAfterMs`.
 */
const reachFactor = 5
/**
 * A standby that made no progress for this multiple of `degradeAfterMs` is ignored until it makes
 * some.
 */
const stallFactor = 2
/**
 * A standby that came no closer for this multiple of `degradeAfterMs` although writers were paced
 * is ignored.
 */
const hopelessFactor = 5
/**
 * What it must gain in that time, as a share of what it lacked or of what it processed, whichever
 * is less.
 */
const gainShare = 0.1
/**
 * Bytes of restores count as progress up to this multiple of the content, since the standby was
 * last in the set.
 */
export const restoresMax: number = 3
/** Pacing is judged only once the rate is at most this multiple of what the standby needs. */
const inForceTimes = 1.25
/**
 * While a standby that is being restored is late, writers get at most this share of its total
 * throughput.
 */
const restoreShare = 1 / 4
/**
 * A standby that lacks this share of the journal's maximum is late at once, because the journal
 * would soon drop what it lacks.
 */
const urgentShare = 1 / 4
/** How long a standby is ignored the first time, as a multiple of `degradeAfterMs`. */
const ignoreFactor = 32
/** How long a standby is ignored at most, as a multiple of `degradeAfterMs`. */
const ignoreFactorMax = 1024
/** Samples of progress that are needed before its rate is known. */
const samplesMin = 2
/**
 * How long a standby must be late without a break before writers are paced, as a share of
 * `degradeAfterMs`.
 */
const lateStepsShare = 1 / 2

/** Work, counted from the beginning of the term. */
export interface Work {
  /** What it lacks. */
  readonly lag: number
  /** What it has. */
  readonly done: number
}

/** What is known of a standby at one step. */
export interface FlowSample {
  readonly inSet: boolean
  readonly lag: Lag
  readonly work: Work
  /** Whether it is being restored. */
  readonly restores: boolean
  /** Bytes that its restores transferred in this term. */
  readonly restoredBytes: number
  /** Bytes that a full restore transfers. */
  readonly contentBytes: number
  readonly nowMs: number
  /** Since the last step. */
  readonly sinceMs: number
  /** The intended length of a step. */
  readonly stepMs: number
  /** Recent average of work appended in a millisecond. */
  readonly appendRate: number
}

/**
 * The weight of a new sample in an average; it depends on time only, so all rates adapt equally
 * fast.
 */
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
  /** Bytes that its restore transfers in a millisecond. */
  #restoreRate = 0
  /** Work that it processes in a millisecond while it lags. */
  #rate = 0
  #samples = 0
  #appendRate = 0
  /** How long it has been late and too slow without a break. */
  #lateMs = 0
  #nowMs = 0
  #restoredBytes = 0
  /** Restored bytes that count as progress: since it was last in the set, and in total. */
  #countedSinceInSet = 0
  #restored = 0
  #movedAtMs = Number.NEGATIVE_INFINITY
  /** Its progress when pacing for it began, or when its gain was last judged. */
  #trial: (Work & { readonly atMs: number; readonly restored: number }) | undefined
  #timesIgnored = 0
  #ignoredUntilMs = Number.NEGATIVE_INFINITY
  #isIgnored = false

  constructor(id: string, degradeAfterMs: number, journalBytesMax: number) {
    this.id = id
    this.#urgentBytes = urgentShare * journalBytesMax
    this.#patienceMs = degradeAfterMs
  }

  /**
   * Whether writers are not paced for it: it makes no progress, or pacing did not help recently.
   */
  get isIgnored(): boolean {
    return this.#isIgnored
  }

  /** Whether it has been late for so long that writers must be paced for it. */
  get isLate(): boolean {
    return this.isUrgent || this.#lateMs >= lateStepsShare * this.#patienceMs
  }

  /** Whether the journal will soon drop what it lacks, so that it would need another restore. */
  get isUrgent(): boolean {
    return !this.inSet && !this.#isIgnored && this.lag.lagBytes >= this.#urgentBytes
  }

  /** Its stream ended; measuring starts again with the next one. */
  pause(): void {
    this.#samples = 0
    this.#lateMs = 0
    this.#trial = undefined
    this.#movedAtMs = Number.NEGATIVE_INFINITY
  }

  measure(sample: FlowSample): void {
    const { inSet, lag, work, restores, nowMs, sinceMs, stepMs, appendRate } = sample
    const wasBehind = this.work.lag > 0
    const done = Math.max(0, work.done - this.work.done)
    const isFirst = this.#movedAtMs === Number.NEGATIVE_INFINITY
    this.inSet = inSet
    this.lag = lag
    this.work = work
    this.#appendRate = appendRate
    this.#nowMs = nowMs
    const restored = this.#countRestored(sample)
    const weight = restores ? sampleWeight(sinceMs, this.#patienceMs) : 1
    this.#restoreRate += weight * (restored / sinceMs - this.#restoreRate)
    this.#restores = restores
    if (!wasBehind) this.#samples = 0
    else if (done > 0 && !isFirst) this.#sample(done, Math.max(sinceMs, nowMs - this.#movedAtMs))
    if (isFirst || done > 0 || restored > 0 || !wasBehind) this.#movedAtMs = nowMs
    // This node itself was late, so that time does not count against the standby.
    else if (sinceMs > 2 * stepMs) this.#movedAtMs += sinceMs - stepMs
    const isStalled = nowMs - this.#movedAtMs >= stallFactor * this.#patienceMs
    this.#isIgnored = isStalled || nowMs < this.#ignoredUntilMs
    const isSlow = lag.lagMs > lateShare * this.#patienceMs && appendRate > this.#gainingRate * 1.05
    this.#lateMs = isSlow && this.#isMeasured && !this.#isIgnored ? this.#lateMs + sinceMs : 0
  }

  /** The bytes restored since the last step that count as progress. */
  #countRestored({ inSet, restoredBytes, contentBytes }: FlowSample): number {
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

  /**
   * Adds a sample over the time since its last progress, because many standbys acknowledge in
   * bursts.
   */
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

  /** The highest append rate at which it gains fast enough. */
  get #gainingRate(): number {
    if (this.lag.lagMs <= this.#closeMs) return Number.POSITIVE_INFINITY
    const reachMs = this.inSet ? this.#patienceMs : reachFactor * this.#patienceMs
    const surplus = Math.max(0, this.work.lag - this.#rate * this.#closeMs)
    const gaining = Math.max(this.#rate / 2, this.#rate - surplus / reachMs)
    if (!this.#restores) return gaining
    // The stream uses as much of the link as writers fill, and leaves only the rest to the restore.
    return Math.min(gaining, restoreShare * (this.#rate + this.#restoreRate))
  }

  /**
   * The append rate that it needs, never below the floor; undefined when it needs no pacing.
   *
   * @param pacedRate - the rate that writers are paced to now
   */
  wanted(floor: number, pacedRate: number): number | undefined {
    if (this.#isIgnored) return undefined
    if (!this.#isMeasured) return this.isUrgent ? floor : undefined
    const rate = this.#gainingRate
    if (rate === Number.POSITIVE_INFINITY) {
      this.#trial = undefined
      return undefined
    }
    const wanted = Math.max(floor, rate)
    // Its lag still grows while the rate comes down, so pacing cannot be judged yet.
    if (pacedRate > inForceTimes * wanted) this.#trial = undefined
    else if (this.#isHopeless()) return undefined
    return wanted
  }

  /**
   * Whether it came no closer although writers were paced for it. Restored bytes count as progress,
   * because the restore shares the link with the stream.
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
    const factor = Math.min(ignoreFactorMax, ignoreFactor * 2 ** this.#timesIgnored)
    this.#timesIgnored += 1
    this.#ignoredUntilMs = nowMs + factor * this.#patienceMs
    this.#isIgnored = true
    return true
  }
}
