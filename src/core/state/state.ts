import type { Extent, Position, Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'
import type { PeerView } from './messages.js'
import type { CoreEffect, CoreOptions, Decision } from './types.js'

/** An answer by which one side refuses the other. */
export interface Refused {
  readonly atMs: number
  readonly reason: string
  /** It came to a dial of ours. */
  readonly dialled: boolean
}

/** What is known of one other member. */
export interface Peer {
  readonly id: string
  /** Place in the takeover order. */
  readonly index: number
  readonly promotable: boolean
  /** Whether we can speak to it: our own connection to it stands, or one that it dialled. */
  link: boolean
  /** Our own connection to it stands: the source of the proof that its process is gone. */
  dialled: boolean
  /** A connection that it dialled stands. */
  accepted: boolean
  /** Since when it speaks to us over its own dial alone, whatever became of ours. */
  undialledSinceMs: number | undefined
  /** The process at the other end of the connection that was made last. */
  linkBootId: string | undefined
  /** Our own connection ended with reset or closed and has not come back. */
  lostLink: boolean
  /** Our last dial of it failed, and it has not shown itself by a dial since. */
  undialled: boolean
  /**
   * It answered with a refusal, or was refused, when, and why. Proves that a process lives, and
   * nothing about it.
   */
  refusal: Refused | undefined
  /** A message came after that end. */
  heardSinceLost: boolean
  /** The last dial was refused: no process listens there now. */
  refused: boolean
  /** Since when every dial of it is refused, so that no process can have lived there meanwhile. */
  refusedSinceMs: number | undefined
  /** Its process is proven gone. */
  gone: boolean
  /** It said goodbye. */
  stopped: boolean
  heardAtMs: number | undefined
  view: PeerView | undefined
  /**
   * How far its copy came in the term that we follow or last followed, also before its process was
   * replaced: the last change that it had, and the last one that it had durably.
   */
  reached: { readonly seq: number; readonly durable: Position | undefined } | undefined
  /** How its fetch gets on while it runs a round: a count that rises, and when it last did. */
  fetching: { readonly count: number; readonly atMs: number } | undefined
  /** As last reported by `peerUp` or `peerDown`; undefined before the first report. */
  up: boolean | undefined
  /** What the write path was last told of it, while we are active. */
  counted: 'unknown' | 'yes' | 'silent' | 'proven'
  /** Since when it is heard but does not hear us, while we are active. */
  deafSinceMs: number | undefined
  /**
   * Since when it has said that it does not hear us, whatever our role. A pause of our own does not
   * move it: the worst that comes of it is one more dial.
   */
  unheardSinceMs: number | undefined
  /** Since when every attempt to fetch what its copy has beyond ours failed. */
  unfetchableSinceMs: number | undefined
  /** A query that could not be answered because our connection to it did not stand yet. */
  owedQueryId: number | undefined
}

/** Points in time; `late` shifts all of them but the heartbeat. */
export type TimerName =
  | 'activeLost'
  | 'asking'
  | 'backoff'
  | 'discovery'
  | 'doubt'
  | 'handover'
  | 'heartbeat'
  | 'known'
  | 'late'
  | 'otherRound'
  | 'pledge'
  | 'refollow'
  | 'round'
  | 'silent'
  | 'startup'
  | 'stop'
  | 'wait'

/** One search for an active; a new one asks everybody again. */
export interface Discovery {
  readonly queryId: number
  readonly answered: Set<string>
  /** All who can answer did, or `discoveryMs` passed. */
  complete: boolean
  /** The better candidate that is waited for. */
  waitFor: string | undefined
  /** Better candidates that did nothing for `deadMs`. */
  readonly excluded: Set<string>
}

/** The own attempt to become active. */
export interface Round {
  readonly kind: 'takeOver' | 'coldStart' | 'handover'
  readonly term: Term
  phase: 'preparing' | 'asking' | 'fetching' | 'gate' | 'opening'
  /** Undefined once durable. */
  persistId: number | undefined
  /** Undefined once the old stream is cut. */
  cutId: number | undefined
  /** The fetch or gate under way. */
  waitId: number | undefined
  readonly promises: Map<string, PeerView>
  /** Whose copy is being fetched from. */
  source: string | undefined
  /** When something of it came in; undefined before anything did. */
  fetchedAtMs: number | undefined
  /** What the own copy had when that began. */
  sourceSeq: number
  /**
   * Members in reach without what only they have this round goes on: they hand it over for too
   * long, or do not promise.
   */
  readonly skipped: Set<string>
  /** Members whose frozen copy was needed and not had, or not fetched. */
  missing: readonly string[]
  /** Before whom the role was, for events. */
  readonly from: string | undefined
  /** Since then somebody else may have taken the role. */
  readonly beganMs: number
  readonly handover:
    | { readonly from: Term; readonly seq: number; readonly giver: string }
    | undefined
  /** Why it ends with this step; set where the reason is learned, acted upon in one place. */
  abandoned: string | undefined
}

/** A promise given to another node's round. */
export interface Pledge {
  readonly term: Term
  readonly candidate: string
  persistId: number | undefined
  cutId: number | undefined
}

export interface Following {
  readonly id: string
  readonly term: Term
  /** Undefined once the promise of that term is durable. */
  persistId: number | undefined
  attempts: number
}

/** Another active that was learned of. */
export interface Rival {
  readonly id: string
  readonly term: Term
  readonly sinceMs: number
  /** Since when no path is known by which it hears us. */
  deafSinceMs: number | undefined
}

/** The question of an active that was late. */
export interface Asking {
  readonly queryId: number
  readonly sinceMs: number
  /**
   * The last answer of each member to this question, and when it came; nothing else that it said
   * counts.
   */
  readonly answers: Map<string, { readonly view: PeerView; readonly atMs: number }>
}

export interface Tenure {
  term: Term
  /** Opens a term above promises that were never used. */
  reopening: { readonly term: Term; persistId: number | undefined } | undefined
  /** Asks after having been late, before it goes on. */
  asking: Asking | undefined
  readonly rivals: Map<string, Rival>
  /** It began without what a member in reach has, and with a change of its own. */
  readonly forks: boolean
  /** The copy that a cold start began with; undefined for a tenure that began otherwise. */
  readonly startedWith: Extent | undefined
  /** Members that were named as those that may have had more. */
  readonly named: Set<string>
}

/** The giving side of a switchover. */
export interface Handover {
  readonly commandId: number | undefined
  readonly target: string
  readonly from: Term
  readonly offered: Term
  phase: 'draining' | 'persisting' | 'offering'
  drainId: number
  persistId: number | undefined
  seq: number
}

export interface Stopping {
  readonly commandIds: number[]
  phase: 'begin' | 'handover' | 'draining' | 'persisting'
  drainId: number | undefined
  persistId: number | undefined
  /** What was persisted as the way of this stop. */
  stopAs: DurableFacts['lastStop'] | undefined
}

export interface CoreState {
  readonly options: CoreOptions
  readonly index: number
  readonly promotable: boolean
  readonly peers: Map<string, Peer>
  role: Role
  started: boolean
  /**
   * The id of the persist that says `crashed`; undefined once durable. Nothing is decided before.
   */
  bootPersistId: number | undefined
  /** The id of the persist that made the present promise; undefined once that is durable. */
  promisePersistId: number | undefined
  nowMs: number
  wallMs: number
  readonly timers: Map<TimerName, number>
  copy: CopyFacts
  durable: DurableFacts
  /** How the run before this one ended. */
  previousStop: DurableFacts['lastStop']
  /**
   * This run has been standby or active: a takeover rests on the in-sync set, not on
   * `startupWaitMs`.
   */
  wasReplica: boolean
  /** This run joins: it serves nothing before it has followed an active once. */
  joining: boolean
  /** This run changed its role or its promise: how the run before ended proves nothing any more. */
  tookPart: boolean
  /** What this process fetched for its rounds, all in all: a count that only rises. */
  fetchedCount: number
  /** The active it follows or last followed, or that it offered the role to. */
  followed: { readonly id: string; readonly term: Term } | undefined
  /** The last term whose stream was caught up with. */
  completedTerm: Term | undefined
  /**
   * The last sign that the active counts on us: when it came, and whom the active heard then.
   * Undefined before any, and after this node stood still for long.
   */
  counted: { readonly atMs: number; readonly hears: readonly string[] } | undefined
  /**
   * When this process gave up the role, or began a round whose opening failed, and whom it heard
   * then, as long as it has followed nobody since; and the last term in which it served.
   */
  served:
    | {
        readonly atMs: number
        readonly term: Term | undefined
        readonly hears: readonly string[]
        /**
         * Who declined the role when it was offered then, as long as we promised it nothing since.
         */
        readonly declinedBy?: string | undefined
      }
    | undefined
  discovery: Discovery | undefined
  round: Round | undefined
  pledge: Pledge | undefined
  following: Following | undefined
  tenure: Tenure | undefined
  handover: Handover | undefined
  stopping: Stopping | undefined
  /** Failed attempts since the last success, for the back-off. */
  attempts: number
  /** Whom the last attempt that got as far as opening its term went on without. */
  leftOut: readonly string[]
  /**
   * The in-sync set may have changed without us: others heard the active for long while we did not.
   */
  setDoubted: boolean
  /** The round of another node that is waited for. */
  otherRound: Term | undefined
  readonly withoutPeers: Set<string>
  /**
   * The members that it holds for now, by `onMissingPeer: 'hold'`, where it knows of them only by
   * its search or its round.
   */
  holdsFor: readonly string[]
  readonly frozenFor: Set<'late' | 'handover' | 'stop'>
  /** Events that are said once per incident. */
  readonly reported: Set<string>
  /** A heartbeat goes out at the end of this step. */
  announce: boolean
  nextId: number
  effects: CoreEffect[]
  decisions: Decision[]
}

const joiningReason = 'it joins, and has not been restored from any member yet'

/** The own copy as it counts: one that joins is no candidate before it has followed an active. */
export function ownCopy(core: CoreState): CopyFacts {
  const { copy, joining } = core
  if (!joining || copy.ineligible !== undefined) return copy
  return { ...copy, ineligible: joiningReason }
}

export function peersOf(core: CoreState): Peer[] {
  return [...core.peers.values()]
}
