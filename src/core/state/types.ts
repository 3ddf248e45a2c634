/**
 * The vocabulary of the core: what goes in and what comes out.
 *
 * The core decides who is active and why. It is pure: `step(state, input)` changes nothing but the
 * state it is given, reads no clock and draws no randomness; every input carries the time. The
 * shell feeds it and carries out its effects in the order in which they are returned.
 */
import type { Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'
import type { CoreMessage } from './messages.js'

/** Timers and rules of the core; milliseconds where the name says so. */
export interface CoreOptions {
  readonly nodeId: string
  readonly bootId: string
  readonly cluster: string
  /** In takeover order. */
  readonly members: readonly CoreMember[]
  readonly heartbeatMs: number
  readonly deadMs: number
  readonly discoveryMs: number
  readonly startupWaitMs: number
  readonly degradeAfterMs: number
  readonly switchoverMs: number
  readonly onMissingPeer: 'takeOver' | 'hold'
  /**
   * `freshest`: position before takeover order; `list`: takeover order before position (the loss is
   * then yours).
   */
  readonly order: 'freshest' | 'list'
  readonly allowStale: boolean
  /**
   * This run serves nothing before it has followed an active once: the machine was replaced.
   * Default false.
   */
  readonly join?: boolean
}

export interface CoreMember {
  readonly id: string
  /** False for an observer: follows, is never promoted. */
  readonly promotable: boolean
}

/** Why a link or a dial failed. */
export type LinkCause = 'closed' | 'reset' | 'timeout' | 'protocol' | 'error'

/**
 * What happened. Every input carries the monotonic time in milliseconds, and the facts of the own
 * copy where they may have changed.
 */
export type CoreInput = {
  readonly nowMs: number
  readonly wallMs: number
  readonly copy?: CopyFacts
} & (
  | { readonly type: 'start'; readonly copy: CopyFacts; readonly durable: DurableFacts }
  /** The time moved on; `due`: the timer for the next deadline ran out. Default false. */
  | { readonly type: 'tick'; readonly due?: boolean }
  | { readonly type: 'message'; readonly from: string; readonly message: CoreMessage }
  /**
   * A connection to this peer stands (handshake done), on which both speak: our own dial, or one
   * that was accepted.
   */
  | {
      readonly type: 'linkUp'
      readonly peer: string
      readonly bootId: string
      /** The peer dialled it. Default false. */
      readonly accepted?: boolean
    }
  | {
      readonly type: 'linkDown'
      readonly peer: string
      readonly cause: LinkCause
      readonly accepted?: boolean
    }
  /**
   * `refused` is the proof that its process is gone, given that our own connection was reset or
   * closed before. With `rejected` somebody answered there, and would not have us or be had: see
   * `refusal`.
   */
  | {
      readonly type: 'dialFailed'
      readonly peer: string
      readonly cause: 'refused' | 'unreachable' | 'rejected'
      /** With `rejected`: why, in words for people. */
      readonly reason?: string
    }
  /**
   * Whoever seems to be this peer dialled us, and one side refused the other: its process lives.
   */
  | { readonly type: 'refusal'; readonly peer: string; readonly reason: string }
  /** The effect `persist` with this id is durable. */
  | { readonly type: 'persisted'; readonly id: number }
  /**
   * How following goes: `started` (plan known), `complete` (caught up: may be a standby), `broken`,
   * `refused`.
   */
  | {
      readonly type: 'following'
      readonly state: 'started' | 'complete' | 'broken' | 'refused'
      readonly term: Term
      /**
       * With `started`: the copy is replaced, so that it is no standby's until that is complete.
       */
      readonly restoring?: boolean
      readonly reason?: string
    }
  /**
   * Answer to `cutStream`: nothing of the old stream arrives any more, and all that arrived is
   * durable.
   */
  | { readonly type: 'cut'; readonly id: number }
  /** Answer to `fetch`: the missing suffix is here and durable, or why not. */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly ok: boolean
      readonly reason?: string
    }
  /**
   * Something of the fetch with this id came in; `count` rises over all fetches of this process.
   */
  | { readonly type: 'fetchProgress'; readonly id: number; readonly count: number }
  /** Answer to `mayBecomeActive`. */
  | { readonly type: 'gate'; readonly id: number; readonly ok: boolean }
  /**
   * What goes with the opening of a term takes long, and goes on: the others should wait for it.
   */
  | { readonly type: 'termProgress'; readonly term: Term }
  /** Answer to `openTerm`: the term stands durably in the journal. */
  | {
      readonly type: 'termOpened'
      readonly term: Term
      readonly ok: boolean
      readonly reason?: string
    }
  /**
   * Answer to `drain`: writes are frozen and the target has everything durably up to the copy's
   * seq; or it took too long.
   */
  | {
      readonly type: 'drained'
      readonly id: number
      readonly ok: boolean
      readonly reason?: string
    }
  /** The journal of an active failed: it cannot keep the role. */
  | { readonly type: 'copyFailed'; readonly reason: string }
  | { readonly type: 'command'; readonly id: number; readonly command: CoreCommand }
)

