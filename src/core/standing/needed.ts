/**
 * Decides whose frozen copy a takeover needs, so that no acknowledged write is lost: the members of
 * the last journaled in-sync set or, when that is unknown, all promotable members.
 */
import { compareFreshness, sameTerm, type Term } from '../../history/position.js'
import { emitOnce } from '../state/acts.js'
import { decide } from '../state/explain.js'
import type { CopyFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import { type CoreState, type Peer, peersOf } from '../state/state.js'
import { heard, nobodyListens, provenEnd } from './liveness.js'
import { isUnlikely, standIns } from './stand-ins.js'
import { answersFor, answersForItself, lastTerm, standsForSet } from './stands.js'

/** The reasons for holding, for people. */
export const missingReason = 'missing members may hold acknowledged writes'
export const lackingReason = 'members in reach no longer hold what they may have acknowledged'
export const unfetchedReason = 'what a member in reach has cannot be fetched from it'
export const outdatedReason = 'a later position is known than any copy in reach has'

/** The in-sync set as known to one of its members. */
interface KnownSet {
  readonly by: string
  readonly members: readonly string[]
}

/**
 * The members that must answer before this node takes over. A member of the in-sync set does not
 * need the lost active, because every acknowledged write is on the set. A node outside the set also
 * needs the active, which alone may hold the newest writes.
 *
 * @param promises - the frozen views of a round, if there is one
 */
export function neededMembers(core: CoreState, promises?: ReadonlyMap<string, PeerView>): Peer[] {
  const { options } = core
  const term = lastTerm(core)
  const owner = term?.nodeId
  // This process wrote the term, so it has everything that was acknowledged in it.
  if (owner === options.nodeId && term?.bootId === options.bootId) return []
  const set = ownSet(core) ?? (term === undefined ? undefined : setOfOthers(core, term, promises))
  return peersOf(core).filter((peer) => {
    if (set === undefined) return peer.promotable
    if (peer.id === owner) return !set.members.includes(set.by)
    return set.members.includes(peer.id)
  })
}

function ownSet({ copy, options, setDoubted }: CoreState): KnownSet | undefined {
  const { inSync, inSyncKnown } = copy
  return inSyncKnown && !setDoubted && inSync !== undefined
    ? { by: options.nodeId, members: inSync }
    : undefined
}

/**
 * The set as known to the member that followed the lost active to its end and has most. The active
 * may have removed members that lost the stream earlier, but not that one.
 */
function setOfOthers(
  core: CoreState,
  term: Term,
  promises: ReadonlyMap<string, PeerView> | undefined,
): KnownSet | undefined {
  let best: { readonly peer: Peer; readonly copy: CopyFacts } | undefined
  for (const peer of peersOf(core)) {
    const view = promises === undefined ? peer.view : promises.get(peer.id)
    if (view === undefined || !heard(core, peer) || !peer.promotable) continue
    const { copy, follows } = view
    if (!copy.inSyncKnown || copy.inSync?.includes(peer.id) !== true) continue
    if (follows === undefined || !sameTerm(follows.term, term)) continue
    if (!answersForItself(core, peer, view)) continue
    if (best === undefined || compareFreshness(copy, best.copy) > 0) best = { peer, copy }
  }
  return best === undefined ? undefined : { by: best.peer.id, members: best.copy.inSync ?? [] }
}

/**
 * The needed members that cannot report what they acknowledged: those that are still waited for,
 * and those for which `hold` holds. A member that is heard with a copy that lacks something is not
 * waited for, because it has nothing more to report.
 */
export function silentNeeded(core: CoreState, proven: boolean): { wait: string[]; hold: string[] } {
  const wait: string[] = []
  const hold: string[] = []
  if (!core.wasReplica) {
    const holds = core.options.onMissingPeer === 'hold' && !proven
    return { wait, hold: holds ? [...missingAtStart(core), ...lackingAtStart(core)] : hold }
  }
  if (ownerAnswers(core)) return { wait, hold }
  const needed = neededMembers(core)
  const unheard = standIns(core).filter((peer) => !heard(core, peer) && !isUnlikely(core, peer.id))
  for (const peer of new Set([...needed, ...unheard])) {
    if (core.withoutPeers.has(peer.id) || answersNow(core, peer)) continue
    const silent = !heard(core, peer) && !provenEnd(peer) && !nobodyListens(peer)
    if (silent && core.nowMs < silentUntilMs(core, peer)) wait.push(peer.id)
    if (core.options.onMissingPeer === 'hold') hold.push(peer.id)
  }
  return { wait, hold }
}

/** Whether the owner of the last term is heard and stands for the whole set. */
function ownerAnswers(core: CoreState): boolean {
  const owner = core.peers.get(lastTerm(core)?.nodeId ?? '')
  if (owner?.view === undefined || !heard(core, owner)) return false
  return standsForSet(core, owner, owner.view)
}

function answersNow(core: CoreState, peer: Peer): boolean {
  return heard(core, peer) && (peer.view === undefined || answersForItself(core, peer, peer.view))
}

/**
 * The end of the wait for a silent member, counted from when it was last heard or, if later, from
 * the loss of the active. So a member that was silent long before gets time to return, and one that
 * fell silent with the active costs no additional time.
 */
function silentUntilMs(core: CoreState, peer: Peer): number {
  const activeLostMs = core.timers.get('activeLost') ?? core.nowMs
  return Math.max(peer.heardAtMs ?? 0, activeLostMs) + core.options.deadMs
}

/**
 * Promotable members that are not heard. Observers are left out, because what they acknowledge is
 * always held elsewhere.
 */
export function missingAtStart(core: CoreState): string[] {
  return peersOf(core)
    .filter((peer) => peer.promotable && !heard(core, peer) && !core.withoutPeers.has(peer.id))
    .map((peer) => peer.id)
}

/**
 * Members in reach that were in the in-sync set at the end of this node's journal and whose copies
 * lack that term. It is unknown what they acknowledged after it.
 */
export function lackingAtStart(core: CoreState): string[] {
  const inSync = core.copy.inSync ?? []
  return peersOf(core)
    .filter(({ id, promotable }) => promotable && inSync.includes(id) && !core.withoutPeers.has(id))
    .filter((peer) => heard(core, peer) && !answersNow(core, peer))
    .map((peer) => peer.id)
}

/**
 * Whether fetching the additional changes of a peer has failed for as long as a silent member is
 * waited for.
 */
export function triedLongEnough(core: CoreState, peer: Peer): boolean {
  const sinceMs = peer.unfetchableSinceMs
  return sinceMs !== undefined && core.nowMs - sinceMs >= core.options.deadMs
}

/**
 * Holds the role back until these members return or an operator decides. The event is emitted once.
 */
export function hold(core: CoreState, reason: string, missing: readonly string[]): void {
  decide(core, 'takeover', 'hold', { reason, missing })
  emitOnce(core, `holding ${reason} ${missing.join()}`, { name: 'holding', missing, reason })
}

/**
 * Holds for members that may have changes which no reachable copy has. The other members learn of
 * it, so that none takes over in this node's place.
 */
export function holdFor(core: CoreState, reason: string, missing: readonly string[]): void {
  core.holdsFor = missing
  hold(core, reason, missing)
}

/**
 * The members without which this node does not take the role, sent to all with each view. It is
 * computed for every view, whether a round runs or not: another node with an equally good copy may
 * be first in the list, know of none of these members, and would serve as soon as it is told of
 * none.
 */
export function holdsForNow(core: CoreState): string[] {
  const { options, promotable, role, wasReplica } = core
  if (options.onMissingPeer !== 'hold' || role !== 'discovering' || !promotable) return []
  const needed = wasReplica ? silentNeeded(core, false).hold : core.holdsFor
  return [...new Set([...needed, ...aheadOf(core)])]
}

/**
 * Members in reach with a fresher copy, which is fetched first, or whose owners take over
 * themselves.
 */
function aheadOf(core: CoreState): string[] {
  return peersOf(core)
    .filter(({ id, promotable }) => promotable && !core.withoutPeers.has(id))
    .filter((peer) => heard(core, peer) && hasMore(peer.view?.copy, core.copy))
    .map((peer) => peer.id)
}

function hasMore(copy: CopyFacts | undefined, than: CopyFacts): boolean {
  return copy !== undefined && compareFreshness(copy, than) > 0
}

/**
 * Members for which another node holds whose copy is at least as fresh. A node that restarted, or
 * has an empty disk, does not know the in-sync set and must not overrule one that does. The members
 * may include this node, if it came back with less.
 *
 * @param promises - the frozen views of a round, if there is one
 */
export function heldByOthers(core: CoreState, promises?: ReadonlyMap<string, PeerView>): string[] {
  if (core.options.onMissingPeer !== 'hold' || core.wasReplica) return []
  const ids = new Set<string>()
  // An order given to this node concerns its copy as it is.
  const ordered = new Set(core.withoutPeers)
  if (ordered.size > 0) ordered.add(core.options.nodeId)
  for (const peer of peersOf(core)) {
    const { view } = peer
    if (view === undefined || !heard(core, peer)) continue
    if (compareFreshness(core.copy, view.copy) > 0) continue
    for (const id of view.holdsFor ?? []) {
      if (!ordered.has(id) && !answersUs(core, view, id, promises)) ids.add(id)
    }
  }
  return [...ids]
}

/**
 * Whether this node's round may ignore that another node holds for a member: this node hears that
 * member, and the member has more than the holder, so that this round fetches it or holds itself;
 * or only the holder does not hear it, and it has all that the holder has. In a round its frozen
 * copy has to show that.
 */
function answersUs(
  core: CoreState,
  holder: PeerView,
  id: string,
  promises: ReadonlyMap<string, PeerView> | undefined,
): boolean {
  const peer = core.peers.get(id)
  if (peer === undefined || !heard(core, peer)) return false
  if (hasMore(peer.view?.copy, holder.copy)) return true
  if (holder.hears.includes(id)) return false
  const view = promises === undefined ? peer.view : promises.get(id)
  return view !== undefined && answersFor(holder.copy, view)
}
