/** Messages between the cores of two nodes. */
import type { Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'

/** What a node reports about itself in every heartbeat and answer. */
export interface PeerView {
  readonly role: Role
  readonly bootId: string
  /**
   * Members heard within `deadMs`. The receiver looks for itself here, because liveness is judged
   * in both directions.
   */
  readonly hears: readonly string[]
  /** Members that it cannot dial, because a port is closed or an address is wrong. */
  readonly cannotDial: readonly string[]
  /** The term in which it is active; undefined in other roles. */
  readonly activeTerm: Term | undefined
  /**
   * The active that it follows or last followed, with its term, and whether it hears that active.
   */
  readonly follows:
    | { readonly id: string; readonly term: Term; readonly heard: boolean }
    | undefined
  readonly promised: Term | undefined
  readonly copy: CopyFacts
  /** Whether it knows a later term or position than its copy holds. */
  readonly outdated: boolean
  /** That later position, by which a candidate can tell whether it has fetched enough. */
  readonly known: DurableFacts['known']
  /** How its previous process ended; `active` proves its copy for a cold start. */
  readonly lastStop: DurableFacts['lastStop']
  /** Empty terms that it had and that left its history. */
  readonly leftEmpty?: DurableFacts['leftEmpty']
  /** The round that it runs or has promised to. */
  readonly round: Term | undefined
  /**
   * Members without which it does not take the role, with `onMissingPeer: 'hold'`. Undefined when
   * there are none, and from a version that does not report them.
   */
  readonly holdsFor?: readonly string[] | undefined
  /**
   * During the fetch of its round: the amount fetched so far, which rises as long as the fetch
   * makes progress. Undefined otherwise, and from a version that does not report it.
   */
  readonly fetching?: number | undefined
  /** Whether it has just been paused, so that its reports about other members may be outdated. */
  readonly late: boolean
}

/** A message between cores. */
export type CoreMessage =
  /** Sent every `heartbeatMs`, and immediately after a change of role. */
  | { readonly type: 'heartbeat'; readonly view: PeerView }
  /**
   * Asks for an `answer`. Sent to all members by a node that looks for an active, and by an active
   * after a pause.
   */
  | { readonly type: 'query'; readonly queryId: number; readonly view: PeerView }
  | { readonly type: 'answer'; readonly queryId: number; readonly view: PeerView }
  /**
   * Asks for a promise to `term`. The receiver cuts its old stream, promises durably, and answers
   * with its frozen copy.
   */
  | { readonly type: 'promiseRequest'; readonly term: Term; readonly view: PeerView }
  | {
      readonly type: 'promise'
      readonly term: Term
      /**
       * Why it does not promise: it hears the active, has promised a higher term, is active, or
       * knows a better candidate; undefined for a promise.
       */
      readonly refused:
        | 'hearsActive'
        | 'promisedHigher'
        | 'isActive'
        | 'betterCandidate'
        | undefined
      readonly view: PeerView
    }
  /**
   * The planned handover: the sender has durably given up the term `from`, and offers the term
   * `offered`.
   */
  | {
      readonly type: 'handover'
      readonly from: Term
      readonly offered: Term
      readonly seq: number
    }
  /**
   * The target does not take the role: it is ineligible, at another position, or has promised a
   * higher term.
   */
  | { readonly type: 'handoverRefused'; readonly from: Term; readonly reason: string }
  /** A clean stop, after which the sender no longer answers. */
  | { readonly type: 'goodbye'; readonly view: PeerView }
