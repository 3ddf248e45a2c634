/** What the active's side of a stream works with, and what it tells. */

import type { LocalCopy } from '../../copy/local-copy.js'
import type { Term } from '../../history/position.js'
import type { Clock } from '../../interfaces/clock.js'
import type { StreamSource } from '../in-sync/stream-source.js'
import type { PlanMessage } from '../restore/plan.js'
import type { ProgressEvent, RefusedEvent } from './events.js'

/** What the active has for a follower. */
export interface OutgoingContext {
  readonly copy: LocalCopy
  readonly clock: Clock
  readonly degradeAfterMs: number
  /** Who feeds followers here, and the term that it feeds; undefined while nobody does. */
  serving(): { readonly source: StreamSource; readonly term: Term } | undefined
  /** Why this peer gets no data (a class that differs), or undefined. */
  refusal(peer: string): string | undefined
  promotable(peer: string): boolean
  /** Followers that lack changes up to this one cannot get them from the journal. */
  readableAfter(): number
  /** The journal turned out to be damaged. */
  unreadable(): void
  newRestoreId(): string
  report(event: OutgoingEvent): void
}

/** What the active tells of its followers. */
export type OutgoingEvent =
  | { readonly name: 'plan'; readonly peer: string; readonly plan: PlanMessage }
  | ProgressEvent
  | {
      readonly name: 'rejoined'
      readonly peer: string
      readonly plan: PlanMessage
      readonly files: number
      readonly bytes: number
      readonly ms: number
    }
  | RefusedEvent
