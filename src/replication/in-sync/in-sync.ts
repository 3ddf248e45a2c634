/**
 * The in-sync set: which standbys join and leave it, and what happens to writes when it is empty.
 *
 * Invariants:
 * - the set changes only by a journal entry; see `AckTracker` for when such an entry takes effect;
 * - at most one timer runs, and only while a member owes an acknowledgement, during the first wait
 *   of a term, or while a standby that was too slow waits for its readmission;
 * - `redundancy` is `degraded` or `blocked` only while no member counts; it is `redundant` from the
 *   moment a member counts until the set is durably empty.
 */
import type { Clock } from '../../interfaces/clock.js'
import { AckTracker, type MembershipNews } from './ack-tracker.js'
import { DeadlineTimer } from './deadline-timer.js'
import type { FlowStandby } from './flow-control.js'
import { type FollowerCalls, FollowerHandle, FollowerRecord } from './follower-record.js'
import { LagMeter } from './lag-meter.js'
import { Readmission } from './readmission.js'
import { SilenceWatch } from './silence-watch.js'
import type { Follower, FollowerProgress, FollowerStatus, WriterEvent } from './types.js'

/**
 * Whether a write that needs a standby finds one: `redundant` when one counts, `waiting` while that
 * is open at the start of a term; otherwise `degraded` when writes continue without a standby, and
 * `blocked` when they wait for one.
 */
export type Redundancy = 'redundant' | 'waiting' | 'degraded' | 'blocked'

/** What the set needs of its writer. */
export interface InSyncOptions {
  readonly clock: Clock
  readonly degradeAfterMs: number
  readonly onNoStandby: 'degrade' | 'block'
  /** Whether to skip the first wait, because no standby can join. */
  readonly degraded: boolean
  readonly lastOrdinal: number
  readonly lastSeq: number
  /**
   * Journals the set and answers the entry's ordinal; undefined when the journal accepts no entries
   * any more.
   */
  append(members: readonly string[]): number | undefined
  emit(event: WriterEvent): void
  /** Thresholds or redundancy changed, so writes may be acknowledged. */
  changed(): void
}

/** A timer that fires later than this shows that this node itself was delayed, in milliseconds. */
const lateToleranceMs = 100

export class InSyncSet implements FollowerCalls {
  readonly tracker: AckTracker = new AckTracker()
  readonly #options: InSyncOptions
  readonly #followers = new Map<string, FollowerRecord>()
  readonly #silence: SilenceWatch
  readonly #lag: LagMeter
  #redundancy: Redundancy = 'waiting'
  /** When the first wait of the term ends; undefined when it is over. */
  #firstWaitEndsMs: number | undefined
  readonly #timer: DeadlineTimer
  #closed = false

  constructor(options: InSyncOptions) {
    this.#options = options
    this.#silence = new SilenceWatch(Math.min(100, Math.max(1, options.degradeAfterMs / 20)))
    this.#lag = new LagMeter(options.lastOrdinal, options.lastSeq, options.clock.nowMs())
    this.#timer = new DeadlineTimer(options.clock, (nowMs, lateMs) => this.#check(nowMs, lateMs))
  }

  /** Begins the first wait of the term, or degrades at once when that is to be skipped. */
  start(): void {
    if (this.#options.degraded) {
      this.#degrade()
      return
    }
    this.#firstWaitEndsMs = this.#options.clock.nowMs() + this.#options.degradeAfterMs
    this.#timer.setBy(this.#firstWaitEndsMs)
  }

