/** The events that both sides of a stream report. */
import type { RestoreMethod, RestoreProgress } from '../restore/plan.js'

/** The progress of the follower's restore. */
export interface ProgressEvent {
  readonly name: 'progress'
  readonly peer: string
  readonly restoreId: string
  readonly method: RestoreMethod
  readonly progress: RestoreProgress
}

/** The active refused the follower, or ended its stream. */
export interface RefusedEvent {
  readonly name: 'refused'
  readonly peer: string
  readonly code: string
  readonly reason: string
}
