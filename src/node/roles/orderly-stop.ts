/**
 * Records an orderly stop, which tells the next process that the disk has everything that was
 * acknowledged, also from memory. That holds only if the stream had ended and everything received
 * was durable before the record.
 */
import type { DurableFacts } from '../../core/state/facts.js'
import type { Replica } from '../data/replica.js'
import type { FactsLog } from './hard-state-log.js'

/** Whether the process that left these facts stopped in order. */
function isInOrder({ lastStop }: DurableFacts): boolean {
  return lastStop === 'standby' || lastStop === 'active'
}

/**
 * Whether the process that left these facts may have acknowledged changes that its disk lacks. Its
 * own policy decides; if it did not record that, the current policy does.
 */
export function mayHaveForgotten(log: FactsLog, memoryAcks: boolean): boolean {
  return !isInOrder(log.facts) && (log.memoryAcks ?? memoryAcks)
}

/** Writes durable facts. A stop whose journal could not be made durable counts as a crash. */
export async function writeFacts(
  log: FactsLog,
  replica: Replica,
  facts: DurableFacts,
): Promise<void> {
  const keeps = !isInOrder(facts) || (await replica.comesToRest())
  await log.write(keeps ? facts : { ...facts, lastStop: 'crashed' }, replica.memoryAcks)
}