/** Operator commands. Each is answered by one effect `commandDone`. */
export type CoreCommand =
  | { readonly name: 'switchover'; readonly to: string | undefined }
  | { readonly name: 'stop' }
  /**
   * The way out of `onMissingPeer: 'hold'` and of `startupWaitMs`: take over without waiting for
   * these members.
   */
  | { readonly name: 'takeOver'; readonly withoutPeers: readonly string[] }

/** What the shell must do, in order. */
export type CoreEffect =
  | { readonly type: 'send'; readonly to: string; readonly message: CoreMessage }
  /**
   * Dial this peer anew if our own connection to it stands and is older than that; the old one goes
   * when the new one stands.
   */
  | { readonly type: 'redial'; readonly peer: string; readonly olderThanMs: number }
  /** Write these facts durably, then give the input `persisted`. */
  | { readonly type: 'persist'; readonly id: number; readonly facts: DurableFacts }
  | {
      readonly type: 'role'
      readonly role: Role
      readonly reason: string
      readonly term: Term | undefined
    }
  /**
   * Follow this peer's stream (its first frame says the plan); ends with `unfollow` or `cutStream`.
   */
  | { readonly type: 'follow'; readonly peer: string; readonly term: Term }
  | { readonly type: 'unfollow' }
  | { readonly type: 'cutStream'; readonly id: number }
  | { readonly type: 'fetch'; readonly id: number; readonly peer: string; readonly seq: number }
  | { readonly type: 'mayBecomeActive'; readonly id: number; readonly epoch: number }
  | { readonly type: 'openTerm'; readonly term: Term; readonly degraded: boolean }
  /**
   * Append an empty change in this term. A copy with changes beyond the start of the term then
   * counts as diverged instead of ahead, so that it may follow after it vaulted what only it has.
   */
  | { readonly type: 'fork' }
  /** Accept no write (calls wait) until `unfreeze`, a role change, or the end. */
  | { readonly type: 'freeze' }
  | { readonly type: 'unfreeze' }
  /**
   * Freeze has been said before. Bring everything to `target` durably and answer `drained`; the own
   * node id as target means that everything accepted so far is durable here (a clean stop without a
   * standby).
   */
  | {
      readonly type: 'drain'
      readonly id: number
      readonly target: string
      readonly deadlineMs: number
    }
  /**
   * This peer does not count as in sync any more; `proven` when its process is gone, or it said
   * goodbye or that it follows a newer active.
   */
  | { readonly type: 'peerLost'; readonly peer: string; readonly proven: boolean }
  | {
      readonly type: 'commandDone'
      readonly id: number
      readonly error?: { readonly code: string; readonly message: string }
    }
  | { readonly type: 'emit'; readonly event: CoreEvent }

/** What the core reports; the shell turns it into the node's typed events. */
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

/** One decision, for `explain()`: which rule, from which facts. */
export interface Decision {
  /** When it was taken first: milliseconds of the node's monotonic clock, and no time of day. */
  readonly atMs: number
  /** The rule, for example `takeover.needed`. */
  readonly rule: string
  /** What the rule said, for example `wait`. */
  readonly outcome: string
  /** The facts it rests on, as plain data; which ones depends on the rule. */
  readonly inputs: Readonly<Record<string, unknown>>
}
