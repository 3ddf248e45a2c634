/** What a node knows of itself: its role, its copy, and what it keeps durably about roles. */
import type { Extent, Term } from '../../history/position.js'

/** What a node is doing. */
export type Role = 'stopped' | 'discovering' | 'restoring' | 'standby' | 'active'

/** Facts of a node's copy, told to the core whenever they change and by the core to its peers. */
export interface CopyFacts extends Extent {
  /** The sequence number up to which the journal is durable here. */
  readonly durableSeq: number
  /**
   * The oldest change that its journal can hand over; undefined when it begins with the first one.
   */
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
   * Whether the process before this one may have acknowledged changes from memory that its disk
   * does not hold, and this one has not caught up with an active since. Undefined from a version
   * that does not say.
   */
  readonly forgot?: boolean | undefined
  /**
   * Why this copy may not be promoted (full disk, policy mismatch, observer); undefined when it
   * may.
   */
  readonly ineligible: string | undefined
  /**
   * The last change that this node acknowledged as held by a standby too, in its present tenure;
   * undefined when there is none.
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
   * The highest position heard of: the term and the sequence number of a change that was durable
   * somewhere, for `outdated`. A term without changes is no position.
   */
  readonly known: { readonly term: Term; readonly seq: number } | undefined
  /**
   * How the last run ended: `crashed` while running (written at start), `active` for a clean stop
   * of an active that handed over to nobody, `standby` for any other clean stop.
   */
  readonly lastStop: 'never' | 'crashed' | 'active' | 'standby'
  /**
   * Terms of which this node had everything, and that left its history since this was nothing;
   * oldest first. Undefined where there are none, and from a version that does not say.
   */
  readonly leftEmpty?: readonly Term[] | undefined
}

/** Histories and sets are compared by identity: a copy replaces them when they change. */
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
