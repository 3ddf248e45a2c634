import type { Extent, Position, Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'
import type { PeerView } from './messages.js'
import type { CoreEffect, CoreOptions, Decision } from './types.js'

/** A refusal that was sent or received during a handshake. */
export interface Refused {
  readonly atMs: number
  readonly reason: string
  /** Whether this node was dialling. */
  readonly dialled: boolean
}

/** What this node knows about another member. */
export interface Peer {
  readonly id: string
  /** Its place in the takeover order. */
  readonly index: number
  readonly promotable: boolean
  /** Whether messages can be sent to it, over a connection that either side dialled. */
  link: boolean
  /**
   * Whether the connection that this node dialled is open. Its end can prove that the process is
   * gone.
   */
  dialled: boolean
  /** Whether a connection that the peer dialled is open. */
  accepted: boolean
  /** Since when the only open connection is one that the peer dialled. */
  undialledSinceMs: number | undefined
  /** The process at the other end of the latest connection. */
  linkBootId: string | undefined
  /** The connection that this node dialled ended with reset or closed and was not replaced yet. */
  lostLink: boolean
  /** This node's last dial failed, and the peer has not dialled since. */
  undialled: boolean
  /** Its last refusal. It proves that a process is alive at its address, but not which one. */
  refusal: Refused | undefined
  /** Whether a message arrived after `lostLink` was set. */
  heardSinceLost: boolean
  /** The last dial was refused, so no process listens at its address. */
  refused: boolean
  /** Since when every dial has been refused, so that no process can have lived there meanwhile. */
  refusedSinceMs: number | undefined
  /** When a dial was last refused. */
  refusedAtMs: number | undefined
  /** Its process is proven to have ended. */
  gone: boolean
  /** It announced a clean stop. */
  stopped: boolean
  heardAtMs: number | undefined
  view: PeerView | undefined
  /**
   * The progress of its copy in the term that this node follows or last followed, also by earlier
   * processes of the peer: its last change, and its last durable change.
   */
  reached: { readonly seq: number; readonly durable: Position | undefined } | undefined
  /** The progress of its fetch during a round of its own: a rising count, and when it last rose. */
  fetching: { readonly count: number; readonly atMs: number } | undefined
  /** The last of `peerUp` and `peerDown` that was emitted; undefined before the first. */
  up: boolean | undefined
  /** What the write path was last told about it during this tenure. */
  counted: 'unknown' | 'yes' | 'silent' | 'proven'
  /** Since when it is heard but does not hear this node, during this tenure. */
  deafSinceMs: number | undefined
  /**
   * Since when it reports that it does not hear this node, in any role. A pause of this node does
   * not shift it, because the only consequence is one additional dial.
   */
  unheardSinceMs: number | undefined
  /** Since when every attempt to fetch the changes that this node lacks has failed. */
  unfetchableSinceMs: number | undefined
  /** A query to answer as soon as there is a connection to send the answer on. */
  owedQueryId: number | undefined
}

/** Named deadlines. A pause of this node shifts all of them except `heartbeat`. */
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

/** One search for an active member. A new search queries all members again. */
export interface Discovery {
  readonly queryId: number
  readonly answered: Set<string>
  /** Whether all reachable members have answered, or `discoveryMs` has passed. */
  complete: boolean
  /** The better candidate whose takeover this node waits for. */
  waitFor: string | undefined
  /** Better candidates that did not take over within `deadMs`. */
  readonly excluded: Set<string>
}

/** This node's attempt to become active. */
export interface Round {
  readonly kind: 'takeOver' | 'coldStart' | 'handover'
  readonly term: Term
  phase: 'preparing' | 'asking' | 'fetching' | 'gate' | 'opening'
  /** The persist of the promise; undefined once it is durable. */
  persistId: number | undefined
  /** The cut of the old stream; undefined once it is done. */
  cutId: number | undefined
  /** The fetch, or the gate call, in flight. */
  waitId: number | undefined
  readonly promises: Map<string, PeerView>
  /** The member that this node fetches from. */
  source: string | undefined
  /** When the first data of this fetch arrived. */
  fetchedAtMs: number | undefined
  /** The sequence number of this node's copy when the fetch began. */
  sourceSeq: number
  /**
   * Reachable members whose additional changes this round gives up: they failed to hand them over
   * for too long, or did not promise.
   */
  readonly skipped: Set<string>
  /** Members whose frozen copy was needed and could not be read or fetched. */
  missing: readonly string[]
  /** The previous holder of the role, for events. */
  readonly from: string | undefined
  /** When the round began. From then on another member may have taken the role. */
  readonly beganMs: number
  readonly handover:
    | { readonly from: Term; readonly seq: number; readonly giver: string }
    | undefined
  /** Why the round ends; set where the reason is found, handled in `checkRound`. */
  abandoned: string | undefined
}

/** A promise to the round of another node. */
export interface Pledge {
  readonly term: Term
  readonly candidate: string
  persistId: number | undefined
  cutId: number | undefined
}

export interface Following {
  readonly id: string
  readonly term: Term
  /** The persist of the promise of that term; undefined once it is durable. */
  persistId: number | undefined
  attempts: number
}

/** Another member that is active, as this node has learned. */
export interface Rival {
  readonly id: string
  readonly term: Term
  readonly sinceMs: number
  /** Since when no member is known that it hears and that hears this node. */
  deafSinceMs: number | undefined
}

/** The query that an active sends to all members after a pause, before it continues to serve. */
export interface Asking {
  readonly queryId: number
  readonly sinceMs: number
  /**
   * The last answer of each member to this query, with its arrival time. Other messages of that
   * member do not count as answers.
   */
  readonly answers: Map<string, { readonly view: PeerView; readonly atMs: number }>
}

export interface Tenure {
  term: Term
  /** A new term that is being opened above promises that were never used. */
  reopening: { readonly term: Term; persistId: number | undefined } | undefined
  /** The query after a pause, until it is settled. */
  asking: Asking | undefined
  readonly rivals: Map<string, Rival>
  /** Whether it began without changes that a reachable member has, so that the histories fork. */
  readonly forks: boolean
  /** The copy at the beginning of a cold start; undefined for other tenures. */
  readonly startedWith: Extent | undefined
  /** Members that were reported as possibly holding later changes. */
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
  /** The kind of stop that was persisted. */
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
   * The persist of `lastStop: 'crashed'`; undefined once it is durable. No decision is made before.
   */
  bootPersistId: number | undefined
  /** The persist of the current promise; undefined once it is durable. */
  promisePersistId: number | undefined
  nowMs: number
  wallMs: number
  readonly timers: Map<TimerName, number>
  copy: CopyFacts
  durable: DurableFacts
  /** How the previous process ended. */
  previousStop: DurableFacts['lastStop']
  /**
   * Whether this process has been standby or active. Its takeovers then rest on the in-sync set
   * instead of `startupWaitMs`.
   */
  wasReplica: boolean
  /** Whether this node joins the cluster: it does not serve before it has followed an active. */
  joining: boolean
  /**
   * Whether this process has changed its role or promise, after which the end of the previous
   * process proves nothing.
   */
  tookPart: boolean
  /** The amount that this process has fetched for its rounds; it only rises. */
  fetchedCount: number
  /**
   * The active that this node follows or last followed, or the member that it offered the role to.
   */
  followed: { readonly id: string; readonly term: Term } | undefined
  /** The last term whose stream this node caught up with. */
  completedTerm: Term | undefined
  /**
   * When the active last showed that it counts on this node, and the members that the active heard
   * then. Undefined before the first sign, and after a long pause of this node.
   */
  counted: { readonly atMs: number; readonly hears: readonly string[] } | undefined
  /**
   * When this process gave up the role, or began a round in which opening the term failed; the
   * members that it heard then; and the last term in which it served. Undefined once it has
   * followed an active since.
   */
  served:
    | {
        readonly atMs: number
        readonly term: Term | undefined
        readonly hears: readonly string[]
        /**
         * The member that declined an offer of the role then, until this node promises it
         * something.
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
  /** Failed rounds since the last success, for the back-off. */
  attempts: number
  /** The members that the last round that tried to open its term went without. */
  leftOut: readonly string[]
  /**
   * Whether the in-sync set may have changed unnoticed: other members heard the active for a long
   * time while this node did not.
   */
  setDoubted: boolean
  /** The round of another node whose end this node waits for. */
  otherRound: Term | undefined
  readonly withoutPeers: Set<string>
  /**
   * The members that this node holds for now, with `onMissingPeer: 'hold'`, as far as only its
   * search or round shows it.
   */
  holdsFor: readonly string[]
  readonly frozenFor: Set<'late' | 'handover' | 'stop'>
  /** Keys of the events that are emitted only once per incident. */
  readonly reported: Set<string>
  /** Whether a heartbeat is sent at the end of this step. */
  announce: boolean
  nextId: number
  effects: CoreEffect[]
  decisions: Decision[]
}

const joiningReason = 'it joins, and has not been restored from any member yet'

/**
 * This node's copy as others may count on it: a joining node is no candidate before it has followed
 * an active.
 */
export function ownCopy(core: CoreState): CopyFacts {
  const { copy, joining } = core
  if (!joining || copy.ineligible !== undefined) return copy
  return { ...copy, ineligible: joiningReason }
}

export function peersOf(core: CoreState): Peer[] {
  return [...core.peers.values()]
}
