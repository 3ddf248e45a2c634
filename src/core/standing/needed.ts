/**
 * Whose frozen copy a takeover needs, so that no acknowledged write is left behind: the in-sync set
 * that was journaled last, or, where that is not known, every promotable member.
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

/** Why it is held, in words for people. */
export const missingReason = 'missing members may hold acknowledged writes'
export const lackingReason = 'members in reach no longer hold what they may have acknowledged'
export const unfetchedReason = 'what a member in reach has cannot be fetched from it'
export const outdatedReason = 'a later position is known than any copy in reach has'

/** The in-sync set as one of its members knows it. */
interface KnownSet {
  readonly by: string
  readonly members: readonly string[]
}

/**
 * The members that must answer before this one may take over. A member of the in-sync set does not
 * need the lost active: every acknowledged write is on a member of the set. A member outside of it
 * also needs the active, which alone may hold the newest writes.
 *
 * @param promises - the frozen views of those who take part in a round, where there is one
 */
export function neededMembers(core: CoreState, promises?: ReadonlyMap<string, PeerView>): Peer[] {
  const { options } = core
  const term = lastTerm(core)
  const owner = term?.nodeId
  // This process wrote it, so that nothing was acknowledged that it did not have.
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
 * What a member of the set knows that followed the lost active to its end, as the one of them does
 * that has most: the active can have taken out whoever lost the stream before, but not that one.
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
 * The needed members that do not answer for what they acknowledged: those still waited for, and
 * those for which `hold` holds. One that is heard and lacks it is not waited for, for it has
 * nothing more to say.
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

/** The owner of the last term is heard, and stands for the whole set. */
function ownerAnswers(core: CoreState): boolean {
  const owner = core.peers.get(lastTerm(core)?.nodeId ?? '')
  if (owner?.view === undefined || !heard(core, owner)) return false
  return standsForSet(core, owner, owner.view)
}

function answersNow(core: CoreState, peer: Peer): boolean {
  return heard(core, peer) && (peer.view === undefined || answersForItself(core, peer, peer.view))
}

/**
 * Counted from when it was last heard, but not from before the active was lost: a member that was
 * silent for long before gets its time to come back, and one that fell silent together with the
 * active costs no more.
 */
function silentUntilMs(core: CoreState, peer: Peer): number {
  const activeLostMs = core.timers.get('activeLost') ?? core.nowMs
  return Math.max(peer.heardAtMs ?? 0, activeLostMs) + core.options.deadMs
}

/**
 * Promotable members that are not heard; observers hold nothing that is acknowledged nowhere else.
 */
export function missingAtStart(core: CoreState): string[] {
  return peersOf(core)
    .filter((peer) => peer.promotable && !heard(core, peer) && !core.withoutPeers.has(peer.id))
    .map((peer) => peer.id)
}

/**
 * Members in reach that were in the in-sync set when our journal ended, and whose copies do not
 * hold that term any more. What they had acknowledged after our journal ended nobody can tell.
 */
export function lackingAtStart(core: CoreState): string[] {
  const inSync = core.copy.inSync ?? []
  return peersOf(core)
    .filter(({ id, promotable }) => promotable && inSync.includes(id) && !core.withoutPeers.has(id))
    .filter((peer) => heard(core, peer) && !answersNow(core, peer))
    .map((peer) => peer.id)
}

/**
 * Whether what a peer has beyond our copy could not be fetched for as long as a silent member is
 * waited for.
 */
export function triedLongEnough(core: CoreState, peer: Peer): boolean {
  const sinceMs = peer.unfetchableSinceMs
  return sinceMs !== undefined && core.nowMs - sinceMs >= core.options.deadMs
}

/** Nobody serves until these members are back, or an operator decides; said once. */
export function hold(core: CoreState, reason: string, missing: readonly string[]): void {
  decide(core, 'takeover', 'hold', { reason, missing })
  emitOnce(core, `holding ${reason} ${missing.join()}`, { name: 'holding', missing, reason })
}

/**
 * Holds for members that may have what nobody in reach has; the others are told, so that none goes
 * in our place.
 */
export function holdFor(core: CoreState, reason: string, missing: readonly string[]): void {
  core.holdsFor = missing
  hold(core, reason, missing)
}

/**
 * Members without which this node does not take the role, as it tells the others with each view. It
 * is worked out anew each time, whoever is the best candidate and whether a round runs or not: a
 * copy that looks as good as ours may be first in the list, know of nobody, and serve in any moment
 * in which it is told of nobody.
 */
export function holdsForNow(core: CoreState): string[] {
  const { options, promotable, role, wasReplica } = core
  if (options.onMissingPeer !== 'hold' || role !== 'discovering' || !promotable) return []
  const needed = wasReplica ? silentNeeded(core, false).hold : core.holdsFor
  return [...new Set([...needed, ...aheadOf(core)])]
}

/** Members in reach that have more than we: what they have is fetched, or they go first. */
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
 * Members for which another one holds that knows more than we: a node that restarted, or has an
 * empty disk, does not know the set, and must not go in the place of one that does. That may be
 * this very node, if it came back with less.
 *
 * @param promises - the frozen views of those who take part in a round, where there is one
 */
export function heldByOthers(core: CoreState, promises?: ReadonlyMap<string, PeerView>): string[] {
  if (core.options.onMissingPeer !== 'hold' || core.wasReplica) return []
  const ids = new Set<string>()
  // An order given to this node is for its copy as it is.
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
 * Whether our own round need not care that another member holds for this one: we hear it, and it
 * has more than the other one, so that our round fetches that or holds itself; or only the other
 * one does not hear it, and it has all that the other one has. In a round its frozen copy has to
 * say so.
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
