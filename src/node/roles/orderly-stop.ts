/**
 * What a stop in order says on the disk: the next process has everything that this one
 * acknowledged, also from memory. It is true only if the stream ended, and all that it brought was
 * durable, before it is written.
 */
import type { DurableFacts } from '../../core/state/facts.js'
import type { Replica } from '../data/replica.js'
import type { FactsLog } from './hard-state-log.js'

/** Whether the process that left these facts stopped in order. */
function isInOrder({ lastStop }: DurableFacts): boolean {
  return lastStop === 'standby' || lastStop === 'active'
}

/**
 * Whether the process that left these facts may have acknowledged changes that its disk does not
 * hold. It may have had another policy; where it did not say, the policy of now answers for it.
 */
export function mayHaveForgotten(log: FactsLog, memoryAcks: boolean): boolean {
  return !isInOrder(log.facts) && (log.memoryAcks ?? memoryAcks)
}

/** Writes facts about roles; a stop whose journal the disk did not take counts as a crash. */
export async function writeFacts(
  log: FactsLog,
  replica: Replica,
  facts: DurableFacts,
): Promise<void> {
  const keeps = !isInOrder(facts) || (await replica.comesToRest())
  await log.write(keeps ? facts : { ...facts, lastStop: 'crashed' }, replica.memoryAcks)
}
