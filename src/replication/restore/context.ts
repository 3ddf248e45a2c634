/** What a restore works with on the target's side. */

import type { OutsideReport } from '../../copy/files/types.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BulkClient } from '../bulk/client.js'
import type { PlanMessage, RestoreProgress } from './plan.js'

/** What a restore works with. */
export interface RestoreContext {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  readonly vault: Vault
  readonly clock: Clock
  readonly stateClasses: readonly string[]
  readonly plan: PlanMessage
  /** Files that were found changed here at start and not repaired since. */
  readonly outside: OutsideReport
  readonly bulk: BulkClient
  readonly signal: AbortSignal
  /** 0: as fast as it goes. */
  readonly bytesPerSecondMax: number
  readonly peer: string
  /**
   * Whether a synced class of the own policy claims the path: all others stay untouched, whatever
   * the source says.
   */
  claims(path: string): boolean
  progress(progress: RestoreProgress): void
  /** The source cannot give what is asked for, and is asked again. */
  waits(error: HotspareError): void
}
