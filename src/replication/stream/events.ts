/** What both sides of a stream tell their nodes. */
import type { RestoreMethod, RestoreProgress } from '../restore/plan.js'

/** How far the restore of the follower is. */
export interface ProgressEvent {
  readonly name: 'progress'
  readonly peer: string
  readonly restoreId: string
  readonly method: RestoreMethod
  readonly progress: RestoreProgress
}

/** The active does not feed the follower. */
export interface RefusedEvent {
  readonly name: 'refused'
  readonly peer: string
  readonly code: string
  readonly reason: string
}
