/**
 * The highest position heard of, kept durably: a node that knows of a later one than it holds is
 * outdated and does not serve by itself, however long it waited for the others.
 */
import { type Extent, type Position, positionOf } from '../../history/position.js'
import { arm, disarm, persist, running } from '../state/acts.js'
import type { CopyFacts, DurableFacts } from '../state/facts.js'
import { type CoreState, peersOf } from '../state/state.js'
import { heard } from './liveness.js'

type Known = NonNullable<DurableFacts['known']>

/** The position of the last change of a copy that a crash of its node leaves there. */
export function durablePosition(copy: CopyFacts): Position | undefined {
  return positionOf({ history: copy.history, seq: Math.min(copy.seq, copy.durableSeq) })
}

/** Whether a copy holds this position, or has changes of a history that replaced it. */
export function covers(copy: Extent, known: Known): boolean {
  const epoch = positionOf(copy)?.term.epoch ?? 0
  if (epoch !== known.term.epoch) return epoch > known.term.epoch
  return copy.seq >= known.seq
}

export function outdated(core: CoreState): boolean {
  const { known } = core.durable
  return known !== undefined && !holds(core, known)
}

/**
 * Whether somebody decided to go on without these changes: for this node once and for all, or, with
 * an order, without the member that wrote them. An order given to that member itself is for its
 * copy as it is, whatever an earlier process had.
 */
export function mayGoWithout(core: CoreState, known: DurableFacts['known']): boolean {
  const { options, withoutPeers } = core
  if (options.allowStale) return true
  const owner = known?.term.nodeId
  if (owner === undefined) return false
  return owner === options.nodeId ? withoutPeers.size > 0 : withoutPeers.has(owner)
}

/**
 * Whoever caught up with a later term has all that there is: the active of that term went on
 * without what it lacks, even before it has a change to show for it.
 */
function holds(core: CoreState, known: Known): boolean {
  if (covers(core.copy, known)) return true
  const completed = core.completedTerm
  return completed !== undefined && completed.epoch > known.term.epoch
}

/**
 * Raises the known position. Nothing waits for it to be durable: it only makes this node more
 * careful.
 */
function raiseKnown(core: CoreState, position: Position): void {
  const { known } = core.durable
  if (holds(core, position)) return
  if (known !== undefined && !higher(position, known)) return
  persist(core, { known: position })
}

function higher(position: Position, known: Known): boolean {
  const { term, seq } = position
  if (term.epoch !== known.term.epoch) return term.epoch > known.term.epoch
  return seq > known.seq
}

/** Forgets the known position once the own copy holds it. */
export function settleKnown(core: CoreState): void {
  const { known } = core.durable
  if (known !== undefined && holds(core, known)) persist(core, { known: undefined })
}

/**
 * Learns from the actives that are heard: a change of a term that is newer than our history at
 * once; a later position in a term that we know at most once per `deadMs`, for it moves with every
 * write. A standby that counts as in sync is behind only by what is under way, which the active
 * does not acknowledge without it.
 */
export function learnKnown(core: CoreState): void {
  if (core.role === 'active') return
  if (countsAsInSync(core)) {
    disarm(core, 'known')
    return
  }
  for (const peer of peersOf(core)) {
    if (peer.view?.activeTerm === undefined || !heard(core, peer)) continue
    const position = durablePosition(peer.view.copy)
    if (position === undefined) continue
    if (position.term.epoch <= knownEpoch(core) && running(core, 'known')) continue
    const before = core.durable.known
    raiseKnown(core, position)
    if (core.durable.known !== before) arm(core, 'known', core.options.deadMs)
  }
}

/**
 * Learns from a standby of an active that we do not hear. What it has counts only when this
 * has lasted for `deadMs`: right after the loss of an active the others may not have noticed yet.
 */
export function learnRelayed(core: CoreState, copy: CopyFacts | undefined): void {
  if (running(core, 'known')) return
  const position = copy === undefined ? undefined : durablePosition(copy)
  if (core.timers.has('known') && position !== undefined) raiseKnown(core, position)
  arm(core, 'known', core.options.deadMs)
}

/** Somebody decided to go on without the later changes: they bind this node no longer. */
export function giveUpKnown(core: CoreState): void {
  if (core.durable.known !== undefined) persist(core, { known: undefined })
}

function knownEpoch(core: CoreState): number {
  const held = positionOf(core.copy)?.term.epoch ?? 0
  return Math.max(held, core.durable.known?.term.epoch ?? 0)
}

/** A standby that the active it hears lists in its in-sync set. */
function countsAsInSync(core: CoreState): boolean {
  if (core.role !== 'standby' || core.followed === undefined) return false
  const active = core.peers.get(core.followed.id)
  if (active === undefined || !heard(core, active)) return false
  return active.view?.copy.inSync?.includes(core.options.nodeId) ?? false
}
