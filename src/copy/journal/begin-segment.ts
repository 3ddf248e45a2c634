/** Prepares the last segment of a journal for entries. */
import type { Random } from '../../interfaces/random.js'
import type { Log } from '../../interfaces/storage.js'
import { encodeSegmentHeader } from './format.js'
import type { ScannedJournal } from './scan.js'
import type { Segment } from './tail.js'

/** Cuts and syncs the last segment, writes its header if it has none, and returns its nonce. */
export async function beginSegment(
  log: Log,
  segment: Segment,
  { damage, facts, nonce }: ScannedJournal,
  random: Random,
): Promise<number> {
  if (damage !== undefined && segment.name === damage.segment) return nonce ?? 0
  // Truncated even if nothing is torn: a process that died during an append may have left bytes in
  // the page cache, which count as durable from here on.
  if (log.bytes > 0) await log.truncate(segment.bytes)
  if (nonce !== undefined && segment.bytes > 0) return nonce
  const fresh = nonceFrom(random)
  const header = encodeSegmentHeader(fresh, facts)
  await log.append([header])
  segment.bytes = header.length
  return fresh
}

/** A number by which the marks of a segment differ from those of others. */
export function nonceFrom(random: Random): number {
  const bytes = random.bytes(4)
  return Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE(0)
}
