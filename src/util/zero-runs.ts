/**
 * Where bytes are nothing but zeros, block by block, so that a sparse file need not be moved and
 * stored as if it were full. What is left out is put back as zeros, so a run in a file without
 * holes is left out as safely as a hole.
 */

/** What a file system gives a file at a time; a hole is never smaller. */
export const blockBytes = 4096

const zeros = Buffer.alloc(blockBytes)

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
 *   {@link blockBytes}, and one that is here only in part is never left out
 */
export function dataRuns(bytes: Uint8Array, position: number): Run[] {
  const runs: Run[] = []
  const { length } = bytes
  let start = 0
  let at = Math.min(length, (blockBytes - (position % blockBytes)) % blockBytes)
  for (; at + blockBytes <= length; at += blockBytes) {
    if (!isZero(bytes, at)) continue
    if (at > start) runs.push({ start, length: at - start })
    start = at + blockBytes
  }
  if (start < length) runs.push({ start, length: length - start })
  return runs
}

function isZero(bytes: Uint8Array, at: number): boolean {
  // Hardly any block of data begins with zeros and has one in its middle, too.
  if (bytes[at] !== 0 || bytes[at + blockBytes / 2] !== 0) return false
  return zeros.equals(bytes.subarray(at, at + blockBytes))
}

/** Whether nothing is left out. */
export function isWhole(runs: readonly Run[], length: number): boolean {
  return runs[0]?.length === length || length === 0
}
