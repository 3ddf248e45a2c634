/**
 * Turns reports of the data side into events of the node, inputs of the core, and fields of
 * status().
 */
import type { CopyEvent } from '../../copy/contents/types.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { VaultIncident } from '../../copy/vault/incident.js'
import type { Role } from '../../core/state/facts.js'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import { noRoom } from '../../replication/content/no-room.js'
import type { WriterEvent } from '../../replication/in-sync/types.js'
import type { ProgressEvent } from '../../replication/stream/events.js'
import type { IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { OutgoingEvent } from '../../replication/stream/outgoing-types.js'
import type { Emit } from '../contract/events.js'
import type { Tried } from '../contract/tried.js'
import type { AdoptionResult } from '../data/adoption.js'
import type { Replica } from '../data/replica.js'
import type { OutsideOutcome, ReplicaReports } from '../data/replica-types.js'
import type { Refusal } from '../peers/refusals.js'
import type { CauseStatus, Causes } from '../roles/causes.js'
import { failureOf, textOf } from '../roles/causes.js'
import type { DriverInput } from '../roles/driver.js'
import { emitNamed, peerLagOf } from './reports.js'
import type { NodeStatus } from './status.js'

/** Errors that usually end a stream only for a moment; the next attempt shows whether they last. */
const passing: ReadonlySet<string> = new Set<ErrorCode>([
  'NOT_ACTIVE',
  'STALE_TERM',
  'CONNECTION_CLOSED',
  'PEER_REFUSED',
  'PEER_UNREACHABLE',
  'ABORTED',
  'CHANGED_OUTSIDE',
])

/** Files that one event names; further ones are only counted. */
const outsidePathsMax = 100

const moveDatabase =
  'Move the database to a path that no synced class claims, or declare it with its -wal and -shm as neverSynced; copy it with VACUUM INTO.'

/** The result of an attempt to follow. */
type StreamEvent = Exclude<IncomingEvent, { name: 'progress' | 'waits' }>

export interface ReplicaNewsOptions {
  readonly id: string
  readonly clock: Clock
  readonly emit: Emit
  readonly causes: Causes
  /** A stream was refused by this node or by the peer. */
  refused(refusal: Refusal): void
  replica(): Replica | undefined
  role(): Role
  /** Passes an input to the core. */
  input(input: DriverInput): void
}

export class ReplicaNews implements ReplicaReports {
  readonly #options: ReplicaNewsOptions
  /** The restore in progress on this node. */
  restore: NodeStatus['restore']
  /** The members that this node waits for at its start, since when and until when. */
  #waiting:
    | { readonly missing: readonly string[]; readonly sinceMs: number; readonly untilMs: number }
    | undefined

  /** Why no node serves, and since when. */
  #holding: { readonly reason: string; readonly sinceMs: number } | undefined

  constructor(options: ReplicaNewsOptions) {
    this.#options = options
  }

  copy(event: CopyEvent): void {
    const { emit } = this.#options
    switch (event.name) {
      case 'liveDatabase': {
        const { path, className } = event
        return emit('liveDatabase', { path, className, whatToDo: moveDatabase })
      }
      case 'journalDamaged': {
        const what = `the journal is damaged at ${event.where}, after change ${event.seq}: ${event.why}`
        return emit('error', new HotspareError('JOURNAL_CORRUPT', what))
      }
      case 'applyFailed':
      case 'checkpointFailed':
        return emit('error', event.error)
      case 'strangerClass': {
        const what = `changes of the class ${event.className}, which this node does not have`
        return emit('error', new HotspareError('POLICY_MISMATCH', what))
      }
      case 'stateLost': {
        const what = `the state of ${event.className} could not be rebuilt: ${event.why}`
        return emit('error', new HotspareError('STORAGE_CORRUPT', what))
      }
      default:
        return emitNamed(emit, event)
    }
  }

  writer(event: WriterEvent): void {
    const { emit } = this.#options
    if (event.name !== 'writersPaced') return emitNamed(emit, event)
    const { id: peer, lag, changesPerSecond } = event.pace
    emit('writersPaced', { peer, lag: peerLagOf(lag), changesPerSecond })
  }

  vault(incident: VaultIncident): void {
    const lostAcks = incident.changes.filter((change) => change.acknowledged === true).length
    const unknownAcks = incident.changes.length - lostAcks
    this.#options.emit('vaulted', { incident, lostAcks, unknownAcks })
  }

  outside({ unknown, differing, missing }: OutsideReport, outcome: OutsideOutcome): void {
    const found = [...unknown, ...differing].map(({ path }) => path)
    const all = [...found, ...missing]
    if (all.length === 0) return
    const paths = all.slice(0, outsidePathsMax)
    this.#options.emit('outsideChange', { paths, count: all.length, outcome })
  }

  adopting(count: number): void {
    const reason = `taking in ${count} files that another program changed`
    this.#options.causes.waits('promotion', reason)
  }

  adoption({ adopted, left, failures }: AdoptionResult): void {
    this.#options.causes.over('promotion')
    this.outside(adopted, 'adopted')
    this.outside(left, 'kept')
    for (const error of failures) this.#options.emit('error', error)
  }

  /** Handles reports of the source about restores of its followers. */
  outgoing(event: OutgoingEvent): void {
    const { id: source, emit } = this.#options
    const target = event.peer
    switch (event.name) {
      case 'plan': {
        const { restoreId, method } = event.plan
        return emit('restoreStarted', { restoreId, target, source, method })
      }
      case 'progress': {
        const { restoreId, method, progress } = event
        return emit('restoreProgress', { restoreId, target, source, method, ...progress })
      }
      case 'rejoined': {
        const { files, bytes: bytesMoved, ms } = event
        const { restoreId, method } = event.plan
        return emit('restored', { restoreId, target, source, method, files, bytesMoved, ms })
      }
      case 'refused':
        return this.#options.refused(event)
    }
  }

  /** Handles reports of the target about its restore and its attempts to follow. */
  incoming(event: IncomingEvent): void {
    switch (event.name) {
      case 'progress':
        return this.#onProgress(event)
      case 'waits':
        return this.#onWaits(event.error)
      default:
        if (event.name !== 'started') this.restore = undefined
        this.#tellCore(event)
        return this.#tellFollowing(event)
    }
  }
  /**
   * Records that these members are waited for at most that long, unless the role changes before.
   */
  wait(missing: readonly string[], sinceMs: number, forMs: number): void {
    this.#waiting = { missing, sinceMs, untilMs: sinceMs + forMs }
  }

  /** Records that no node serves until these members are back or an operator decides. */
  hold(missing: readonly string[], reason: string): void {
    const who = missing.length === 0 ? '' : ` (${missing.join(', ')})`
    const sinceMs = this.#holding?.sinceMs ?? this.#options.clock.nowMs()
    this.#holding = { reason: `holding: ${reason}${who}`, sinceMs }
  }

  /** What the node waits for at this time without a failed attempt. */
  waitingAt(nowMs: number): CauseStatus[] {
    const waits: CauseStatus[] = []
    const add = (what: Tried, reason: string, sinceMs: number): void => {
      const forMs = Math.round(nowMs - sinceMs)
      waits.push({ what, code: undefined, reason, attempts: 0, forMs })
    }
    if (this.#holding !== undefined) add('hold', this.#holding.reason, this.#holding.sinceMs)
    const { missing, sinceMs, untilMs } = this.#waiting ?? {}
    if (
      missing !== undefined &&
      sinceMs !== undefined &&
      untilMs !== undefined &&
      nowMs < untilMs
    ) {
      const forMs = Math.round(untilMs - nowMs)
      add('wait', `waiting up to ${forMs} ms for ${missing.join(', ')}`, sinceMs)
    }
    return waits
  }

  /** Ends the waits and attempts of the previous role. */
  roleChanged(role: Role): void {
    this.#waiting = undefined
    if (role !== 'discovering' && role !== 'stopped') this.#holding = undefined
    this.#options.causes.roleChanged(role)
  }

  #onProgress({ peer: source, restoreId, method, progress }: ProgressEvent): void {
    const { id: target, emit } = this.#options
    this.restore = { source, method, ...progress }
    emit('restoreProgress', { restoreId, target, source, method, ...progress })
  }

  #tellCore(event: StreamEvent): void {
    const term = this.#options.replica()?.inflow.followed?.term
    if (term === undefined) return
    this.#noteAttempt(event)
    const reason = 'reason' in event ? event.reason : undefined
    const method = event.name === 'started' ? event.plan.method : undefined
    const restoring = method === 'delta' || method === 'full'
    const input = { type: 'following', state: event.name, term, restoring } as const
    this.#options.input(reason === undefined ? input : { ...input, reason })
  }

  #tellFollowing(event: StreamEvent): void {
    const { id: target, emit } = this.#options
    const source = event.peer
    switch (event.name) {
      case 'started': {
        const { restoreId, method } = event.plan
        return emit('restoreStarted', { restoreId, target, source, method })
      }
      case 'complete': {
        const { restoreId, method, files, bytesMoved } = event
        const ms = Math.round(event.ms)
        return emit('restored', { restoreId, target, source, method, files, bytesMoved, ms })
      }
      case 'refused': {
        // That the peer is no longer active, or in another term, is no refusal of this node.
        const isPassing = event.code === 'NOT_ACTIVE' || event.code === 'STALE_TERM'
        return isPassing ? undefined : this.#options.refused(event)
      }
      case 'broken':
        return
    }
  }

  /**
   * Records the result of an attempt to follow. The end of an established stream counts as one, and
   * the next attempt shows more.
   */
  #noteAttempt(event: StreamEvent): void {
    const { causes } = this.#options
    if (event.name === 'complete') causes.over('follow')
    if (event.name !== 'refused' && event.name !== 'broken') return
    const { code, reason } = event
    // A refusal and a failed disk have events of their own.
    const isTold = event.name === 'refused' || causes.get('storage') !== undefined
    const quiet = isTold || passing.has(code)
    causes.failed('follow', { code, reason, quiet })
  }

  /** Reported once as long as the reason is the same. */
  #onWaits(error: HotspareError): void {
    const { causes, emit } = this.#options
    const failure = failureOf(error)
    const isNew = causes.get('follow') !== textOf(failure)
    causes.failed('follow', failure)
    if (isNew) emit('error', error)
  }

  room(refusal: string | undefined): void {
    const { causes } = this.#options
    if (refusal === undefined) return causes.over('room')
    causes.failed('room', failureOf(noRoom(refusal)))
  }

  /** A failed disk has the event `storageFailed`. */
  storage(event: 'failed' | 'failedAgain' | 'recovered'): void {
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
