/** What the cores of two nodes tell each other. */
import type { Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts, Role } from './facts.js'

/** What a node says of itself in every heartbeat and answer. */
export interface PeerView {
  readonly role: Role
  readonly bootId: string
  /**
   * Members heard within `deadMs` (the receiver finds itself here when it is heard: liveness is
   * two-way).
   */
  readonly hears: readonly string[]
  /**
   * Members that it cannot dial: their port is closed, or the address that it has for them is
   * wrong.
   */
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
   * Members without which it does not take the role (`onMissingPeer: 'hold'`). Undefined when it
   * holds for nobody, and from a version that does not say.
   */
  readonly holdsFor?: readonly string[] | undefined
  /**
   * While it fetches what its round needs: how much it has brought in, a count that rises as long
   * as it gets on. Undefined otherwise, and from a version that does not say.
   */
  readonly fetching?: number | undefined
  /** True while it is late itself and should not be believed about others. */
  readonly late: boolean
}

/** Messages between cores. */
export type CoreMessage =
  /** Sent every `heartbeatMs`, and at once after a change of role. */
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
  /**
   * The planned handover: the sender has durably given up the term `from` and offers the term
   * `offered`.
   */
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
