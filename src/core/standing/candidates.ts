/**
 * Ranks the members that may take the role.
 *
 * A copy with data comes before an empty one. After a fork the freshest history wins, and members
 * of another branch are no candidates because they cannot fetch what they lack. Without a fork
 * every member can fetch it, and the option `order` decides between the freshest and the first
 * listed. A member that no other can dial comes last, because no other could follow it.
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
  /** Whether another member in reach can dial it, as far as is known. */
  readonly dialable: boolean
  readonly copy: CopyFacts
  readonly known: DurableFacts['known']
  readonly lastStop: DurableFacts['lastStop']
}

/** This node and all peers that are heard and neither active nor stopped. */
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

/**
 * Whether another member in reach can dial this member; true when no other is there to report it.
 */
export function isDialable(core: CoreState, id: string): boolean {
  const others = peersOf(core).filter((peer) => peer.id !== id && heard(core, peer))
  const own = core.peers.get(id)
  if (own === undefined) {
    // A peer that has dialled this node can. During the first search all others may still be
    // dialling.
    const unknown = others.length === 0 || (!core.wasReplica && running(core, 'discovery'))
    if (unknown || others.some((peer) => peer.accepted)) return true
  } else if (!cannotDial(core, own)) return true
  return others.some(({ view }) => view !== undefined && !view.cannotDial.includes(id))
}

/** Whether no member in reach has dialled this node yet; they may still be dialling. */
export function awaitsDials(core: CoreState): boolean {
  const others = peersOf(core).filter((peer) => heard(core, peer))
  return others.length > 0 && !others.some((peer) => peer.accepted)
}

export function isCandidate(standing: Standing): boolean {
  const { copy } = standing
  return standing.promotable && copy.complete && copy.ineligible === undefined
}

/** The best candidate; undefined when there is none. */
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

/** Members that others can dial come first, then takeover order decides. */
function inOrder(left: Standing, right: Standing): number {
  return Number(right.dialable) - Number(left.dialable) || left.index - right.index
}

/**
 * The member with the freshest copy. Of equal ones a member that others can dial comes first, then
 * takeover order decides.
 */
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
 * The copy with the most changes that continues `copy`. Observers, ineligible members and damaged
 * copies count as sources.
 */
export function longestOnLine(all: readonly Standing[], copy: CopyFacts): CopyFacts {
  let longest = copy
  for (const one of all) {
    if (relate(longest, one.copy).kind === 'behind') longest = one.copy
  }
  return longest
}

/** Whether the best copy is the one that the last active left behind when it stopped cleanly. */
export function provenBy(all: readonly Standing[], best: Standing): boolean {
  return all.some(
    (proof) =>
      proof.lastStop === 'active' &&
      relate(best.copy, proof.copy).kind === 'equal' &&
      all.every((other) => ['equal', 'ahead'].includes(relate(proof.copy, other.copy).kind)),
  )
}

/** Whether the process of this term made the last change of a copy. */
export function stampedBy(copy: Extent, writer: Term): boolean {
  const last = positionOf(copy)?.term
  return last?.nodeId === writer.nodeId && last.bootId === writer.bootId
}

/**
 * A member whose copy continues this node's and has more. Changes made by this very process do not
 * count, because then only this node's facts are older than what a standby reports.
 */
export function copyAhead(core: CoreState, term: Term): Peer | undefined {
  return peersOf(core).find((peer) => {
    const copy = peer.view?.copy
    // The cheap check comes first: an active calls this with every input, and histories may be
    // long.
    if (copy === undefined || copy.seq <= core.copy.seq) return false
    if (!heard(core, peer)) return false
    return relate(core.copy, copy).kind === 'behind' && !stampedBy(copy, term)
  })
}
