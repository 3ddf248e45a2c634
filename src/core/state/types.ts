/**
 * Inputs, effects and events of the core.
 *
 * The core decides which node is active and why. It is pure: `step(state, input)` changes only the
 * state that it is given, and uses no clock and no randomness; every input carries the time. The
 * shell passes inputs and carries out the returned effects in their order.
 */
import type { Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'
import type { CoreMessage } from './messages.js'

/** Timers and rules of the core; durations are in milliseconds. */
export interface CoreOptions {
  readonly nodeId: string
  readonly bootId: string
  readonly cluster: string
  /** All members in takeover order, this node included. */
  readonly members: readonly CoreMember[]
  readonly heartbeatMs: number
  readonly deadMs: number
  readonly discoveryMs: number
  readonly startupWaitMs: number
  readonly degradeAfterMs: number
  readonly switchoverMs: number
  readonly onMissingPeer: 'takeOver' | 'hold'
  /**
   * How candidates are ranked: `freshest` by position and then by takeover order, `list` by
   * takeover order first, at the risk of losing changes.
   */
  readonly order: 'freshest' | 'list'
  readonly allowStale: boolean
  /**
   * Whether this node must follow an active before it may serve, as on a replaced machine. Default
   * false.
   */
  readonly join?: boolean
}

export interface CoreMember {
  readonly id: string
  /** False for an observer, which follows and is never promoted. */
  readonly promotable: boolean
}

/** Why a link or a dial failed. */
export type LinkCause = 'closed' | 'reset' | 'timeout' | 'protocol' | 'error'

/**
 * What happened. Every input carries the monotonic time in milliseconds, and the facts of this
 * node's copy when they may have changed.
 */
export type CoreInput = {
  readonly nowMs: number
  readonly wallMs: number
  readonly copy?: CopyFacts
} & (
  | { readonly type: 'start'; readonly copy: CopyFacts; readonly durable: DurableFacts }
  /** Time has passed. `due`: whether the timer of the next deadline has expired. Default false. */
  | { readonly type: 'tick'; readonly due?: boolean }
  | { readonly type: 'message'; readonly from: string; readonly message: CoreMessage }
  /** A connection to this peer is open, after its handshake. Both sides may send on it. */
  | {
      readonly type: 'linkUp'
      readonly peer: string
      readonly bootId: string
      /** Whether the peer dialled it. Default false. */
      readonly accepted?: boolean
    }
  | {
      readonly type: 'linkDown'
      readonly peer: string
      readonly cause: LinkCause
      readonly accepted?: boolean
    }
  /**
   * A dial failed. `refused` proves that the peer's process has ended, if the connection that this
   * node dialled was reset or closed before. `rejected`: a process answered, and one side refused
   * the other (see `refusal`).
   */
  | {
      readonly type: 'dialFailed'
      readonly peer: string
      readonly cause: 'refused' | 'unreachable' | 'rejected'
      /** The reason of a `rejected`, for people. */
      readonly reason?: string
    }
  /**
   * A process that claims to be this peer dialled, and one side refused the other. It proves that a
   * process is alive there.
   */
  | { readonly type: 'refusal'; readonly peer: string; readonly reason: string }
  /** The facts of the effect `persist` with this id are durable. */
  | { readonly type: 'persisted'; readonly id: number }
  /**
   * The state of the stream that this node follows: `started` (the source has answered with a
   * plan), `complete` (caught up, so that this node may be a standby), `broken`, or `refused`.
   */
  | {
      readonly type: 'following'
      readonly state: 'started' | 'complete' | 'broken' | 'refused'
      readonly term: Term
      /**
       * With `started`: whether the copy is being replaced, so that this node is no standby until
       * that is complete.
       */
      readonly restoring?: boolean
      readonly reason?: string
    }
  /**
   * The answer to `cutStream`: no more entries of the old stream arrive, and all that arrived are
   * durable.
   */
  | { readonly type: 'cut'; readonly id: number }
  /** The answer to `fetch`: whether the missing suffix has arrived and is durable. */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly ok: boolean
      readonly reason?: string
    }
  /** Data of the fetch with this id has arrived; `count` rises over all fetches of this process. */
  | { readonly type: 'fetchProgress'; readonly id: number; readonly count: number }
  /** The answer to `mayBecomeActive`. */
  | { readonly type: 'gate'; readonly id: number; readonly ok: boolean }
  /** Opening the term takes long and makes progress, so the other members should wait. */
  | { readonly type: 'termProgress'; readonly term: Term }
  /** The answer to `openTerm`: whether the term is durable in the journal. */
  | {
      readonly type: 'termOpened'
      readonly term: Term
      readonly ok: boolean
      readonly reason?: string
    }
  /**
   * The answer to `drain`: whether the target has durably received everything up to the copy's
   * `seq` in time. Writes are frozen.
   */
  | {
      readonly type: 'drained'
      readonly id: number
      readonly ok: boolean
      readonly reason?: string
    }
  /** The journal of the active failed, so that it cannot keep the role. */
  | { readonly type: 'copyFailed'; readonly reason: string }
  | { readonly type: 'command'; readonly id: number; readonly command: CoreCommand }
)

