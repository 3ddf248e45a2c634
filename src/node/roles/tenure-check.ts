/**
 * Checks whether this node may act as active: the writer asks before it assigns positions and
 * before it acknowledges writes, and reads ask whether they are current.
 */
import type { Role } from '../../core/state/facts.js'
import type { CoreState } from '../../core/state/state.js'
import type { TenureCheck } from '../../replication/write/types.js'

/** The part of the driver that the check uses. */
export interface TenureHolder {
  readonly role: Role
  readonly state: Pick<CoreState, 'tenure'>
  /** Milliseconds since the core last saw the time. */
  readonly lateMs: number
  input(input: { readonly type: 'tick' }): void
}

export class TimelyTenure implements TenureCheck {
  readonly #holder: TenureHolder
  readonly #heartbeatMs: number

  constructor(holder: TenureHolder, heartbeatMs: number) {
    this.#holder = holder
    this.#heartbeatMs = heartbeatMs
  }

  /**
   * After a pause the core first sees the time, because it may have lost the role or may have to
   * ask whether it still has it.
   */
  mayAct(): boolean {
    const holder = this.#holder
    if (holder.role !== 'active') return false
    if (holder.lateMs > this.#heartbeatMs) holder.input({ type: 'tick' })
    return holder.role === 'active' && holder.state.tenure?.asking === undefined
  }
}
