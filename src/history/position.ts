/**
 * Positions and histories. They alone order data; clocks and uptimes never do.
 *
 * Invariants of a history: epochs rise strictly; `firstSeq` rises strictly (a term without changes
 * is dropped when the next one opens, because it would otherwise look like a divergence); sequence
 * numbers start at 1. One exception: the first term of an empty copy is kept, with `firstSeq` 0,
 * when the next one opens. Copies that were empty in the same term come from one cluster, so what
 * each wrote afterwards is a fork at 0 and not an unrelated history.
 */

/**
 * The term of a change: which node was active, and in which of its terms. Compare it whole: equal
 * epochs of different nodes are different terms.
 */
export interface Term {
  /** The number of the term, from 1; on each node it only rises. */
  readonly epoch: number
  /** The node that is active in it. */
  readonly nodeId: string
  /** Identifies the process of that node; new at every start. */
  readonly bootId: string
}

/** A term of a history, with the sequence number that its first change has (or would have). */
export interface HistoryTerm extends Term {
  /**
   * The sequence number of its first change, from 1; rises from term to term. 0: this copy was
   * empty in it.
   */
  readonly firstSeq: number
}

/** The terms of a copy, oldest first. */
export type History = readonly HistoryTerm[]

/** A place in a history: the term of the last change, and its sequence number. */
export interface Position {
  /** The term that stamped the change. */
  readonly term: Term
  /** The sequence number of the change, from 1, over all classes and terms. */
  readonly seq: number
}

/** A copy's history and the sequence number of its last change; 0 when it has none. */
export interface Extent {
  /** The terms that it went through, oldest first. */
  readonly history: History
  /** The sequence number of its last change; 0 for an empty copy. */
  readonly seq: number
}

/**
 * Terms kept in a history. Beyond it the oldest are dropped, and can no longer prove a common past.
 */
export const historyTermsMax = 1024

/**
 * Highest epoch accepted from a peer; a message with a higher one is `PROTOCOL_VIOLATION`. No real
 * cluster reaches it. It is far below 2^53, where doubles stop being exact, so no peer can make a
 * node open a term that the node could not read back.
 */
export const epochMax: number = 2 ** 48

export function sameTerm(left: Term, right: Term): boolean {
  return left.epoch === right.epoch && left.nodeId === right.nodeId && left.bootId === right.bootId
}

/**
 * Adds a term that begins after `seq`. Terms without changes are dropped, except the first one of
 * an empty copy.
 */
export function withTerm(history: History, term: Term, seq: number): History {
  const kept = history.filter((old) => old.firstSeq <= seq)
  const [first] = history
  if (kept.length === 0 && seq === 0 && first !== undefined && first.epoch < term.epoch)
    kept.push({ ...first, firstSeq: 0 })
  const { epoch, nodeId, bootId } = term
  return [...kept, { epoch, nodeId, bootId, firstSeq: seq + 1 }].slice(-historyTermsMax)
}

/** The terms that begin at or before `extent.seq`, including a first one with `firstSeq` 0. */
export function termsWithChanges(extent: Extent): History {
  return extent.history.filter((term) => term.firstSeq <= extent.seq)
}

/** The position of the last change; undefined for a history without changes. */
export function positionOf(extent: Extent): Position | undefined {
  if (extent.seq === 0) return undefined
  const last = termsWithChanges(extent).at(-1)
  if (last === undefined) return undefined
  const term = { epoch: last.epoch, nodeId: last.nodeId, bootId: last.bootId }
  return { term, seq: extent.seq }
}

/** How two copies relate. `commonSeq` is the sequence number of the last change that both have. */
export interface Relation {
  readonly kind: 'equal' | 'behind' | 'ahead' | 'diverged' | 'unrelated'
  readonly commonSeq: number
}

/**
 * Compares two copies, seen from the left one: `behind` when the right one continues it, `ahead`
 * when it continues the right one, `diverged` when both have changes after the fork, `unrelated`
 * when both have changes and nothing in common.
 */
export function relate(left: Extent, right: Extent): Relation {
  if (left.seq === 0 || right.seq === 0) {
    if (left.seq === right.seq) return { kind: 'equal', commonSeq: 0 }
    return { kind: left.seq === 0 ? 'behind' : 'ahead', commonSeq: 0 }
  }
  const commonSeq = lastCommonSeq(left, right)
  if (commonSeq === undefined) return { kind: 'unrelated', commonSeq: 0 }
  const leftBeyond = left.seq > commonSeq
  const rightBeyond = right.seq > commonSeq
  if (leftBeyond && rightBeyond) return { kind: 'diverged', commonSeq }
  if (leftBeyond) return { kind: 'ahead', commonSeq }
  return { kind: rightBeyond ? 'behind' : 'equal', commonSeq }
}

/**
 * The last sequence number that both copies share: the end of the newest term that both have. Terms
 * dropped from a history cannot be compared, so the search goes from the newest term back.
 */
function lastCommonSeq(left: Extent, right: Extent): number | undefined {
  const leftTerms = termsWithChanges(left)
  const rightTerms = termsWithChanges(right)
  const byEpoch = new Map(rightTerms.map((term, at) => [term.epoch, at]))
  for (let at = leftTerms.length - 1; at >= 0; at -= 1) {
    const term = leftTerms[at]
    if (term === undefined) continue
    const other = byEpoch.get(term.epoch)
    const match = other === undefined ? undefined : rightTerms[other]
    if (other === undefined || match === undefined) continue
    if (!sameTerm(term, match) || startOf(term) !== startOf(match)) continue
    return Math.min(termEnd(left, leftTerms, at), termEnd(right, rightTerms, other))
  }
  return undefined
}

/**
 * Where a term begins. For a copy that was empty in it, `firstSeq` is 0 and the first change would
 * have been 1, as it is for the node that wrote in it.
 */
function startOf({ firstSeq }: HistoryTerm): number {
  return Math.max(1, firstSeq)
}

function termEnd(extent: Extent, terms: History, at: number): number {
  const next = terms[at + 1]
  return next === undefined ? extent.seq : next.firstSeq - 1
}

/**
 * Orders two copies when no active exists to decide, as in a cold start. Without a fork the longer
 * copy is fresher; across a fork the one whose last change has the higher epoch, then the one with
 * the higher sequence number. The result is positive when `left` is fresher.
 */
export function compareFreshness(left: Extent, right: Extent): number {
  const { kind } = relate(left, right)
  if (kind === 'equal') return 0
  if (kind === 'ahead') return 1
  if (kind === 'behind') return -1
  const epochs = (positionOf(left)?.term.epoch ?? 0) - (positionOf(right)?.term.epoch ?? 0)
  return epochs !== 0 ? epochs : left.seq - right.seq
}
