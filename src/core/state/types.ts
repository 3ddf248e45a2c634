/**
 * The vocabulary of the core: what goes in, what comes out, and what nodes tell each other about
 * roles.
 *
 * The core decides who is active and why. It is pure: `step(state, input)` changes nothing but the
 * state it is given, reads no clock and draws no randomness; every input carries the time. The
 * shell feeds it and carries out its effects in the order in which they are returned.
 */
import type { Extent, Term } from '../../history/position.js'

/** What a node is doing. */
export type Role = 'stopped' | 'discovering' | 'restoring' | 'standby' | 'active'

/** Facts of a node's copy, told to the core whenever they change and by the core to its peers. */
export interface CopyFacts extends Extent {
  /** The sequence number up to which the journal is durable here. */
  readonly durableSeq: number
  /** The oldest change that its journal can hand over; undefined when it begins with the first one. */
  readonly firstSeq?: number | undefined
  /**
   * False while the copy on disk is no consistent state (a journal damaged in the middle, a roll-
   * forward not finished).
   */
  readonly complete: boolean
  /** The last journaled in-sync set; undefined when the journal holds none. */
  readonly inSync: readonly string[] | undefined
  /**
   * Whether `inSync` may be trusted for a takeover: this node has followed the stream without a gap
   * since that fact was journaled. False after a restart, or after it lacked the stream while
   * others heard the active.
   */
  readonly inSyncKnown: boolean
  /**
   * Whether the process before this one may have acknowledged changes from memory that its disk does not hold, and this one
   * has not caught up with an active since. Undefined from a version that does not say.
   */
  readonly forgot?: boolean | undefined
  /**
   * Why this copy may not be promoted (full disk, policy mismatch, observer); undefined when it
   * may.
   */
  readonly ineligible: string | undefined
  /**
   * The last change that this node acknowledged as held by a standby too, in its present tenure; undefined when there
   * is none.
   */
  readonly heldSeq?: number | undefined
}

/**
 * What the node keeps durably about roles, in one document. Every change of it is an effect
 * `persist`.
 */
export interface DurableFacts {
  /**
   * The highest term promised: streams of lower ones, or of another of the same epoch, are refused.
   */
  readonly promised: Term | undefined
  /**
   * The highest position heard of: the term and the sequence number of a change that was durable somewhere, for
   * `outdated`. A term without changes is no position.
   */
  readonly known: { readonly term: Term; readonly seq: number } | undefined
  /**
   * How the last run ended: `crashed` while running (written at start), `active` for a clean stop
   * of an active that handed over to nobody, `standby` for any other clean stop.
   */
  readonly lastStop: 'never' | 'crashed' | 'active' | 'standby'
  /**
   * Terms of which this node had everything, and that left its history since this was nothing; oldest first. Undefined
   * where there are none, and from a version that does not say.
   */
  readonly leftEmpty?: readonly Term[] | undefined
}

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
  /** This run serves nothing before it has followed an active once: the machine was replaced. Default false. */
  readonly join?: boolean
}

export interface CoreMember {
  readonly id: string
  /** False for an observer: follows, is never promoted. */
  readonly promotable: boolean
}

/** What a node says of itself in every heartbeat and answer. */
export interface PeerView {
  readonly role: Role
  readonly bootId: string
  /**
   * Members heard within `deadMs` (the receiver finds itself here when it is heard: liveness is
   * two-way).
   */
  readonly hears: readonly string[]
  /** Members that it cannot dial: their port is closed, or the address that it has for them is wrong. */
  readonly cannotDial: readonly string[]
  /** The term it is active in, only while it is active. */
  readonly activeTerm: Term | undefined
  /** The active it follows or last followed, with its term, and whether it hears that one now. */
  readonly follows:
    | { readonly id: string; readonly term: Term; readonly heard: boolean }
    | undefined
  readonly promised: Term | undefined
  readonly copy: CopyFacts
  /** Whether it knows of a later term or position than its copy holds. */
  readonly outdated: boolean
  /** That later position, so that a candidate can tell whether what it gathered covers it. */
  readonly known: DurableFacts['known']
  /** How its run before this one ended: `active` proves its copy for a cold start. */
  readonly lastStop: DurableFacts['lastStop']
  /** The terms that it had without a change, and that left its history. */
  readonly leftEmpty?: DurableFacts['leftEmpty']
  /** The takeover round it runs or takes part in. */
  readonly round: Term | undefined
  /**
   * Members without which it does not take the role (`onMissingPeer: 'hold'`). Undefined when it holds for nobody, and from a
   * version that does not say.
   */
  readonly holdsFor?: readonly string[] | undefined
  /**
   * While it fetches what its round needs: how much it has brought in, a count that rises as long as it gets on. Undefined
   * otherwise, and from a version that does not say.
   */
  readonly fetching?: number | undefined
  /** True while it is late itself and should not be believed about others. */
  readonly late: boolean
}

