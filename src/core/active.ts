/**
 * The rules of the active: which peers it counts on, and when it gives up the role by itself. After
 * a pause it first asks whether it was replaced; it steps down for a newer active that cannot hear
 * it, and when a member has more changes; it opens a new term above promises that were never used.
 */
import { sameTerm, type Term } from '../history/position.js'
import { checkAsking } from './asking.js'
import { checkRivals } from './rivals.js'
import { stepDown } from './roles.js'
import { isAlone } from './round.js'
import { copyAhead } from './standing/candidates.js'
import { heard, isLate, provenEnd } from './standing/liveness.js'
import { checkStartLoss } from './standing/start-loss.js'
import { highestEpoch, nextTerm } from './standing/views.js'
import { persist } from './state/acts.js'
import { decide } from './state/explain.js'
import type { PeerView } from './state/messages.js'
import { type CoreState, type Peer, peersOf, type Tenure } from './state/state.js'
import type { CoreInput } from './state/types.js'

export function checkActive(core: CoreState): void {
  const { tenure } = core
  if (core.role !== 'active' || tenure === undefined) return
  countPeers(core, tenure)
  // The role is being given up durably, so no term is opened and no step down happens in between.
  if (core.handover?.phase === 'persisting') return
  checkStartLoss(core, tenure)
  if (checkAsking(core, tenure) || checkBehind(core, tenure) || checkRivals(core, tenure)) return
  checkUnusedPromises(core, tenure)
}

/** Tells the write path once per change which peers no longer count. */
function countPeers(core: CoreState, tenure: Tenure): void {
  for (const peer of peersOf(core)) {
    const counted = countedAs(core, peer, tenure)
    const worse = peer.counted !== 'proven' && counted !== peer.counted
    if (counted === 'yes' || counted === 'unknown') {
      peer.counted = counted === 'yes' ? 'yes' : peer.counted
    } else if (worse) {
      peer.counted = counted
      core.effects.push({ type: 'peerLost', peer: peer.id, proven: counted === 'proven' })
      decide(core, 'peerLost', peer.id, { counted })
    }
  }
}

function countedAs(core: CoreState, peer: Peer, tenure: Tenure): Peer['counted'] {
  if (!heard(core, peer)) {
    peer.deafSinceMs = undefined
    return provenEnd(peer) ? 'proven' : 'silent'
  }
  if (hasLeft(peer, tenure)) {
    peer.deafSinceMs = undefined
    return 'proven'
  }
  if (peer.view === undefined || peer.view.hears.includes(core.options.nodeId)) {
    peer.deafSinceMs = undefined
    return 'yes'
  }
  // Reports about liveness count only from a node that was not paused itself, and only on one that
  // was not.
  if (peer.view.late || isLate(core)) return 'unknown'
  peer.deafSinceMs ??= core.nowMs
  return core.nowMs - peer.deafSinceMs >= core.options.deadMs ? 'silent' : 'unknown'
}

/**
 * Whether the peer says that it is, or follows, a newer active. Its copy belongs to another history
 * then, and what it acknowledged here goes to its vault. A report of an older active does not
 * count, because its sender has only not heard of this tenure yet. While this active asks whether
 * it was replaced, it removes no peer for this reason.
 */
function hasLeft({ view }: Peer, { term, asking }: Tenure): boolean {
  if (asking !== undefined) return false
  if (view?.activeTerm !== undefined) return view.activeTerm.epoch > term.epoch
  if (view?.role !== 'restoring' && view?.role !== 'standby') return false
  return view.follows !== undefined && view.follows.term.epoch > term.epoch
}

/**
 * Answers true when this node stepped down because a member has more. After a fork no copy can be
 * ahead.
 */
function checkBehind(core: CoreState, tenure: Tenure): boolean {
  if (tenure.forks) return false
  const ahead = copyAhead(core, tenure.term)
  if (ahead === undefined) return false
  decide(core, 'behind', 'stepDown', { own: core.copy.seq, peer: ahead.id })
  stepDown(core, `the copy of ${ahead.id} is ahead`)
  return true
}

/**
 * Opens a new term above promises that were never used, because they keep their holders from
 * following this node.
 */
function checkUnusedPromises(core: CoreState, tenure: Tenure): void {
  if (tenure.reopening !== undefined || tenure.asking !== undefined) return
  if (core.handover !== undefined || core.stopping !== undefined || tenure.rivals.size > 0) return
  const holder = peersOf(core).find((peer) => heard(core, peer) && holdsUnused(core, peer, tenure))
  if (holder === undefined) return
  const term = nextTerm(core)
  decide(core, 'unusedPromise', 'reopen', { holder: holder.id, epoch: term.epoch })
  tenure.reopening = { term, persistId: persist(core, { promised: term }) }
}

function holdsUnused(core: CoreState, holder: Peer, tenure: Tenure): boolean {
  const promised = holder.view?.promised
  if (promised === undefined || sameTerm(promised, tenure.term)) return false
  if (promised.epoch < tenure.term.epoch) return false
  return !peersOf(core).some(
    (peer) => heard(core, peer) && peer.view !== undefined && uses(core, peer.view, promised),
  )
}

/**
 * Whether a member takes part in the round of that term or hears an active in it. No term may be
 * opened above it then.
 */
function uses(core: CoreState, { round, follows }: PeerView, promised: Term): boolean {
  if (round !== undefined && sameTerm(round, promised)) return true
  if (follows?.heard !== true || follows.id === core.options.nodeId) return false
  return follows.term.epoch >= promised.epoch
}

export function reopenPersisted(core: CoreState, id: number): void {
  const { tenure } = core
  const reopening = tenure?.reopening
  if (tenure === undefined || reopening?.persistId !== id) return
  reopening.persistId = undefined
  // Another member holds that epoch, so the search starts again above it.
  if (highestEpoch(core, reopening.term) >= reopening.term.epoch) {
    tenure.reopening = undefined
    return
  }
  core.effects.push({ type: 'openTerm', term: reopening.term, degraded: isAlone(core) })
}

export function termReopened(
  core: CoreState,
  input: Extract<CoreInput, { type: 'termOpened' }>,
): void {
  const { tenure } = core
  if (tenure?.reopening === undefined || !sameTerm(tenure.reopening.term, input.term)) return
  tenure.reopening = undefined
  if (!input.ok) {
    stepDown(core, `opening a higher term failed: ${input.reason ?? 'unknown'}`)
    return
  }
  tenure.term = input.term
  core.announce = true
}
