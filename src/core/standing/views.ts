/** Builds what this node reports about itself, and collects the epochs that it has seen. */
import { sameTerm, type Term } from '../../history/position.js'
import type { PeerView } from '../state/messages.js'
import { type CoreState, ownCopy, type Peer, peersOf } from '../state/state.js'
import { outdated } from './highest-known.js'
import { cannotDial, heard, heardIds, isLate } from './liveness.js'
import { holdsForNow } from './needed.js'

export function viewOf(core: CoreState): PeerView {
  const holdsFor = holdsForNow(core)
  return {
    role: core.role,
    bootId: core.options.bootId,
    hears: heardIds(core),
    cannotDial: peersOf(core)
      .filter((peer) => cannotDial(core, peer))
      .map((peer) => peer.id),
    activeTerm: core.role === 'active' ? core.tenure?.term : undefined,
    follows: followsOf(core),
    promised: core.durable.promised,
    copy: core.setDoubted ? { ...ownCopy(core), inSyncKnown: false } : ownCopy(core),
    outdated: outdated(core),
    known: core.durable.known,
    lastStop: core.tookPart ? 'crashed' : core.previousStop,
    leftEmpty: core.durable.leftEmpty,
    round: roundOf(core),
    holdsFor: holdsFor.length > 0 ? holdsFor : undefined,
    fetching: core.round?.phase === 'fetching' ? core.fetchedCount : undefined,
    late: isLate(core),
  }
}

function followsOf(core: CoreState): PeerView['follows'] {
  if (core.role === 'active' || core.followed === undefined) return undefined
  return { ...core.followed, heard: hearsFollowed(core) }
}

/**
 * Whether the active that this node follows or last followed is heard and still active in that
 * term.
 */
export function hearsFollowed(core: CoreState): boolean {
  if (core.followed === undefined) return false
  const peer = core.peers.get(core.followed.id)
  if (peer === undefined || !heard(core, peer)) return false
  const term = peer.view?.activeTerm
  return term !== undefined && sameTerm(term, core.followed.term)
}

function roundOf(core: CoreState): Term | undefined {
  if (core.handover?.phase === 'offering') return core.handover.offered
  return core.round?.term ?? core.pledge?.term
}

/** A member that is active, with its term. */
export interface ActiveSeen {
  readonly peer: Peer
  readonly term: Term
}

/** The peers that are heard as active, the highest term first. */
export function activesHeard(core: CoreState): ActiveSeen[] {
  const found: ActiveSeen[] = []
  for (const peer of peersOf(core)) {
    const term = peer.view?.activeTerm
    if (term !== undefined && heard(core, peer)) found.push({ peer, term })
  }
  return found.sort(
    (left, right) => right.term.epoch - left.term.epoch || left.peer.index - right.peer.index,
  )
}

/**
 * The highest epoch in all facts of this node and all reports of its peers; terms equal to `own`
 * are left out.
 */
export function highestEpoch(core: CoreState, own?: Term): number {
  const terms: (Term | undefined)[] = [
    core.durable.promised,
    core.durable.known?.term,
    core.copy.history.at(-1),
    core.tenure?.term,
    core.followed?.term,
    core.pledge?.term,
  ]
  for (const { view } of peersOf(core)) {
    if (view === undefined) continue
    terms.push(view.activeTerm, view.follows?.term, view.promised, view.round)
    terms.push(view.known?.term, view.copy.history.at(-1))
  }
  let highest = 0
  for (const term of terms) {
    const counts = term !== undefined && (own === undefined || !sameTerm(term, own))
    if (counts) highest = Math.max(highest, term.epoch)
  }
  return highest
}

/** The name of a takeover or start in its events. */
export function incidentOf({ options }: CoreState, { epoch, nodeId }: Term): string {
  return `${options.cluster}/${epoch}/${nodeId}`
}

/** A term of this node above every epoch that it has seen. */
export function nextTerm(core: CoreState): Term {
  const { nodeId, bootId } = core.options
  return { epoch: highestEpoch(core) + 1, nodeId, bootId }
}
