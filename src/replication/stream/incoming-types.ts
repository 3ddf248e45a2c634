/** What the follower's side of a stream depends on, its events and its states. */

import type { OutsideReport } from '../../copy/files/types.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import type { ErrorCode } from '../../error-codes.js'
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { Clock } from '../../interfaces/clock.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { Channel } from '../../protocol/channel.js'
import type { PlanMessage, RestoreMethod } from '../restore/plan.js'
import type { EntryIntake } from './entry-intake.js'
import type { ProgressEvent, RefusedEvent } from './events.js'

/** What a follower depends on. */
export interface IncomingContext {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  readonly vault: Vault
  readonly clock: Clock
  readonly stateClasses: readonly string[]
  /** A restore has put right what somebody else did to these files. */
  outsideRepaired(outside: OutsideReport): void
  /**
   * True when a class acknowledges from memory, so that entries are acknowledged when they arrive.
   */
  readonly acknowledgeReceipt: boolean
  readonly restoreBytesPerSecondMax: number
  readonly degradeAfterMs: number
  /**
   * How long the source may leave requests of the bulk lane unanswered before the lane ends, in
   * milliseconds.
   */
  readonly sourceSilentMs: number
  claims(path: string): boolean
  promised(): Term | undefined
  dial(peer: string, lane: 'stream' | 'bulk', signal: AbortSignal): Promise<Channel>
  report(event: IncomingEvent): void
}

/** The events of a follower's stream. */
export type IncomingEvent =
  | { readonly name: 'started'; readonly peer: string; readonly plan: PlanMessage }
  | ProgressEvent
  | {
      readonly name: 'complete'
      readonly peer: string
      readonly restoreId: string
      readonly method: RestoreMethod
      readonly files: number
      readonly bytesMoved: number
      readonly ms: number
    }
  | RefusedEvent
  /** The source could not serve a request, which is repeated later. */
  | { readonly name: 'waits'; readonly peer: string; readonly error: HotspareError }
  | {
      readonly name: 'broken'
      readonly peer: string
      readonly code: ErrorCode
      readonly reason: string
    }

/** What exists from `asking` on. */
export interface Connected {
  readonly channel: Channel
  readonly entries: EntryIntake
}

/** What exists from `preparing` on. */
export interface Planned extends Connected {
  readonly plan: PlanMessage
}

/** The states are described at the head of `incoming.ts`. */
export type IncomingState =
  | { readonly name: 'dialing' }
  | ({ readonly name: 'asking' } & Connected)
  | ({ readonly name: 'preparing' | 'restoring' | 'switching' | 'inStep' } & Planned)
  /** `files`: the number of files that the restore changed. */
  | ({ readonly name: 'catchingUp'; readonly files: number } & Planned)
  | { readonly name: 'ended' }
