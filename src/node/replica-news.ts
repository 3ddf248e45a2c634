/** What the data side of a node tells: the events that become of it, what the core learns, and what status() says of it. */
import type { Role } from '../core/types.js'
import type { ErrorCode, HotspareError } from '../errors.js'
import type { DriverInput } from './driver.js'
import type { Refusal } from './refusals.js'
import type { Replica } from './replica.js'
import type { ReplicaEvent } from './replica-types.js'
import type { Emit } from './reports.js'
import {
  reportCopy,
  reportIncoming,
  reportOutgoing,
  reportOutside,
  reportVault,
  reportWriter,
} from './reports.js'
import type { NodeStatus } from './status.js'

/** What a restore that broke is tried again with in vain, until somebody does something about it. */
const needsPerson: ReadonlySet<ErrorCode | undefined> = new Set(['VAULT_FULL', 'SNAPSHOT_FAILED'])

export interface ReplicaNewsOptions {
  readonly id: string
  readonly emit: Emit
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
  /** Why the node makes no progress. */
  stuck: string | undefined
  /** For whom it waits at its start, and until when. */
  #waiting: { readonly missing: readonly string[]; readonly untilMs: number } | undefined

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
      case 'outside':
        return reportOutside(emit, event, 'repaired')
      case 'adopting':
        this.stuck = `taking in ${event} files that another program changed`
        return
      case 'adoption': {
        this.stuck = undefined
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

  /** These members are given until then to show up, unless the role changes before; undefined when nobody is waited for. */
  wait(missing: readonly string[] | undefined, untilMs: number = 0): void {
    this.#waiting = missing === undefined ? undefined : { missing, untilMs }
  }

  /** For whom the node waits at this time. */
  waitingAt(nowMs: number): string | undefined {
    if (this.#waiting === undefined || nowMs >= this.#waiting.untilMs) return undefined
    const { missing, untilMs } = this.#waiting
    return `waiting up to ${Math.round(untilMs - nowMs)} ms for ${missing.join(', ')}`
  }

  /** Nobody serves before these members are back, or an operator decides. */
  hold(missing: readonly string[], reason: string): void {
    const who = missing.length === 0 ? '' : ` (${missing.join(', ')})`
    this.stuck = `holding: ${reason}${who}`
  }

  #onIncoming(event: Extract<ReplicaEvent, { from: 'incoming' }>['event']): void {
    const { id, emit } = this.#options
    const { peer } = event
    const term = this.#options.replica()?.followedTerm
    if (event.name === 'progress') {
      const { progress, restoreId } = event
      const method = this.#options.replica()?.incoming?.plan?.method ?? 'full'
      this.restore = { source: peer, method, ...progress }
      emit('restoreProgress', { restoreId, target: id, source: peer, method, ...progress })
      return
    }
    if (event.name === 'waits') return this.#onWaits(event.error)
    if (event.name !== 'started') this.restore = undefined
    if (term === undefined) return
    if (event.name === 'complete') this.stuck = undefined
    if (event.name === 'refused') this.stuck = `${event.code}: ${event.reason}`
    if (event.name === 'broken' && needsPerson.has(event.code)) {
      this.stuck = `${event.code}: ${event.reason}`
    }
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

  /** Told once as long as the reason is the same. */
  #onWaits(error: HotspareError): void {
    const stuck = `${error.code}: ${error.message}`
    if (stuck === this.stuck) return
    this.stuck = stuck
    this.#options.emit('error', error)
  }

  #onStorage(event: 'failed' | 'recovered'): void {
    const { emit } = this.#options
    if (event === 'recovered') {
      this.stuck = undefined
      return emit('storageRecovered', {})
    }
    const replica = this.#options.replica()
    const error = replica?.copy.failed
    const reason = error === undefined ? 'storage' : `${error.code}: ${error.message}`
    this.stuck = reason
    if (this.#options.role() === 'active')
      return this.#options.input({ type: 'copyFailed', reason })
    replica?.breakStream(reason)
  }
}
