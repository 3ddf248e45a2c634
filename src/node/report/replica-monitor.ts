/**
 * What the data side of a node tells: the events that become of it, what the core learns, and what
 * status() says of it.
 */
import type { Role } from '../../core/state/facts.js'
import type { ErrorCode } from '../../error-codes.js'
import type { HotspareError } from '../../errors.js'
import { noRoom } from '../../replication/content/no-room.js'
import type { Emit } from '../contract/events.js'
import type { Replica } from '../data/replica.js'
import type { ReplicaEvent } from '../data/replica-types.js'
import type { Refusal } from '../peers/refusals.js'
import type { CauseStatus, Causes } from '../roles/causes.js'
import { failureOf, textOf } from '../roles/causes.js'
import type { DriverInput } from '../roles/driver.js'
import {
  reportCopy,
  reportIncoming,
  reportOutgoing,
  reportOutside,
  reportVault,
  reportWriter,
} from './reports.js'
import type { NodeStatus } from './status.js'

/**
 * What ends a stream as a rule without anybody having to do anything: the next attempt tells
 * whether it lasts.
 */
const passing: ReadonlySet<string> = new Set<ErrorCode>([
  'NOT_ACTIVE',
  'STALE_TERM',
  'CONNECTION_CLOSED',
  'PEER_REFUSED',
  'PEER_UNREACHABLE',
  'ABORTED',
  'CHANGED_OUTSIDE',
])

export interface ReplicaNewsOptions {
  readonly id: string
  readonly emit: Emit
  readonly causes: Causes
  /** A stream was refused, here or by the peer. */
  refused(refusal: Refusal): void
  replica(): Replica | undefined
  role(): Role
  /** Tells the core. */
  input(input: DriverInput): void
}

export class ReplicaNews {
  readonly #options: ReplicaNewsOptions
  /** The restore under way here. */
  restore: NodeStatus['restore']
  /** For whom it waits at its start, since when and until when. */
  #waiting:
    | { readonly missing: readonly string[]; readonly sinceMs: number; readonly untilMs: number }
    | undefined

  constructor(options: ReplicaNewsOptions) {
    this.#options = options
  }

