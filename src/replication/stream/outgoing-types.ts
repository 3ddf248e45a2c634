/** What the active's side of a stream depends on, and its events. */

import type { LocalCopy } from '../../copy/local-copy.js'
import type { Term } from '../../history/position.js'
import type { Clock } from '../../interfaces/clock.js'
import type { StreamSource } from '../in-sync/stream-source.js'
import type { PlanMessage } from '../restore/plan.js'
import type { ProgressEvent, RefusedEvent } from './events.js'

/** What the active provides for serving followers. */
export interface OutgoingContext {
  readonly copy: LocalCopy
  readonly clock: Clock
  readonly degradeAfterMs: number
  /**
   * The source that followers of this node get entries from, and its term; undefined while this
   * node serves no followers.
   */
  serving(): { readonly source: StreamSource; readonly term: Term } | undefined
  /** Why this peer is refused (its policy differs), or undefined. */
  refusal(peer: string): string | undefined
  promotable(peer: string): boolean
  /**
   * The journal is readable only after this change: a follower that lacks earlier ones cannot get
   * them from it.
   */
  readableAfter(): number
  /** Reading showed that the journal is damaged. */
  unreadable(): void
  newRestoreId(): string
  report(event: OutgoingEvent): void
}

/** The events of the active's side. */
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
