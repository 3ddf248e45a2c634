/** Whose changes the round of this node may lack, and whether it may go on without them. */
import { compareFreshness, relate } from '../history/position.js'
import { lackingAtStart, neededMembers } from './standing/needed.js'
import { isUnlikely, standIns } from './standing/stand-ins.js'
import { answersForItself, lastOwner, standsForSet } from './standing/stands.js'
import type { PeerView } from './state/messages.js'
import type { CoreState, Round } from './state/state.js'

/** The members of which nobody can say whether they hold a change that this node lacks. */
export function missingIn(core: CoreState, round: Round): string[] {
  const left = core.leftOut.filter((id) => !hasAnswered(core, round, id))
  const missing = [...missingCopies(core, round), ...left, ...passedOver(core, round)]
  return [...new Set([...missing, ...round.skipped])]
}

/**
 * Members with a fresher copy that we cannot continue, and that may not lead: what they have is
 * gone without.
 */
function passedOver(core: CoreState, round: Round): string[] {
  return [...round.promises]
    .filter(([id, view]) => isFork(core, view) && !goesFirst(core, id, view))
    .map(([id]) => id)
}

/** Whether a copy is fresher than ours and none that continues it. */
export function isFork(core: CoreState, view: PeerView): boolean {
  if (relate(core.copy, view.copy).kind === 'behind') return false
  return compareFreshness(view.copy, core.copy) > 0
}

export function goesFirst(core: CoreState, id: string, view: PeerView): boolean {
  return mayLead(core, id, view) && core.discovery?.excluded.has(id) !== true
}

export function mayLeaveOut(core: CoreState, round: Round, id: string): boolean {
  if (core.withoutPeers.has(id)) return true
  // An empty node never serves in the place of one that has data.
  if (core.copy.seq === 0 && round.skipped.has(id)) return false
  if (core.options.onMissingPeer === 'takeOver') return true
  return core.peers.get(id)?.promotable === false || isUnlikelyStandIn(core, round, id)
}

/**
 * Named, and not held for: else a machine that is switched off would cost the cluster the next one
 * that is lost.
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
  // Whatever one of these says of its copy is all that it has.
  const unasked = standIns(core).filter((peer) => !round.promises.has(peer.id))
  return [...lacking, ...unasked].map((peer) => peer.id)
}

function hasAnswered(core: CoreState, round: Round, id: string): boolean {
  const peer = core.peers.get(id)
  const view = round.promises.get(id)
  return peer !== undefined && view !== undefined && answersForItself(core, peer, view)
}

/** Whether a member may take the role with the copy that it promised with. */
export function mayLead(core: CoreState, id: string, view: PeerView): boolean {
  const { complete, ineligible } = view.copy
  return (core.peers.get(id)?.promotable ?? false) && complete && ineligible === undefined
}