  /**
   * No promotable member is reachable, as is proven: ends the first wait, since no standby can end
   * it.
   */
  endFirstWait(): void {
    if (this.#firstWaitEndsMs === undefined) return
    this.#firstWaitEndsMs = undefined
    if (this.tracker.isEmpty) this.#degrade()
  }

  get redundancy(): Redundancy {
    return this.#redundancy
  }

  /** A follower's stream begins and replaces an older stream of the same follower. */
  addFollower(id: string, mayCount: boolean): Follower {
    const handle = new FollowerHandle(id, this)
    const known = this.#followers.get(id)
    if (known === undefined) {
      const readmission = new Readmission(this.#options.degradeAfterMs)
      this.#followers.set(id, new FollowerRecord(id, handle, mayCount, readmission))
      return handle
    }
    // The new stream is silent until its first answer. If the old stream was silent, the silence
    // continues.
    this.lost(known.handle, false, undefined)
    known.restart(handle, mayCount)
    this.tracker.restart(id)
    if (!mayCount) this.#remove(known, 'it may not count')
    return handle
  }

  /** An entry was appended to the active's journal. */
  appended(ordinal: number, lastSeq: number, bytes: number): void {
    const nowMs = this.#options.clock.nowMs()
    this.#lag.note(ordinal, lastSeq, bytes, nowMs)
    if (this.tracker.isEmpty) return
    this.#silence.appended(ordinal, this.tracker.leastDurable, nowMs)
    this.#timer.setBy(nowMs + this.#options.degradeAfterMs)
  }

  /** Everything up to this ordinal is durable on the active. */
  local(durableOrdinal: number): void {
    this.#applyNews(this.tracker.local(durableOrdinal))
  }

  /** @see Follower.received */
  answer(handle: FollowerHandle, received: number, durable: number): void {
    const record = this.#recordOf(handle)
    if (record === undefined) return
    record.answered(received, durable)
    this.#applyNews(this.tracker.answer(record.id, record.received, record.durable))
    const { readmission } = record
    if (Number.isFinite(readmission.dueMs) && this.tracker.stateOf(record.id) === 'counting') {
      readmission.keptUp(record.addedAtMs, this.#options.clock.nowMs())
    }
    this.#readmit(record)
    this.#options.changed()
  }

  /**
   * Admits a follower that has caught up and is out of the set: one that lagged too much then and
   * does not now, or one that was removed for silence, kept its stream and answers again.
   */
  #readmit(record: FollowerRecord): void {
    const out = this.tracker.stateOf(record.id) === undefined
    if (record.isReady && out && this.#isCurrent(record)) this.#admit(record)
  }

  /**
   * Whether the follower is close enough to join. Once it is in the set, writes wait for it: one
   * that lags more than they may wait would delay them and be removed again. While writes are
   * blocked for lack of a standby, any follower may join.
   */
  #isCurrent({ durable, joined }: FollowerRecord): boolean {
    if (this.#redundancy === 'blocked') return true
    const { clock, degradeAfterMs } = this.#options
    const { lagMs } = this.#lag.lagOf(durable, clock.nowMs())
    return lagMs < (joined ? degradeAfterMs / 4 : degradeAfterMs)
  }

  /** @see Follower.begins */
  begins(handle: FollowerHandle, restores: boolean): void {
    const record = this.#recordOf(handle)
    if (record === undefined) return
    record.begun = true
    record.restores = restores
    if (restores) record.cutOrdinal = this.#lag.lastOrdinal
  }

  /** @see Follower.progressed */
  progressed(handle: FollowerHandle, progress: FollowerProgress): boolean {
    const record = this.#recordOf(handle)
    if (record === undefined) return false
    const nowMs = this.#options.clock.nowMs()
    const { lagBytes } = this.#lag.lagOf(record.durable, nowMs)
    return record.moved(progress, lagBytes, nowMs)
  }

  /**
   * Standbys that writers may be paced for: alive, receiving entries, and in the set or allowed to
   * join now. Pacing would be useless for one that has to stay out for a while.
   */
  standbys(): FlowStandby[] {
    const nowMs = this.#options.clock.nowMs()
    const found: FlowStandby[] = []
    for (const record of this.#followers.values()) {
      const { id, mayCount, begun, heard, lostSinceMs, durable, cutOrdinal } = record
      const { restores, restoredBytes, arrivedBytes } = record
      if (!mayCount || !begun || lostSinceMs !== undefined) continue
      // Its lag is unknown before its first answer, unless it is being restored.
      if (!heard && !restores) continue
      const state = this.tracker.stateOf(id)
      const inSet = state === 'adding' || state === 'counting'
      if (!inSet && this.#mustStayOut(record, nowMs)) continue
      const lag = this.#lag.lagOf(Math.max(durable, cutOrdinal), nowMs)
      found.push({ id, inSet, lag, restores, restoredBytes, arrivedBytes })
    }
    return found
  }

  /** Whether a standby is known to be gone, or never had a stream in this term. */
  isGone(id: string): boolean {
    return this.#followers.get(id)?.isGone ?? true
  }

  /** @see Follower.caughtUp */
  caughtUp(handle: FollowerHandle): void {
    const record = this.#recordOf(handle)
    if (record === undefined || !record.mayCount) return
    record.spoke()
    record.caughtUp = true
    record.joined = false
    if (this.#isCurrent(record)) this.#admit(record)
  }

  /** Adds the follower to the set, unless it is a member or its readmission is not due. */
  #admit(record: FollowerRecord): void {
    const state = this.tracker.stateOf(record.id)
    if (state === 'adding' || state === 'counting') return
    const nowMs = this.#options.clock.nowMs()
    if (this.#mustStayOut(record, nowMs)) return this.#timer.setBy(record.readmission.dueMs)
    const ordinal = this.#options.append([...this.tracker.members(), record.id])
    if (ordinal === undefined) return
    record.joined = true
    this.#applyNews(this.tracker.add(record.id, ordinal, record.received, record.durable))
    // The addition is the first entry that it has to acknowledge.
    record.addedAtMs = nowMs
    this.#silence.appended(ordinal, this.tracker.leastDurable, nowMs)
    this.#timer.setBy(nowMs + this.#options.degradeAfterMs)
    this.#options.changed()
  }

  /**
   * Whether its readmission is not due yet, because it was too slow before. While writes are
   * blocked it is admitted anyway: a slow standby is better than none.
   */
  #mustStayOut({ readmission }: FollowerRecord, nowMs: number): boolean {
    return readmission.dueMs > nowMs && this.#redundancy !== 'blocked'
  }

  /** @see Follower.lost */
  lost(handle: FollowerHandle, proven: boolean, sinceMs: number | undefined): void {
    const record = this.#recordOf(handle)
    if (record === undefined) return
    if (proven) {
      record.isGone = true
      record.readmission.forgive()
      // How much it lacks is known only with its next stream.
      record.caughtUp = false
      this.#remove(record, 'it is gone, or follows another node')
      return
    }
    if (record.lostSinceMs !== undefined) return
    const owesSinceMs = this.#owesSinceMs(record) ?? Number.POSITIVE_INFINITY
    record.lostSinceMs = Math.min(sinceMs ?? this.#options.clock.nowMs(), owesSinceMs)
    const state = this.tracker.stateOf(record.id)
    if (state === undefined || state === 'removing') return
    this.#timer.setBy(record.lostSinceMs + this.#options.degradeAfterMs)
  }

  /** @see Follower.leave */
  leave(handle: FollowerHandle, reason: string): void {
    const record = this.#recordOf(handle)
    if (record !== undefined) this.#remove(record, reason)
  }

  /** @see Follower.tooSlow */
  tooSlow(handle: FollowerHandle, why: string): void {
    const record = this.#recordOf(handle)
    if (record !== undefined) this.#removeSlow(record, why)
  }

  /** The state and lag of all followers. */
  followers(): FollowerStatus[] {
    const nowMs = this.#options.clock.nowMs()
    return [...this.#followers.values()].map(({ id, durable, heard }) => {
      const membership = this.tracker.stateOf(id) ?? 'following'
      const state = membership === 'counting' ? 'inSync' : membership
      return { id, state, ...this.#lag.lagOf(heard ? durable : -1, nowMs) }
    })
  }

  /** Stops the timer; calls of followers do nothing from now on. */
  close(): void {
    this.#closed = true
    this.#timer.close()
  }

  #recordOf(handle: FollowerHandle): FollowerRecord | undefined {
    if (this.#closed) return undefined
    const record = this.#followers.get(handle.id)
    return record?.handle === handle ? record : undefined
  }

  #remove(record: FollowerRecord, reason: string): void {
    const state = this.tracker.stateOf(record.id)
    if (state !== 'adding' && state !== 'counting') return
    const members = this.tracker.members().filter((id) => id !== record.id)
    const ordinal = this.#options.append(members)
    if (ordinal === undefined) return
    this.#options.emit({ name: 'standbyLost', peer: record.id, reason })
    this.#applyNews(this.tracker.remove(record.id, ordinal))
    this.#options.changed()
  }

  #removeSlow(record: FollowerRecord, why: string): void {
    const state = this.tracker.stateOf(record.id)
    if (state !== 'adding' && state !== 'counting') return
    const pauseMs = record.readmission.tooSlow(this.#options.clock.nowMs())
    this.#remove(record, pauseMs === 0 ? why : `${why}, again: it stays out for ${pauseMs} ms`)
    if (pauseMs > 0) this.#timer.setBy(record.readmission.dueMs)
  }

  #applyNews(news: MembershipNews): void {
    for (const peer of news.counting) this.#options.emit({ name: 'standbyInSync', peer })
    if (this.tracker.counting > 0) {
      if (this.#redundancy === 'redundant') return
      this.#redundancy = 'redundant'
      this.#firstWaitEndsMs = undefined
      this.#options.emit({ name: 'redundant' })
    } else if (this.#firstWaitEndsMs === undefined && this.tracker.isEmpty) {
      // No further wait is needed: the last member was waited for before its removal, or is known
      // to be gone.
      this.#degrade()
    }
  }

  #degrade(): void {
    if (this.#redundancy === 'degraded' || this.#redundancy === 'blocked') return
    const blocked = this.#options.onNoStandby === 'block'
    this.#redundancy = blocked ? 'blocked' : 'degraded'
    this.#options.emit({ name: 'degraded', blocked })
    this.#options.changed()
  }

  /** Called by the timer: removes members that have been silent for too long. */
  #check(nowMs: number, lateMs: number): void {
    this.#grantDelay(lateMs)
    let nextMs = this.#checkFirstWait(nowMs)
    for (const record of this.#followers.values()) {
      const dueMs = this.#silentUntilMs(record)
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs)
      else if (record.lostSinceMs !== undefined)
        this.#remove(record, 'it is silent, or its stream ended')
      else this.#removeSlow(record, 'it is too slow')
    }
    for (const record of this.#followers.values()) this.#readmit(record)
    this.#timer.setBy(nextMs)
  }

  /** When this node itself was delayed, extends all deadlines instead of blaming the followers. */
  #grantDelay(lateMs: number): void {
    if (lateMs <= lateToleranceMs) return
    // Answers that arrived meanwhile are still unread, so more than the delay is granted.
    const grantedMs = lateMs + Math.min(lateMs, this.#options.degradeAfterMs)
    this.#silence.shift(grantedMs)
    if (this.#firstWaitEndsMs !== undefined) this.#firstWaitEndsMs += grantedMs
    for (const record of this.#followers.values()) record.grant(grantedMs)
  }

  #checkFirstWait(nowMs: number): number {
    if (this.#firstWaitEndsMs === undefined) return Number.POSITIVE_INFINITY
    if (this.#firstWaitEndsMs > nowMs) return this.#firstWaitEndsMs
    this.#firstWaitEndsMs = undefined
    if (this.tracker.isEmpty) this.#degrade()
    return Number.POSITIVE_INFINITY
  }

  /**
   * When a member's silence becomes too long; infinite for one that owes no acknowledgement and is
   * not lost.
   */
  #silentUntilMs(record: FollowerRecord): number {
    const state = this.tracker.stateOf(record.id)
    if (state === undefined || state === 'removing') return Number.POSITIVE_INFINITY
    const { degradeAfterMs } = this.#options
    if (record.lostSinceMs !== undefined) return record.lostSinceMs + degradeAfterMs
    const owesSinceMs = this.#owesSinceMs(record) ?? Number.POSITIVE_INFINITY
    return Math.max(owesSinceMs, record.movedAtMs) + degradeAfterMs
  }

  #owesSinceMs(record: FollowerRecord): number | undefined {
    const sinceMs = this.#silence.unansweredSinceMs(record.durable)
    return sinceMs === undefined ? undefined : Math.max(sinceMs, record.addedAtMs)
  }
}
