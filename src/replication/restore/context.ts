/** What a restore depends on at the target. */

import type { OutsideReport } from '../../copy/files/types.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BulkClient } from '../bulk/client.js'
import type { PlanMessage, RestoreProgress } from './plan.js'

/** What a restore depends on. */
export interface RestoreContext {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  readonly vault: Vault
  readonly clock: Clock
  readonly stateClasses: readonly string[]
  readonly plan: PlanMessage
  /** Files that the scan at the start found changed, and that are not repaired yet. */
  readonly outside: OutsideReport
  readonly bulk: BulkClient
  readonly signal: AbortSignal
  /** 0 means unlimited. */
  readonly bytesPerSecondMax: number
  readonly peer: string
  /**
   * Whether a synced class of this node's policy claims the path. All other paths stay untouched,
   * whatever the source sends.
   */
  claims(path: string): boolean
  progress(progress: RestoreProgress): void
  /** The source could not serve a request, which is repeated later. */
  waits(error: HotspareError): void
}