/** Messages between cores. */
export type CoreMessage =
  /**
   * Every `heartbeatMs`, and at once after a change of role. History only where it changed is a
   * matter of the shell.
   */
  | { readonly type: 'heartbeat'; readonly view: PeerView }
  /** Asks for an `answer`; sent to all by a node that discovers, or by an active that was late. */
  | { readonly type: 'query'; readonly queryId: number; readonly view: PeerView }
  | { readonly type: 'answer'; readonly queryId: number; readonly view: PeerView }
  /**
   * Asks to promise `term`; the receiver cuts its old stream, promises durably, and answers with
   * its frozen copy.
   */
  | { readonly type: 'promiseRequest'; readonly term: Term; readonly view: PeerView }
  | {
      readonly type: 'promise'
      readonly term: Term
      /**
       * Why it does not promise: it hears the active, promised higher, is active itself, is a
       * better candidate.
       */
      readonly refused:
        | 'hearsActive'
        | 'promisedHigher'
        | 'isActive'
        | 'betterCandidate'
        | undefined
      readonly view: PeerView
    }
  /** The planned handover: the sender has given up `from` durably and offers `epoch`. */
  | {
      readonly type: 'handover'
      readonly from: Term
      readonly offered: Term
      readonly seq: number
    }
  /** The target cannot take the role (ineligible, not at that position, promised higher). */
  | { readonly type: 'handoverRefused'; readonly from: Term; readonly reason: string }
  /** A clean stop; the sender will not answer any more. */
  | { readonly type: 'goodbye'; readonly view: PeerView }

/** Why a link or a dial failed. */
export type LinkCause = 'closed' | 'reset' | 'timeout' | 'protocol' | 'error'

/** What happened. Every input carries the monotonic time in milliseconds. */
export type CoreInput = { readonly nowMs: number; readonly wallMs: number } & (
  | { readonly type: 'start'; readonly copy: CopyFacts; readonly durable: DurableFacts }
  | { readonly type: 'tick' }
  | { readonly type: 'message'; readonly from: string; readonly message: CoreMessage }
  /** A connection to this peer stands (handshake done), on which both speak: our own dial, or one that was accepted. */
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
   * `refused` is the proof that its process is gone, given that our own connection was reset or closed
   * before. With `rejected` somebody answered there, and would not have us or be had: see `refusal`.
   */
  | {
      readonly type: 'dialFailed'
      readonly peer: string
      readonly cause: 'refused' | 'unreachable' | 'rejected'
      /** With `rejected`: why, in words for people. */
      readonly reason?: string
    }
  /** Whoever seems to be this peer dialled us, and one side refused the other: its process lives. */
  | { readonly type: 'refusal'; readonly peer: string; readonly reason: string }
  /** The effect `persist` with this id is durable. */
  | { readonly type: 'persisted'; readonly id: number }
  /** Facts of the own copy changed. */
  | { readonly type: 'copy'; readonly copy: CopyFacts }
  /**
   * How following goes: `started` (plan known), `complete` (caught up: may be a standby), `broken`,
   * `refused`.
   */
  | {
      readonly type: 'following'
      readonly state: 'started' | 'complete' | 'broken' | 'refused'
      readonly term: Term
      /** With `started`: the copy is replaced, so that it is no standby's until that is complete. */
      readonly restoring?: boolean
      readonly reason?: string
    }
  /**
   * Answer to `cutStream`: nothing of the old stream arrives any more, and all that arrived is
   * durable.
   */
  | { readonly type: 'cut'; readonly id: number; readonly copy: CopyFacts }
  /** Answer to `fetch`: the missing suffix is here and durable, or why not. */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly ok: boolean
      readonly copy: CopyFacts
      readonly reason?: string
    }
  /** Something of the fetch with this id came in; `count` rises over all fetches of this process. */
  | { readonly type: 'fetchProgress'; readonly id: number; readonly count: number }
  /** Answer to `mayBecomeActive`. */
  | { readonly type: 'gate'; readonly id: number; readonly ok: boolean }
  /** What goes with the opening of a term takes long, and goes on: the others should wait for it. */
  | { readonly type: 'termProgress'; readonly term: Term }
  /** Answer to `openTerm`: the term stands durably in the journal. */
  | {
      readonly type: 'termOpened'
      readonly term: Term
      readonly ok: boolean
      readonly copy: CopyFacts
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
      readonly copy: CopyFacts
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
  /** Journal a change that changes nothing: whoever has more than this term began with is on another history from here. */
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