  take({ from, event }: ReplicaEvent): void {
    const { id, emit } = this.#options
    switch (from) {
      case 'copy':
        return reportCopy(emit, event)
      case 'writer':
        return reportWriter(emit, event)
      case 'vault':
        return reportVault(emit, event)
      case 'outgoing':
        if (event.name === 'refused') return this.#options.refused(event)
        return reportOutgoing(emit, id, event)
      case 'incoming':
        this.#onIncoming(event)
        if (event.name === 'refused') return this.#onRefused(event)
        return reportIncoming(emit, id, event)
      case 'storage':
        return this.#onStorage(event)
      case 'room':
        return this.#onRoom(event)
      case 'outside':
        return reportOutside(emit, event, 'repaired')
      case 'adopting':
        return this.#options.causes.waits(
          'promotion',
          `taking in ${event} files that another program changed`,
        )
      case 'adoption': {
        this.#options.causes.over('promotion')
        reportOutside(emit, event.adopted, 'adopted')
        reportOutside(emit, event.left, 'kept')
        for (const error of event.failures) emit('error', error)
        return
      }
      case 'adoptedLater':
        return reportOutside(emit, event, 'adopted')
      case 'outsideOfActive':
        return reportOutside(emit, event, 'kept')
    }
  }

  /** These members are given so long to show up, unless the role changes before. */
  wait(missing: readonly string[], sinceMs: number, forMs: number): void {
    this.#waiting = { missing, sinceMs, untilMs: sinceMs + forMs }
  }

  /** For whom the node waits at this time. */
  waitingAt(nowMs: number): CauseStatus | undefined {
    if (this.#waiting === undefined || nowMs >= this.#waiting.untilMs) return undefined
    const { missing, sinceMs, untilMs } = this.#waiting
    const reason = `waiting up to ${Math.round(untilMs - nowMs)} ms for ${missing.join(', ')}`
    const forMs = Math.round(nowMs - sinceMs)
    return { what: 'wait', code: undefined, reason, attempts: 0, forMs }
  }

  /** Nobody serves before these members are back, or an operator decides. */
  hold(missing: readonly string[], reason: string): void {
    const who = missing.length === 0 ? '' : ` (${missing.join(', ')})`
    this.#options.causes.waits('hold', `holding: ${reason}${who}`)
  }

  /** What was tried in the role before is not tried any more, whatever became of it. */
  roleChanged(role: Role): void {
    const { causes } = this.#options
    this.#waiting = undefined
    if (role === 'restoring' || role === 'standby')
      causes.over('hold', 'fetch', 'promotion', 'room')
    else if (role === 'active') causes.over('follow', 'hold', 'fetch', 'promotion')
    else causes.over('follow', 'room')
  }

  #onIncoming(event: Extract<ReplicaEvent, { from: 'incoming' }>['event']): void {
    const { id, emit } = this.#options
    const { peer } = event
    const term = this.#options.replica()?.inflow.followed?.term
    if (event.name === 'progress') {
      const { progress, restoreId, method } = event
      this.restore = { source: peer, method, ...progress }
      emit('restoreProgress', { restoreId, target: id, source: peer, method, ...progress })
      return
    }
    if (event.name === 'waits') return this.#onWaits(event.error)
    if (event.name !== 'started') this.restore = undefined
    if (term === undefined) return
    this.#noteAttempt(event)
    const reason = 'reason' in event ? event.reason : undefined
    const method = event.name === 'started' ? event.plan.method : undefined
    const restoring = method === 'delta' || method === 'full'
    const input = { type: 'following', state: event.name, term, restoring } as const
    this.#options.input(reason === undefined ? input : { ...input, reason })
  }

  /** That the other is active no more, or in another term, is no refusal of this node. */
  #onRefused(refusal: Refusal): void {
    if (refusal.code !== 'NOT_ACTIVE' && refusal.code !== 'STALE_TERM')
      this.#options.refused(refusal)
  }

  /**
   * What became of an attempt to follow. That a stream which stood ended is one, too: the next one
   * tells more.
   */
  #noteAttempt(event: Extract<ReplicaEvent, { from: 'incoming' }>['event']): void {
    const { causes } = this.#options
    if (event.name === 'complete') causes.over('follow')
    if (event.name !== 'refused' && event.name !== 'broken') return
    const { code, reason } = event
    // A refusal, and a disk that failed, have events of their own.
    const isTold = event.name === 'refused' || causes.get('storage') !== undefined
    const quiet = isTold || passing.has(code)
    causes.failed('follow', { code, reason, quiet })
  }

  /** Told once as long as the reason is the same. */
  #onWaits(error: HotspareError): void {
    const { causes, emit } = this.#options
    const failure = failureOf(error)
    const isNew = causes.get('follow') !== textOf(failure)
    causes.failed('follow', failure)
    if (isNew) emit('error', error)
  }

  #onRoom(refusal: string | undefined): void {
    const { causes } = this.#options
    if (refusal === undefined) return causes.over('room')
    causes.failed('room', failureOf(noRoom(refusal)))
  }

  /** What the disk failed with has the event `storageFailed`. */
  #onStorage(event: 'failed' | 'failedAgain' | 'recovered'): void {
    const { emit, causes } = this.#options
    if (event === 'recovered') {
      causes.over('storage')
      return emit('storageRecovered', {})
    }
    const replica = this.#options.replica()
    const error = replica?.copy.failed
    const failure = error === undefined ? { code: undefined, reason: 'storage' } : failureOf(error)
    causes.failed('storage', { ...failure, quiet: true })
    if (event === 'failedAgain') return
    const reason = textOf(failure)
    if (this.#options.role() === 'active')
      return this.#options.input({ type: 'copyFailed', reason })
    replica?.inflow.breakStream(error?.code ?? 'STORAGE_FAILED', reason)
  }
}
