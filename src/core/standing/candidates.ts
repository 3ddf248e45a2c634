/**
 * Who should take the role, among those who can be asked.
 *
 * An empty copy loses against any with data. Across a fork the freshest history wins, and whoever
 * is on the other side cannot fetch what it lacks, so it is no candidate. Without a fork anybody
 * can fetch it: then `order` says whether the freshest or the first listed goes. A member that no
 * other can dial goes last: nobody could follow it.
 */
import {
  compareFreshness,
  type Extent,
  positionOf,
  relate,
  type Term,
} from '../../history/position.js'
import { running } from '../state/acts.js'
import type { CopyFacts, DurableFacts } from '../state/facts.js'
import type { PeerView } from '../state/messages.js'
import { type CoreState, ownCopy, type Peer, peersOf } from '../state/state.js'
import { cannotDial, heard } from './liveness.js'

/** A member as a source of data or a candidate. */
export interface Standing {
  readonly id: string
  readonly index: number
  readonly promotable: boolean
  /** Whether some other member in reach can dial it, as far as is known. */
  readonly dialable: boolean
  readonly copy: CopyFacts
  readonly known: DurableFacts['known']
  readonly lastStop: DurableFacts['lastStop']
}

/** This node and all peers that are heard. */
export function standings(core: CoreState): Standing[] {
  const found = [ownStanding(core)]
  for (const peer of peersOf(core)) {
    const { view } = peer
    if (view === undefined || view.role === 'active' || view.role === 'stopped') continue
    if (heard(core, peer)) found.push(peerStanding(core, peer, view))
  }
  return found
}

export function ownStanding(core: CoreState): Standing {
  return {
    id: core.options.nodeId,
    index: core.index,
    promotable: core.promotable,
    dialable: isDialable(core, core.options.nodeId),
    copy: ownCopy(core),
    known: core.durable.known,
    lastStop: core.tookPart ? 'crashed' : core.previousStop,
  }
}

function peerStanding(core: CoreState, peer: Peer, view: PeerView): Standing {
  const { id, index, promotable } = peer
  const { copy, known, lastStop } = view
  return { id, index, promotable, dialable: isDialable(core, id), copy, known, lastStop }
}

/** Whether anybody in reach can dial this member, or nobody is there to say. */
export function isDialable(core: CoreState, id: string): boolean {
  const others = peersOf(core).filter((peer) => peer.id !== id && heard(core, peer))
  const own = core.peers.get(id)
  if (own === undefined) {
    // Whoever dialled us has shown it; at the first search of all the others may still be at it.
    const unknown = others.length === 0 || (!core.wasReplica && running(core, 'discovery'))
    if (unknown || others.some((peer) => peer.accepted)) return true
  } else if (!cannotDial(core, own)) return true
  return others.some(({ view }) => view !== undefined && !view.cannotDial.includes(id))
}

/** Whether nobody in reach has dialled us yet, which may be only a matter of time. */
export function awaitsDials(core: CoreState): boolean {
  const others = peersOf(core).filter((peer) => heard(core, peer))
  return others.length > 0 && !others.some((peer) => peer.accepted)
}

export function isCandidate(standing: Standing): boolean {
  const { copy } = standing
  return standing.promotable && copy.complete && copy.ineligible === undefined
}

/** The member that should take the role; undefined when none may. */
export function bestCandidate(
  all: readonly Standing[],
  excluded: ReadonlySet<string>,
  order: 'freshest' | 'list',
): Standing | undefined {
  const candidates = all.filter((one) => isCandidate(one) && !excluded.has(one.id))
  const best = freshest(candidates)
  if (best === undefined || order === 'freshest') return best
  return candidates
    .filter((one) => best.copy.seq === 0 || one.copy.seq > 0)
    .filter((one) => canFetch(one.copy, best.copy))
    .sort(inOrder)[0]
}

/** Those that somebody can follow first, then in takeover order. */
function inOrder(left: Standing, right: Standing): number {
  return Number(right.dialable) - Number(left.dialable) || left.index - right.index
}

/** The freshest copy; of equal ones one that can be followed, in takeover order. */
export function freshest(all: readonly Standing[]): Standing | undefined {
  return [...all].sort(
    (left, right) => compareFreshness(right.copy, left.copy) || inOrder(left, right),
  )[0]
}

/**
 * Whether a copy becomes equal to another one by fetching its suffix, which may have been trimmed.
 */
function canFetch(copy: CopyFacts, other: CopyFacts): boolean {
  const { kind } = relate(copy, other)
  return kind === 'equal' || (kind === 'behind' && copy.seq + 1 >= (other.firstSeq ?? 0))
}

/**
 * The copy with the most changes on the line of `copy`: observers, ineligible members and damaged
 * copies count as sources.
 */
export function longestOnLine(all: readonly Standing[], copy: CopyFacts): CopyFacts {
  let longest = copy
  for (const one of all) {
    if (relate(longest, one.copy).kind === 'behind') longest = one.copy
  }
  return longest
}

/**
 * Whether the copy that would be served is the one that the last active left behind when it stopped
 * cleanly.
 */
export function provenBy(all: readonly Standing[], best: Standing): boolean {
  return all.some(
    (proof) =>
      proof.lastStop === 'active' &&
      relate(best.copy, proof.copy).kind === 'equal' &&
      all.every((other) => ['equal', 'ahead'].includes(relate(proof.copy, other.copy).kind)),
  )
}

/** Whether the last change of a copy was made by the process that this term belongs to. */
export function stampedBy(copy: Extent, writer: Term): boolean {
  const last = positionOf(copy)?.term
  return last?.nodeId === writer.nodeId && last.bootId === writer.bootId
}

/**
 * A member that continues our copy and has more. Changes that this very process made cannot be
 * ahead of it: its own facts are only older then than what a standby says.
 */
export function copyAhead(core: CoreState, term: Term): Peer | undefined {
  return peersOf(core).find((peer) => {
    const copy = peer.view?.copy
    // Cheap first: an active asks this with every input, and histories may be long.
    if (copy === undefined || copy.seq <= core.copy.seq) return false
    if (!heard(core, peer)) return false
    return relate(core.copy, copy).kind === 'behind' && !stampedBy(copy, term)
  })
}
