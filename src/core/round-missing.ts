/** Decides whose changes a round may lack, and whether it may go on without them. */
import { compareFreshness, relate } from '../history/position.js'
import { lackingAtStart, neededMembers } from './standing/needed.js'
import { isUnlikely, standIns } from './standing/stand-ins.js'
import { answersForItself, lastOwner, standsForSet } from './standing/stands.js'
import type { PeerView } from './state/messages.js'
import type { CoreState, Round } from './state/state.js'

/** The members that may hold a change which this node lacks. */
export function missingIn(core: CoreState, round: Round): string[] {
  const left = core.leftOut.filter((id) => !hasAnswered(core, round, id))
  const missing = [...missingCopies(core, round), ...left, ...passedOver(core, round)]
  return [...new Set([...missing, ...round.skipped])]
}

/**
 * Members with a fresher copy that this node cannot continue and that may not lead, so their
 * changes are given up.
 */
function passedOver(core: CoreState, round: Round): string[] {
  return [...round.promises]
    .filter(([id, view]) => isFork(core, view) && !goesFirst(core, id, view))
    .map(([id]) => id)
}

/** Whether a copy is fresher than this node's and does not continue it. */
export function isFork(core: CoreState, view: PeerView): boolean {
  if (relate(core.copy, view.copy).kind === 'behind') return false
  return compareFreshness(view.copy, core.copy) > 0
}

export function goesFirst(core: CoreState, id: string, view: PeerView): boolean {
  return mayLead(core, id, view) && core.discovery?.excluded.has(id) !== true
}

export function mayLeaveOut(core: CoreState, round: Round, id: string): boolean {
  if (core.withoutPeers.has(id)) return true
  // An empty node never serves in place of one that has data.
  if (core.copy.seq === 0 && round.skipped.has(id)) return false
  if (core.options.onMissingPeer === 'takeOver') return true
  return core.peers.get(id)?.promotable === false || isUnlikelyStandIn(core, round, id)
}

/**
 * Whether a member is named but not held for. Otherwise a machine that is switched off would make
 * the next loss an outage.
 */
function isUnlikelyStandIn(core: CoreState, round: Round, id: string): boolean {
  if (round.skipped.has(id) || round.promises.has(id)) return false
  return isUnlikely(core, id) && standIns(core).some((peer) => peer.id === id)
}

function missingCopies(core: CoreState, round: Round): string[] {
  if (round.kind === 'handover') return []
  if (round.kind === 'coldStart') return lackingAtStart(core)
  const owner = core.peers.get(lastOwner(core) ?? '')
  const view = round.promises.get(owner?.id ?? '')
  if (owner !== undefined && view !== undefined && standsForSet(core, owner, view)) return []
  const lacking = neededMembers(core, round.promises).filter(
    (peer) => !hasAnswered(core, round, peer.id),
  )
  // A stand-in that has promised has reported all that it holds.
  const unasked = standIns(core).filter((peer) => !round.promises.has(peer.id))
  return [...lacking, ...unasked].map((peer) => peer.id)
}

function hasAnswered(core: CoreState, round: Round, id: string): boolean {
  const peer = core.peers.get(id)
  const view = round.promises.get(id)
  return peer !== undefined && view !== undefined && answersForItself(core, peer, view)
}

/** Whether a member may take the role with the copy of its promise. */
export function mayLead(core: CoreState, id: string, view: PeerView): boolean {
  const { complete, ineligible } = view.copy
  return (core.peers.get(id)?.promotable ?? false) && complete && ineligible === undefined
}
