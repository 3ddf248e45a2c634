/**
 * Positions and histories: the only thing by which data is ever ordered. No clock, no uptime.
 *
 * Invariants of a history: epochs rise strictly; `firstSeq` rises strictly (a term without changes
 * is dropped when the next one opens, so that it never looks like a divergence); sequence numbers
 * start at 1. The first term of an empty copy is kept when the next one opens, with `firstSeq` 0:
 * copies that were empty in the same term come from one cluster, and what each wrote then is a fork
 * at 0.
 */

/**
 * What a writer's changes are stamped with. Always compared whole: equal epochs of different nodes
 * are different terms.
 */
export interface Term {
  /** Its number, from 1; it never goes back on any node. */
  readonly epoch: number
  /** The node that is active in it. */
  readonly nodeId: string
  /** That node's process: drawn anew at every start. */
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

/** Terms kept in a history; the oldest are dropped beyond it, and then prove nothing any more. */
export const historyTermsMax = 1024

/**
 * Highest epoch that a peer is believed; a message with a higher one is `PROTOCOL_VIOLATION`. It is
 * more than any cluster comes to, and far below what a double counts exactly, so that nobody makes
 * a node open a term that it could not read again.
 */
export const epochMax: number = 2 ** 48

export function sameTerm(left: Term, right: Term): boolean {
  return left.epoch === right.epoch && left.nodeId === right.nodeId && left.bootId === right.bootId
}

/**
 * Adds a term that begins after `seq`; terms that got no change are dropped, but for the first one
 * of an empty copy.
 */
export function withTerm(history: History, term: Term, seq: number): History {
  const kept = history.filter((old) => old.firstSeq <= seq)
  const [first] = history
  if (kept.length === 0 && seq === 0 && first !== undefined && first.epoch < term.epoch)
    kept.push({ ...first, firstSeq: 0 })
  const { epoch, nodeId, bootId } = term
  return [...kept, { epoch, nodeId, bootId, firstSeq: seq + 1 }].slice(-historyTermsMax)
}

/**
 * The terms that have changes up to `seq`, and the one in which the copy was empty, if it is known.
 */
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

/**
 * How two copies relate. `commonSeq` is the last sequence number whose change both have in common.
 */
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
 * The end of the last term that both have. Terms older than the oldest both kept prove nothing, so
 * the search goes from the newest common term back.
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

/** One that a copy was empty in begins where it does for who wrote in it. */
function startOf({ firstSeq }: HistoryTerm): number {
  return Math.max(1, firstSeq)
}

function termEnd(extent: Extent, terms: History, at: number): number {
  const next = terms[at + 1]
  return next === undefined ? extent.seq : next.firstSeq - 1
}

/**
 * Orders two copies where no active decides (a cold start): without a fork the longer one is
 * fresher; across a fork the higher epoch of the last term that has changes, then the sequence.
 * Positive when left is fresher.
 */
export function compareFreshness(left: Extent, right: Extent): number {
  const { kind } = relate(left, right)
  if (kind === 'equal') return 0
  if (kind === 'ahead') return 1
  if (kind === 'behind') return -1
  const epochs = (positionOf(left)?.term.epoch ?? 0) - (positionOf(right)?.term.epoch ?? 0)
  return epochs !== 0 ? epochs : left.seq - right.seq
}
