/**
 * Two active nodes. If the other node has a higher or equal term and cannot hear this one, neither
 * directly nor through other members, this node steps down, unless the other serves less than was
 * acknowledged here. If a path exists, or neither may step down, the split brain is reported.
 */
import { type Extent, relate, sameTerm, type Term } from '../history/position.js'
import { stepDown } from './roles.js'
import { heard } from './standing/liveness.js'
import { activesHeard } from './standing/views.js'
import { emitOnce } from './state/acts.js'
import { decide } from './state/explain.js'
import { type CoreState, peersOf, type Rival, type Tenure } from './state/state.js'

/** A member that is active, with its term. */
type ActiveTerm = Pick<Rival, 'id' | 'term'>

/** Answers true when this node stepped down. */
export function checkRivals(core: CoreState, tenure: Tenure): boolean {
  refresh(core, tenure)
  for (const rival of tenure.rivals.values()) {
    const deaf = rival.deafSinceMs !== undefined
    const yields = mayYieldTo(core, rival)
    if (rival.deafSinceMs !== undefined && lasted(core, rival.deafSinceMs) && yields) {
      decide(core, 'deaf', 'stepDown', { rival: rival.id, epoch: rival.term.epoch })
      stepDown(core, `${rival.id} is active too and cannot hear this node`)
      return true
    }
    if ((!deaf || !yields) && lasted(core, rival.sinceMs)) report(core, tenure, rival)
  }
  return false
}

/**
 * Whether this node may step down for another active. It does not for an empty copy, for one of
 * another history, or for one that lacks changes acknowledged as held by a standby, because that
 * term was opened without the members that hold them.
 */
function mayYieldTo(core: CoreState, rival: Rival): boolean {
  const copy = copyOf(core, rival)
  if (copy === undefined || core.copy.seq === 0) return true
  const { kind, commonSeq } = relate(core.copy, copy)
  const lacks = copy.seq === 0 || kind === 'unrelated' || commonSeq < (core.copy.heldSeq ?? 0)
  if (lacks) decide(core, 'deaf', 'stay', { rival: rival.id, seq: copy.seq, commonSeq })
  return !lacks
}

/**
 * Whether another active cannot replace this one, because its copy is empty or of another history.
 */
export function isNoSuccessor(core: CoreState, rival: ActiveTerm): boolean {
  const copy = copyOf(core, rival)
  if (copy === undefined || core.copy.seq === 0) return false
  return copy.seq === 0 || relate(core.copy, copy).kind === 'unrelated'
}

/**
 * The copy of the rival, as it reports itself or as its standby reports it; undefined when neither
 * is heard.
 */
function copyOf(core: CoreState, rival: ActiveTerm): Extent | undefined {
  const direct = core.peers.get(rival.id)
  if (direct !== undefined && heard(core, direct)) return direct.view?.copy
  const follower = peersOf(core).find((peer) => {
    const follows = peer.view?.follows
    if (peer.view?.role !== 'standby' || follows === undefined || !heard(core, peer)) return false
    return follows.id === rival.id && sameTerm(follows.term, rival.term)
  })
  return follower?.view?.copy
}

function lasted(core: CoreState, sinceMs: number): boolean {
  return core.nowMs - sinceMs >= core.options.deadMs
}

function refresh(core: CoreState, tenure: Tenure): void {
  const seen = activesSeen(core)
  for (const id of tenure.rivals.keys()) if (!seen.has(id)) tenure.rivals.delete(id)
  for (const [id, term] of seen) {
    const before = tenure.rivals.get(id)
    // Of two equal terms neither is newer, so the active that is not heard steps down as well.
    const older = term.epoch < tenure.term.epoch
    const deaf = !older && !pathTo(core, id)
    tenure.rivals.set(id, {
      id,
      term,
      sinceMs: before?.sinceMs ?? core.nowMs,
      deafSinceMs: deaf ? (before?.deafSinceMs ?? core.nowMs) : undefined,
    })
  }
}

/** Other actives that are heard or reported by others, each with its highest term. */
function activesSeen(core: CoreState): Map<string, Term> {
  const seen = new Map<string, Term>()
  for (const { peer, term } of activesHeard(core)) seen.set(peer.id, term)
  for (const peer of peersOf(core)) {
    const follows = peer.view?.follows
    if (follows === undefined || !follows.heard || !heard(core, peer) || peer.view?.late) continue
    if (follows.id === core.options.nodeId) continue
    const direct = core.peers.get(follows.id)
    if (direct === undefined || heard(core, direct)) continue
    const before = seen.get(follows.id)
    if (before === undefined || before.epoch < follows.term.epoch)
      seen.set(follows.id, follows.term)
  }
  return seen
}

/**
 * The id of an active of a newer term, heard here or by others, whose copy may continue this one.
 */
export function newerActive(core: CoreState, own: Term): string | undefined {
  for (const [id, term] of activesSeen(core)) {
    if (term.epoch > own.epoch && !isNoSuccessor(core, { id, term })) return id
  }
  return undefined
}

/**
 * Whether information from this node can reach `target` through members that hear one another. A
 * target that is not heard here is assumed to hear the members that hear it.
 */
function pathTo(core: CoreState, target: string): boolean {
  const reached = new Set([core.options.nodeId])
  for (let grew = true; grew; ) {
    grew = false
    for (const peer of peersOf(core)) {
      if (reached.has(peer.id) || !hearsOneOf(core, peer.id, target, reached)) continue
      reached.add(peer.id)
      grew = true
    }
  }
  return reached.has(target)
}

function hearsOneOf(
  core: CoreState,
  id: string,
  target: string,
  reached: ReadonlySet<string>,
): boolean {
  const peer = core.peers.get(id)
  if (peer?.view !== undefined && heard(core, peer)) {
    return peer.view.hears.some((other) => reached.has(other))
  }
  if (id !== target) return false
  return peersOf(core).some(
    (relay) =>
      reached.has(relay.id) && heard(core, relay) && (relay.view?.hears.includes(target) ?? false),
  )
}

function report(core: CoreState, tenure: Tenure, rival: Rival): void {
  const own = { id: core.options.nodeId, term: tenure.term }
  const actives = [own, { id: rival.id, term: rival.term }].sort(
    (left, right) => left.term.epoch - right.term.epoch || (left.id < right.id ? -1 : 1),
  )
  const names = actives.map(({ id, term }) => `${term.epoch}-${id}`).join('/')
  const incident = `${core.options.cluster}/split/${names}`
  emitOnce(core, incident, { name: 'splitBrain', incident, actives })
}
