/**
 * Where bytes are nothing but zeros, block by block, so that a sparse file need not be moved and
 * stored as if it were full. What is left out is put back as zeros, so a run in a file without
 * holes is left out as safely as a hole.
 */

/** What a file system gives a file at a time; a hole is never smaller. */
export const BLOCK_BYTES = 4096

const zeros = Buffer.alloc(BLOCK_BYTES)

/** A stretch of bytes that are not all zeros. */
export interface Run {
  /** From the beginning of the bytes that were looked at. */
  readonly start: number
  readonly length: number
}

/**
 * The stretches that remain when the blocks of zeros are left out, in order.
 *
 * @param position - where in its file the first byte stands: blocks begin at its multiples of
 *   {@link BLOCK_BYTES}, and one that is here only in part is never left out
 */
export function dataRuns(bytes: Uint8Array, position: number): Run[] {
  const runs: Run[] = []
  const { length } = bytes
  let start = 0
  let at = Math.min(length, (BLOCK_BYTES - (position % BLOCK_BYTES)) % BLOCK_BYTES)
  for (; at + BLOCK_BYTES <= length; at += BLOCK_BYTES) {
    if (!isZero(bytes, at)) continue
    if (at > start) runs.push({ start, length: at - start })
    start = at + BLOCK_BYTES
  }
  if (start < length) runs.push({ start, length: length - start })
  return runs
}

function isZero(bytes: Uint8Array, at: number): boolean {
  // Hardly any block of data begins with zeros and has one in its middle, too.
  if (bytes[at] !== 0 || bytes[at + BLOCK_BYTES / 2] !== 0) return false
  return zeros.equals(bytes.subarray(at, at + BLOCK_BYTES))
}

/** Whether nothing is left out. */
export function isWhole(runs: readonly Run[], length: number): boolean {
  return runs[0]?.length === length || length === 0
}