/** Operator commands. Each is answered by one `commandDone`. */
export type CoreCommand =
  | { readonly name: 'switchover'; readonly to: string | undefined }
  | { readonly name: 'stop' }
  /**
   * Takes over without waiting for these members, despite `onMissingPeer: 'hold'` and
   * `startupWaitMs`.
   */
  | { readonly name: 'takeOver'; readonly withoutPeers: readonly string[] }

/** What the shell has to do, in this order. */
export type CoreEffect =
  | { readonly type: 'send'; readonly to: string; readonly message: CoreMessage }
  /**
   * Dials this peer again if the connection that this node dialled is open and older than that. The
   * old connection is closed when the new one is open.
   */
  | { readonly type: 'redial'; readonly peer: string; readonly olderThanMs: number }
  /** Writes these facts durably and then passes the input `persisted`. */
  | { readonly type: 'persist'; readonly id: number; readonly facts: DurableFacts }
  | {
      readonly type: 'role'
      readonly role: Role
      readonly reason: string
      readonly term: Term | undefined
    }
  /**
   * Follows this peer's stream, whose first frame tells the plan, until `unfollow` or `cutStream`.
   */
  | { readonly type: 'follow'; readonly peer: string; readonly term: Term }
  | { readonly type: 'unfollow' }
  | { readonly type: 'cutStream'; readonly id: number }
  | { readonly type: 'fetch'; readonly id: number; readonly peer: string; readonly seq: number }
  | { readonly type: 'mayBecomeActive'; readonly id: number; readonly epoch: number }
  | { readonly type: 'openTerm'; readonly term: Term; readonly degraded: boolean }
  /**
   * Appends an empty change in this term. Copies with changes beyond the start of the term then
   * count as diverged instead of ahead, and can follow after they have put their own changes into
   * the vault.
   */
  | { readonly type: 'fork' }
  /** Holds back all writes until `unfreeze`, a change of role, or the end; their calls wait. */
  | { readonly type: 'freeze' }
  | { readonly type: 'unfreeze' }
  /**
   * Brings everything to `target` durably and answers with `drained`; `freeze` has been sent
   * before. With this node as target, everything accepted so far has to be durable here, for a
   * clean stop without a standby.
   */
  | {
      readonly type: 'drain'
      readonly id: number
      readonly target: string
      readonly deadlineMs: number
    }
  /**
   * This peer no longer counts as in sync. `proven`: its process has ended, it announced a clean
   * stop, or it says that it follows a newer active.
   */
  | { readonly type: 'peerLost'; readonly peer: string; readonly proven: boolean }
  | {
      readonly type: 'commandDone'
      readonly id: number
      readonly error?: { readonly code: string; readonly message: string }
    }
  | { readonly type: 'emit'; readonly event: CoreEvent }

/** What the core reports. The shell turns it into the node's events. */
export type CoreEvent =
  | { readonly name: 'peerUp'; readonly peer: string }
  | {
      readonly name: 'peerDown'
      readonly peer: string
      readonly cause: 'silent' | 'gone' | 'stopped'
    }
  | {
      readonly name: 'failover'
      readonly incident: string
      readonly from: string
      readonly term: Term
    }
  | {
      readonly name: 'possibleLoss'
      readonly incident: string
      readonly missing: readonly string[]
    }
  | { readonly name: 'waiting'; readonly missing: readonly string[]; readonly forMs: number }
  | { readonly name: 'unprovenStart'; readonly missing: readonly string[] }
  | {
      readonly name: 'activeUnreachable'
      readonly active: string
      readonly heardBy: readonly string[]
    }
  | {
      readonly name: 'splitBrain'
      readonly incident: string
      readonly actives: readonly { readonly id: string; readonly term: Term }[]
    }
  | { readonly name: 'steppedDown'; readonly reason: string; readonly term: Term }
  | { readonly name: 'holding'; readonly missing: readonly string[]; readonly reason: string }
  | { readonly name: 'outdated'; readonly known: Term }
  | { readonly name: 'late'; readonly lateMs: number }

/** A decision, as `explain()` shows it: the rule, its outcome and the facts behind it. */
export interface Decision {
  /** When it was first taken, in milliseconds of the node's monotonic clock. */
  readonly atMs: number
  /** The name of the rule, for example `takeover.needed`. */
  readonly rule: string
  /** The outcome, for example `wait`. */
  readonly outcome: string
  /** The facts behind it as plain data; which ones depends on the rule. */
  readonly inputs: Readonly<Record<string, unknown>>
}
