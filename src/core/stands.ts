/**
 * Who may stand for whom. A copy counts for what it contains, never for the name of its node: a machine may come back
 * with an empty disk, with one that was put back to an older state, or without what its process had in memory.
 */
import { type Position, relate, sameTerm, type Term } from '../replication/position.js'
import { covers, durablePosition } from './known.js'
import type { CoreState, Peer } from './state.js'
import type { CopyFacts, DurableFacts, PeerView } from './types.js'

/** The term whose acknowledged changes a takeover must not lose: the one followed last, or the last of our history. */
export function lastTerm(core: CoreState): Term | undefined {
  const last = core.copy.history.at(-1)
  const followed = core.followed?.term
  if (followed === undefined) return last
  return followed.epoch >= (last?.epoch ?? 0) ? followed : last
}

/** The node that wrote the last term of our history, or that we followed in a later one. */
export function lastOwner(core: CoreState): string | undefined {
  return lastTerm(core)?.nodeId
}

/**
 * Notes how far a member's copy has come in the term that we follow. Copies of that term only grow, so one that holds
 * less later has lost something, unless it gave up a term of its own for that one.
 */
export function noteReached(core: CoreState, peer: Peer, view: PeerView): void {
  if (core.role !== 'standby' && core.role !== 'restoring') return
  const { followed } = core
  if (followed === undefined || !hasTerm(view.copy, followed.term)) return
  const durable = durablePosition(view.copy)
  const before = reachedBefore(peer, view.copy, followed.term)
  peer.reached = {
    seq: Math.max(view.copy.seq, before?.seq ?? 0),
    durable: later(durable, before?.durable) ? durable : before?.durable,
  }
}

/**
 * How far a member had come, as far as that binds this copy of it: what it had in a term that the history of the followed
 * one does not have lies in its vault.
 */
function reachedBefore(
  { reached }: Peer,
  copy: CopyFacts,
  followed: Term | undefined,
): Peer['reached'] {
  const term = reached?.durable?.term
  if (term === undefined || followed === undefined || !hasTerm(copy, followed)) return reached
  return term.epoch <= followed.epoch && !hasTerm(copy, term) ? undefined : reached
}

function later(one: Position | undefined, other: Position | undefined): boolean {
  if (one === undefined || other === undefined) return one !== undefined
  if (one.term.epoch !== other.term.epoch) return one.term.epoch > other.term.epoch
  return one.seq > other.seq
}

/**
 * Whether the frozen copy of the last term's owner stands for all that was acknowledged in that term. Only the process
 * that wrote it can say so: another one does not know what was acknowledged in memory, nor whose disk it was given.
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
 * Whether an answer says what its member acknowledged: its copy holds the term of the set that we know, and what it was
 * heard to have. One that promised with less has lost it, and counts as missing.
 */
export function answersForItself(core: CoreState, peer: Peer, view: PeerView): boolean {
  const { copy } = view
  if (!copy.complete && peer.reached === undefined) return false
  if (copy.forgot === true || !holdsLastTerm(core.copy, copy)) return false
  const durable = reachedBefore(peer, copy, lastTerm(core))?.durable
  return durable === undefined || covers(copy, durable)
}

/** Whether the owner of a known term, heard with this copy, says that there is nothing later in it. */
export function endsKnown(known: NonNullable<DurableFacts['known']>, view: PeerView): boolean {
  return wroteAll(view, known.term)
}

function holdsLastTerm(own: CopyFacts, copy: CopyFacts): boolean {
  const last = own.history.at(-1)
  if (last === undefined || hasTerm(copy, last)) return true
  // A term without changes leaves the history when the next one opens.
  const replaced = last.firstSeq > own.seq && (copy.history.at(-1)?.epoch ?? 0) > last.epoch
  return replaced && ['equal', 'behind'].includes(relate(own, copy).kind)
}

function hasTerm(copy: CopyFacts, term: Term): boolean {
  return copy.history.some((one) => sameTerm(one, term))
}
