/**
 * The life of this node's role: what begins, continues and ends with it.
 *
 * Invariants: the application has a tenure exactly while this node is active; the tenure of a
 * running node ends only here, for writes, followers and the application alike.
 */
import { HotspareError } from '../errors.js'
import type { Term } from '../history/position.js'
import type { Clock } from '../interfaces/clock.js'
import type { Emit } from './contract/events.js'
import type { Replica } from './data/replica.js'
import type { ReplicaNews } from './report/replica-news.js'
import type { RoleChange, RoleOwner } from './roles/driver.js'
import type { TenureRunner } from './roles/tenure.js'
import type { WritePath } from './writes/write-path.js'

export interface RoleLifeOptions {
  readonly id: string
  readonly clock: Clock
  readonly emit: Emit
  readonly news: ReplicaNews
  readonly replica: Replica
  readonly writes: WritePath
  readonly tenures: TenureRunner
}

export class RoleLife implements RoleOwner {
  /** When this node took its present role, on the monotonic clock. */
  sinceMs = 0
  /** Resolves when this node is active or a standby for the first time. */
  readonly settled: Promise<void>
  #settle: () => void = () => undefined
  readonly #options: RoleLifeOptions

  constructor(options: RoleLifeOptions) {
    this.#options = options
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  changed(change: RoleChange): void {
    const { role, from, reason, term, followed } = change
    const { clock, emit, news, writes } = this.#options
    news.roleChanged(role)
    this.sinceMs = clock.nowMs()
    if (from === 'active') this.#giveUp(change)
    if (role === 'active' && term !== undefined) this.#begin(term)
    if ((role === 'restoring' || role === 'standby') && followed !== undefined)
      writes.forwarding.flush(followed)
    emit('role', { role, from, reason, term })
    if (role === 'active' || role === 'standby') this.#settle()
  }

  #begin(term: Term): void {
    const { tenures, writes } = this.#options
    tenures.begin(term)
    writes.forwarding.flushHere()
  }

  raise(term: Term): void {
    this.#options.tenures.raise(term)
  }

  #giveUp({ role, reason, handsOver }: RoleChange): void {
    const { id, writes } = this.#options
    // A stop with a handover is a switchover, so held writes go to the next active.
    const error =
      role === 'stopped'
        ? new HotspareError('STOPPED', `the node ${id} stopped`)
        : new HotspareError('NOT_ACTIVE', `${id} gave up the role: ${reason}`)
    if (handsOver) writes.handOver(error)
    else writes.abortTransactions(error)
    this.end(error)
  }

  end(error: HotspareError): void {
    const { replica, tenures } = this.#options
    replica.endTenure(error)
    tenures.end(error)
  }

  /**
   * Ends the role because the node stops. Writes in flight are answered when the replica closes.
   */
  stop(error: HotspareError): void {
    this.#options.writes.end(error)
    this.#options.tenures.end(error)
  }
}
