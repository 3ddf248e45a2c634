/**
 * Decides whose copy may answer for which member. A copy counts for what it contains and never for
 * the id of its node, because a machine may return with an empty disk, with a disk in an older
 * state, or without what its process had in memory.
 */
import { type Position, relate, sameTerm, type Term } from '../../history/position.js'
import type { CopyFacts, DurableFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import type { CoreState, Peer } from '../state/state.js'
import { covers, durablePosition } from './highest-known.js'
import { hasLeftEmpty } from './left-empty.js'

/**
 * The term whose acknowledged changes a takeover must not lose: the one last followed, the one in
 * which this process served since, or the last of this node's history. A term without changes may
 * have left the history.
 */
export function lastTerm(core: CoreState): Term | undefined {
  let last: Term | undefined = core.copy.history.at(-1)
  for (const term of [core.served?.term, core.followed?.term]) {
    if (term !== undefined && term.epoch >= (last?.epoch ?? 0)) last = term
  }
  return last
}

/**
 * The node that wrote the last term of this node's history, or that this node followed in a later
 * one.
 */
export function lastOwner(core: CoreState): string | undefined {
  return lastTerm(core)?.nodeId
}

/**
 * Records how far a member's copy has come in the term that this node follows. Copies of one term
 * only grow, so a smaller one later has lost something. A copy that ends in another term has left
 * it and need not hold it.
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
 * Whether the frozen copy of the last term's owner answers for everything acknowledged in that
 * term. Only the process that wrote the term can, because another process of that node does not
 * know what was acknowledged from memory, or what its disk had before.
 */
export function standsForSet(core: CoreState, peer: Peer, view: PeerView): boolean {
  const term = lastTerm(core)
  if (term === undefined || peer.id !== term.nodeId || !wroteAll(view, term)) return false
  const { kind } = relate(core.copy, view.copy)
  return (kind === 'equal' || kind === 'behind') && view.copy.seq >= (peer.reached?.seq ?? 0)
}

/**
 * Whether the view is of the process that wrote this term, with a complete copy that contains it.
 */
function wroteAll(view: PeerView, term: Term): boolean {
  return view.bootId === term.bootId && view.copy.complete && hasTerm(view.copy, term)
}

/**
 * Whether a view answers for what its member acknowledged: its copy contains the term of the known
 * set, and everything that it was seen to hold. A member that promises with less has lost changes
 * and counts as missing.
 */
export function answersForItself(core: CoreState, peer: Peer, view: PeerView): boolean {
  const { copy } = view
  if (!copy.complete && peer.reached === undefined) return false
  if (copy.forgot === true || !holdsLastTerm(core.copy, view)) return false
  const durable = peer.reached?.durable
  return durable === undefined || covers(copy, durable)
}

/**
 * Whether the copy of a member contains the term in which another copy ends, so that it answers for
 * what it acknowledged there.
 */
export function answersFor(other: CopyFacts, view: PeerView): boolean {
  const { complete, forgot } = view.copy
  return complete && forgot !== true && holdsLastTerm(other, view)
}

/**
 * Whether the owner of a known term, heard with this copy, shows that the term has nothing later.
 */
export function endsKnown(known: NonNullable<DurableFacts['known']>, view: PeerView): boolean {
  return wroteAll(view, known.term)
}

function holdsLastTerm(own: CopyFacts, view: PeerView): boolean {
  const { copy } = view
  const last = own.history.at(-1)
  if (last === undefined || hasTerm(copy, last) || hasLeftEmpty(view, last)) return true
  // A term without changes leaves the history when the next one opens. If this node has no change
  // in it either, the next term is proof enough.
  const replaced = last.firstSeq > own.seq && (copy.history.at(-1)?.epoch ?? 0) > last.epoch
  return replaced && ['equal', 'behind'].includes(relate(own, copy).kind)
}

/** Whether a copy contains this term. A term that it left while it was empty does not count. */
function hasTerm({ history }: CopyFacts, term: Term): boolean {
  const at = history.findIndex((one) => sameTerm(one, term))
  return at >= 0 && (history[at]?.firstSeq !== 0 || at === history.length - 1)
}
