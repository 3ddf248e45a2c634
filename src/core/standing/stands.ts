/**
 * Who may stand for whom. A copy counts for what it contains, never for the name of its node: a
 * machine may come back with an empty disk, with one that was put back to an older state, or
 * without what its process had in memory.
 */
import { type Position, relate, sameTerm, type Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import type { CoreState, Peer } from '../state/state.js'
import { covers, durablePosition } from './highest-known.js'
import { hasLeftEmpty } from './left-empty.js'

/**
 * The term whose acknowledged changes a takeover must not lose: the one followed last, the one in
 * which this process served since, or the last of our history. One without changes may have left
 * the history.
 */
export function lastTerm(core: CoreState): Term | undefined {
  let last: Term | undefined = core.copy.history.at(-1)
  for (const term of [core.served?.term, core.followed?.term]) {
    if (term !== undefined && term.epoch >= (last?.epoch ?? 0)) last = term
  }
  return last
}

/** The node that wrote the last term of our history, or that we followed in a later one. */
export function lastOwner(core: CoreState): string | undefined {
  return lastTerm(core)?.nodeId
}

/**
 * Notes how far a member's copy has come in the term that we follow. Copies of that term only grow,
 * so one that holds less later has lost something. One that ends in another term has left it: what
 * it holds there is not to be expected of it.
 */
export function noteReached(core: CoreState, peer: Peer, view: PeerView): void {
  if (core.role !== 'standby' && core.role !== 'restoring') return
  const last = view.copy.history.at(-1)
  if (core.followed === undefined || last === undefined) return
  if (!sameTerm(last, core.followed.term)) return
  const durable = durablePosition(view.copy)
  const before = peer.reached
  peer.reached = {
    seq: Math.max(view.copy.seq, before?.seq ?? 0),
    durable: later(durable, before?.durable) ? durable : before?.durable,
  }
}

function later(one: Position | undefined, other: Position | undefined): boolean {
  if (one === undefined || other === undefined) return one !== undefined
  if (one.term.epoch !== other.term.epoch) return one.term.epoch > other.term.epoch
  return one.seq > other.seq
}

/**
 * Whether the frozen copy of the last term's owner stands for all that was acknowledged in that
 * term. Only the process that wrote it can say so: another one does not know what was acknowledged
 * in memory, nor whose disk it was given.
 */
export function standsForSet(core: CoreState, peer: Peer, view: PeerView): boolean {
  const term = lastTerm(core)
  if (term === undefined || peer.id !== term.nodeId || !wroteAll(view, term)) return false
  const { kind } = relate(core.copy, view.copy)
  return (kind === 'equal' || kind === 'behind') && view.copy.seq >= (peer.reached?.seq ?? 0)
}

/** The process that wrote this term, with all of it. */
function wroteAll(view: PeerView, term: Term): boolean {
  return view.bootId === term.bootId && view.copy.complete && hasTerm(view.copy, term)
}

/**
 * Whether an answer says what its member acknowledged: its copy holds the term of the set that we
 * know, and what it was heard to have. One that promised with less has lost it, and counts as
 * missing.
 */
export function answersForItself(core: CoreState, peer: Peer, view: PeerView): boolean {
  const { copy } = view
  if (!copy.complete && peer.reached === undefined) return false
  if (copy.forgot === true || !holdsLastTerm(core.copy, view)) return false
  const durable = peer.reached?.durable
  return durable === undefined || covers(copy, durable)
}

/**
 * Whether the copy of a member contains the term in which another copy ends, so that it says what
 * it acknowledged there.
 */
export function answersFor(other: CopyFacts, view: PeerView): boolean {
  const { complete, forgot } = view.copy
  return complete && forgot !== true && holdsLastTerm(other, view)
}

/**
 * Whether the owner of a known term, heard with this copy, says that there is nothing later in it.
 */
export function endsKnown(known: NonNullable<DurableFacts['known']>, view: PeerView): boolean {
  return wroteAll(view, known.term)
}

function holdsLastTerm(own: CopyFacts, view: PeerView): boolean {
  const { copy } = view
  const last = own.history.at(-1)
  if (last === undefined || hasTerm(copy, last) || hasLeftEmpty(view, last)) return true
  // A term without changes leaves the history when the next one opens; one in which we have none
  // either needs no more proof.
  const replaced = last.firstSeq > own.seq && (copy.history.at(-1)?.epoch ?? 0) > last.epoch
  return replaced && ['equal', 'behind'].includes(relate(own, copy).kind)
}

/** One in which the copy was empty, and which it left, is none that it holds. */
function hasTerm({ history }: CopyFacts, term: Term): boolean {
  const at = history.findIndex((one) => sameTerm(one, term))
  return at >= 0 && (history[at]?.firstSeq !== 0 || at === history.length - 1)
}
