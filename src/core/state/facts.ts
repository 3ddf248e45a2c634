/** What a node knows about itself: its role, its copy, and its durable facts about roles. */
import type { Extent, Term } from '../../history/position.js'

/** What a node is doing. */
export type Role = 'stopped' | 'discovering' | 'restoring' | 'standby' | 'active'

/**
 * Facts about a node's copy. The shell passes them to the core whenever they change, and the core
 * sends them to its peers.
 */
export interface CopyFacts extends Extent {
  /** The sequence number up to which this node's journal is durable. */
  readonly durableSeq: number
  /**
   * The oldest change that its journal can send; undefined when the journal starts with the first
   * change.
   */
  readonly firstSeq?: number | undefined
  /**
   * False while the copy on disk is not consistent, as after damage in the middle of the journal or
   * before a roll-forward has finished.
   */
  readonly complete: boolean
  /** The last journaled in-sync set; undefined when the journal contains none. */
  readonly inSync: readonly string[] | undefined
  /**
   * Whether a takeover may rely on `inSync`, because this node has followed the stream without a
   * gap since the set was journaled. False after a restart, and after it missed the stream while
   * others heard the active.
   */
  readonly inSyncKnown: boolean
  /**
   * Whether the previous process may have acknowledged changes from memory that its disk lacks, and
   * this one has not caught up with an active since. Undefined from a version that does not report
   * it.
   */
  readonly forgot?: boolean | undefined
  /**
   * Why this copy may not be promoted (full disk, policy mismatch, observer); undefined when it
   * may.
   */
  readonly ineligible: string | undefined
  /**
   * The last change that this node has acknowledged in its present tenure as also held by a
   * standby; undefined when there is none.
   */
  readonly heldSeq?: number | undefined
}

/**
 * The durable facts of a node about roles, stored as one document. Every change is an effect
 * `persist`.
 */
export interface DurableFacts {
  /**
   * The highest promised term. Streams of lower terms, and of other terms with the same epoch, are
   * refused.
   */
  readonly promised: Term | undefined
  /**
   * The highest known position of any member, as term and sequence number of a durable change, for
   * the event `outdated`. A term without changes is no position.
   */
  readonly known: { readonly term: Term; readonly seq: number } | undefined
  /**
   * How the previous process ended: `crashed` (written at start), `active` for a clean stop of an
   * active that handed the role to no other node, `standby` for any other clean stop.
   */
  readonly lastStop: 'never' | 'crashed' | 'active' | 'standby'
  /**
   * Empty terms that this node had completely and that then left its history, oldest first.
   * Undefined when there are none, and from a version that does not report them.
   */
  readonly leftEmpty?: readonly Term[] | undefined
}

/** Compares histories and sets by identity, because a copy replaces them when they change. */
export function sameFacts(left: CopyFacts, right: CopyFacts): boolean {
  return (
    left.seq === right.seq &&
    left.durableSeq === right.durableSeq &&
    left.firstSeq === right.firstSeq &&
    left.history === right.history &&
    left.complete === right.complete &&
    left.inSync === right.inSync &&
    left.inSyncKnown === right.inSyncKnown &&
    left.forgot === right.forgot &&
    left.ineligible === right.ineligible &&
    left.heldSeq === right.heldSeq
  )
}
