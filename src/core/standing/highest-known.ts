/**
 * The highest position that this node knows of, kept durably. A node that knows a later position
 * than its copy holds is outdated and does not take the role by itself, however long it has waited
 * for the others.
 */
import { type Extent, type Position, positionOf } from '../../history/position.js'
import { arm, disarm, persist, running } from '../state/acts.js'
import type { CopyFacts, DurableFacts } from '../state/facts.js'
import { type CoreState, peersOf } from '../state/state.js'
import { heard } from './liveness.js'

type Known = NonNullable<DurableFacts['known']>

/** The position of the last change of a copy that survives a crash of its node. */
export function durablePosition(copy: CopyFacts): Position | undefined {
  return positionOf({ history: copy.history, seq: Math.min(copy.seq, copy.durableSeq) })
}

/** Whether a copy holds this position, or changes of a history that replaced it. */
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
 * Whether an operator accepted the loss of these changes: for this node in general (`allowStale`),
 * or by an order to take over without the member that wrote them. An order to that member itself
 * concerns its copy as it is, whatever an earlier process had.
 */
export function mayGoWithout(core: CoreState, known: DurableFacts['known']): boolean {
  const { options, withoutPeers } = core
  if (options.allowStale) return true
  const owner = known?.term.nodeId
  if (owner === undefined) return false
  return owner === options.nodeId ? withoutPeers.size > 0 : withoutPeers.has(owner)
}

/**
 * Whether this node has all that exists. A node that caught up with a later term has, because the
 * active of that term continued without anything that it lacks, even before its first change.
 */
function holds(core: CoreState, known: Known): boolean {
  if (covers(core.copy, known)) return true
  const completed = core.completedTerm
  return completed !== undefined && completed.epoch > known.term.epoch
}

/**
 * Raises the known position. Nothing waits until it is durable, because it only makes this node
 * more careful.
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

/** Drops the known position once this node's copy holds it. */
export function settleKnown(core: CoreState): void {
  const { known } = core.durable
  if (known !== undefined && holds(core, known)) persist(core, { known: undefined })
}

/**
 * Learns positions from the actives that are heard: a change of a newer term at once; a later
 * position of a known term at most once per `deadMs`, because it rises with every write. A standby
 * in the in-sync set lacks only changes in flight, which the active does not acknowledge without
 * it.
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
 * Learns the position of a standby of an active that this node does not hear, but only after
 * `deadMs`: just after the loss of an active its standbys may not have noticed it yet.
 */
export function learnRelayed(core: CoreState, copy: CopyFacts | undefined): void {
  if (running(core, 'known')) return
  const position = copy === undefined ? undefined : durablePosition(copy)
  if (core.timers.has('known') && position !== undefined) raiseKnown(core, position)
  arm(core, 'known', core.options.deadMs)
}

/** Drops the known position, because the later changes were given up. */
export function giveUpKnown(core: CoreState): void {
  if (core.durable.known !== undefined) persist(core, { known: undefined })
}

function knownEpoch(core: CoreState): number {
  const held = positionOf(core.copy)?.term.epoch ?? 0
  return Math.max(held, core.durable.known?.term.epoch ?? 0)
}

/** Whether this node is a standby in the in-sync set of an active that it hears. */
function countsAsInSync(core: CoreState): boolean {
  if (core.role !== 'standby' || core.followed === undefined) return false
  const active = core.peers.get(core.followed.id)
  if (active === undefined || !heard(core, active)) return false
  return active.view?.copy.inSync?.includes(core.options.nodeId) ?? false
}
