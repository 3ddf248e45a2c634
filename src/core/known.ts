/**
 * The highest position heard of, kept durably: a node that knows of a later one than it holds is
 * outdated and does not serve by itself, however long it waited for the others.
 */
import { type Extent, sameTerm, type Term } from '../replication/position.js'
import { heard } from './liveness.js'
import { arm, type CoreState, disarm, peersOf, persist, running } from './state.js'
import type { DurableFacts } from './types.js'

type Known = NonNullable<DurableFacts['known']>

/** Whether a copy holds this position, or belongs to a history that replaced it. */
export function covers(copy: Extent, known: Known): boolean {
  const epoch = copy.history.at(-1)?.epoch ?? 0
  if (epoch !== known.term.epoch) return epoch > known.term.epoch
  return copy.seq >= known.seq
}

export function outdated(core: CoreState): boolean {
  const { known } = core.durable
  return known !== undefined && !holds(core, known)
}

/**
 * Whether somebody decided to go on without these changes: for this node once and for all, or, with an order, without the
 * member that wrote them.
 */
export function mayGoWithout(core: CoreState, known: DurableFacts['known']): boolean {
  return (
    core.options.allowStale || (known !== undefined && core.withoutPeers.has(known.term.nodeId))
  )
}

/**
 * A term whose stream was caught up with is held, even before it has a change to put into the
 * history.
 */
function holds(core: CoreState, known: Known): boolean {
  if (covers(core.copy, known)) return true
  const completed = core.completedTerm
  if (completed === undefined || core.copy.seq < known.seq) return false
  return sameTerm(completed, known.term) || completed.epoch > known.term.epoch
}

/**
 * Raises the known position. Nothing waits for it to be durable: it only makes this node more
 * careful.
 */
function raiseKnown(core: CoreState, term: Term, seq: number): void {
  const { known } = core.durable
  if (holds(core, { term, seq })) return
  if (known !== undefined && !higher(term, seq, known)) return
  const { epoch, nodeId, bootId } = term
  persist(core, { known: { term: { epoch, nodeId, bootId }, seq } })
}

function higher(term: Term, seq: number, known: Known): boolean {
  if (term.epoch !== known.term.epoch) return term.epoch > known.term.epoch
  return seq > known.seq
}

/** Forgets the known position once the own copy holds it. */
export function settleKnown(core: CoreState): void {
  const { known } = core.durable
  if (known !== undefined && holds(core, known)) persist(core, { known: undefined })
}

/**
 * Learns from the actives that are heard: a term that is newer than our history at once; a later
 * position in a term that we know at most once per `deadMs`, for it moves with every write. A
 * standby that counts as in sync is behind only by what is under way, which the active does not
 * acknowledge without it.
 */
export function learnKnown(core: CoreState): void {
  if (core.role === 'active') return
  if (countsAsInSync(core)) {
    disarm(core, 'known')
    return
  }
  for (const peer of peersOf(core)) {
    const term = peer.view?.activeTerm
    if (peer.view === undefined || term === undefined || !heard(core, peer)) continue
    if (term.nodeId === core.options.nodeId) continue
    if (term.epoch <= knownEpoch(core) && running(core, 'known')) continue
    const before = core.durable.known
    raiseKnown(core, term, peer.view.copy.seq)
    if (core.durable.known !== before) arm(core, 'known', core.options.deadMs)
  }
}

/**
 * Learns through a peer that hears an active which we do not. Its position counts only when this
 * has lasted for `deadMs`: right after the loss of an active the others may not have noticed yet.
 */
export function learnRelayed(core: CoreState, term: Term, seq: number): void {
  if (term.epoch > knownEpoch(core)) raiseKnown(core, term, 0)
  if (running(core, 'known')) return
  if (core.timers.has('known')) raiseKnown(core, term, seq)
  arm(core, 'known', core.options.deadMs)
}

function knownEpoch(core: CoreState): number {
  const held = core.copy.history.at(-1)?.epoch ?? 0
  return Math.max(held, core.completedTerm?.epoch ?? 0, core.durable.known?.term.epoch ?? 0)
}

/** A standby that the active it hears lists in its in-sync set. */
function countsAsInSync(core: CoreState): boolean {
  if (core.role !== 'standby' || core.followed === undefined) return false
  const active = core.peers.get(core.followed.id)
  if (active === undefined || !heard(core, active)) return false
  return active.view?.copy.inSync?.includes(core.options.nodeId) ?? false
}
