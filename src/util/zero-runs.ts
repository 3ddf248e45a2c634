/**
 * Finds blocks of zeros, so that a sparse file need not be transferred and stored in full. Blocks
 * that are left out read back as zeros, so leaving out a block of real zeros is as safe as leaving
 * out a hole.
 */

/**
 * Bytes of a block. Common file systems allocate in multiples of it, so a hole is never smaller.
 */
export const blockBytes = 4096

const zeros = Buffer.alloc(blockBytes)

/** A stretch of bytes that are not all zeros. */
export interface Run {
  /** Offset in the examined bytes. */
  readonly start: number
  readonly length: number
}

/**
 * The stretches that remain when blocks of zeros are left out, in order.
 *
 * @param position - offset of the first byte in its file. Blocks are aligned to multiples of the
 *   block size in the file; one that `bytes` contains only in part is never left out
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
  // Two bytes rule out almost every block of data before the full comparison.
  if (bytes[at] !== 0 || bytes[at + blockBytes / 2] !== 0) return false
  return zeros.equals(bytes.subarray(at, at + blockBytes))
}

/** Whether the runs cover all `length` bytes. */
export function isWhole(runs: readonly Run[], length: number): boolean {
  return runs[0]?.length === length || length === 0
}
