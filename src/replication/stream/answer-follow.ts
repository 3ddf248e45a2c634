/**
 * The active's answer to a node that wants to follow: a plan for catching up, or a refusal; and the
 * follower's check of that plan.
 */
import { HotspareError } from '../../errors.js'
import type { Extent, Relation } from '../../history/position.js'
import { relate, sameTerm, type Term } from '../../history/position.js'
import type { StreamSource } from '../in-sync/stream-source.js'
import type { PlanMessage } from '../restore/plan.js'
import type { FollowMessage, RefuseMessage } from './messages.js'
import type { OutgoingContext } from './outgoing-types.js'

type Refusal = Pick<RefuseMessage, 'code' | 'reason'>

/** Answers a peer's request to follow. */
export function answerTo(
  follow: FollowMessage,
  peer: string,
  context: OutgoingContext,
): Refusal | { readonly plan: PlanMessage; readonly source: StreamSource } {
  const serving = context.serving()
  if (serving === undefined) return { code: 'NOT_ACTIVE', reason: 'this node is not active' }
  const { term, source } = serving
  const { promised } = follow
  const above = promised !== undefined && promised.epoch > term.epoch
  const other = promised !== undefined && promised.epoch === term.epoch && !sameTerm(promised, term)
  if (above || other) {
    const reason = `epoch ${promised.epoch} was promised, this term has ${term.epoch}`
    return { code: 'STALE_TERM', reason }
  }
  const refusal = context.refusal(peer)
  if (refusal !== undefined) return { code: 'POLICY_MISMATCH', reason: refusal }
  const relation = relate(follow.extent, context.copy.extent)
  if (relation.kind === 'unrelated') {
    return { code: 'HISTORY_UNRELATED', reason: 'both copies have data and no common history' }
  }
  if (relation.kind === 'ahead') {
    return { code: 'STALE_TERM', reason: 'the follower has changes that this node lacks' }
  }
  return { plan: planFor(follow, relation, term, context), source }
}

function planFor(
  follow: FollowMessage,
  relation: Relation,
  term: Term,
  context: OutgoingContext,
): PlanMessage {
  const { copy } = context
  const { commonSeq } = relation
  const diverged = relation.kind === 'diverged'
  const journal = commonSeq + 1 >= copy.firstSeq && commonSeq >= context.readableAfter()
  let method: PlanMessage['method'] = relation.kind === 'equal' ? 'none' : 'journal'
  if (diverged || follow.repair || !journal) method = 'delta'
  if (!follow.complete || (follow.extent.seq === 0 && copy.seq > 0)) method = 'full'
  const cut = copy.extent
  const inSync = copy.inSync ?? []
  const restoreId = context.newRestoreId()
  const ackedSeq = Math.min(copy.ackedSeq, cut.seq)
  return { type: 'plan', method, restoreId, term, cut, inSync, ackedSeq, commonSeq, diverged }
}

/**
 * The follower does not trust the plan: it computes the common position from its own extent.
 *
 * @throws `HISTORY_UNRELATED` for copies that cannot be reconciled, `PROTOCOL_VIOLATION` for a
 *   wrong plan
 */
export function requireFits(plan: PlanMessage, own: Extent, peer: string): void {
  const relation = relate(own, plan.cut)
  if (relation.kind === 'unrelated' || relation.kind === 'ahead') {
    const how = relation.kind === 'ahead' ? 'has more than' : 'shares nothing with'
    throw new HotspareError('HISTORY_UNRELATED', `this copy ${how} that of ${peer}`)
  }
  if (relation.commonSeq !== plan.commonSeq || plan.diverged !== (relation.kind === 'diverged')) {
    throw new HotspareError('PROTOCOL_VIOLATION', 'the plan starts from another common position')
  }
}
