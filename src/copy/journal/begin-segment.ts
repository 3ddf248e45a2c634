/** The last segment of a journal, made ready to take entries. */
import type { Random } from '../../interfaces/random.js'
import type { Log } from '../../interfaces/storage.js'
import { encodeSegmentHeader } from './format.js'
import type { ScannedJournal } from './scan.js'
import type { Segment } from './tail.js'

/**
 * Cuts and syncs the last segment, and writes its header where there is none; answers its nonce.
 */
export async function beginSegment(
  log: Log,
  segment: Segment,
  { damage, facts, nonce }: ScannedJournal,
  random: Random,
): Promise<number> {
  if (damage !== undefined && segment.name === damage.segment) return nonce ?? 0
  // Also where nothing is torn: a process that died in the middle of an append may have left bytes
  // in the cache of the system, and from here on they count as durable.
  if (log.bytes > 0) await log.truncate(segment.bytes)
  if (nonce !== undefined && segment.bytes > 0) return nonce
  const fresh = nonceFrom(random)
  const header = encodeSegmentHeader(fresh, facts)
  await log.append([header])
  segment.bytes = header.length
  return fresh
}

/** What tells the marks of one segment from those of another. */
export function nonceFrom(random: Random): number {
  const bytes = random.bytes(4)
  return Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE(0)
}
