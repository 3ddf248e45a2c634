/**
 * Packs the content of an answer without the zeros of sparse files, and unpacks it again.
 *
 * For a stretch with omitted zeros, the answer lists its runs in order, each as its start in the
 * stretch and its length. Everything between the runs and after the last is zeros.
 */

import { fromPeer } from '../../protocol/fields.js'
import { dataRuns, isWhole } from '../../util/zero-runs.js'

const read = fromPeer('an answer of the source')

/** Collects the bytes of an answer. */
export class PackedContent {
  readonly #buffer: Uint8Array
  readonly #parts: Uint8Array[] = []
  #bytes = 0
  /**
   * The part of the buffer that is not added yet, because the next run may continue it without a
   * gap.
   */
  #from = 0
  #to = 0

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer
  }

  /**
   * Adds a stretch of the buffer.
   *
   * @param position - its offset in its file, if zeros may be omitted
   * @returns where it begins in the answer's bytes, and its runs if zeros were omitted
   */
  add(
    { start, length }: { readonly start: number; readonly length: number },
    position: number | undefined,
  ): { start: number; runs: number[] | undefined } {
    const at = this.#bytes
    const stretch = this.#buffer.subarray(start, start + length)
    const found = position === undefined ? undefined : dataRuns(stretch, position)
    if (found === undefined || isWhole(found, length)) {
      this.#append(start, length)
      return { start: at, runs: undefined }
    }
    for (const run of found) this.#append(start + run.start, run.length)
    return { start: at, runs: found.flatMap((run) => [run.start, run.length]) }
  }

  #append(start: number, length: number): void {
    if (start !== this.#to) {
      this.#end()
      this.#from = start
    }
    this.#to = start + length
    this.#bytes += length
  }

  #end(): void {
    if (this.#to > this.#from) this.#parts.push(this.#buffer.subarray(this.#from, this.#to))
  }

  /** All collected bytes; called once. */
  parts(): readonly Uint8Array[] {
    this.#end()
    return this.#parts
  }
}

/** A stretch of an answer. */
export interface PackedStretch {
  /** Where its bytes begin in the answer. */
  readonly start: number
  /** Its length with the omitted zeros. */
  readonly length: number
  /** Its runs as the answer lists them; undefined if nothing was omitted. */
  readonly runs: unknown
}

/**
 * Where a stretch ends in the bytes of an answer.
 *
 * @throws `PROTOCOL_VIOLATION` for invalid runs
 */
function endOf({ start, length, runs }: PackedStretch): number {
  if (runs === undefined) return start + length
  let end = start
  for (const [, bytes] of pairsOf(runs, length)) end += bytes
  return end
}

/**
 * The runs as pairs of start in the stretch and length.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
function pairsOf(runs: unknown, length: number): [number, number][] {
  // A run and the gap before it have at least one byte each, which bounds the number of runs.
  const numbers = read.list(runs, 'runs', length + 2).map((number) => read.count(number, 'run'))
  const pairs: [number, number][] = []
  let after = 0
  for (let at = 0; at < numbers.length; at += 2) {
    const [from, bytes] = [numbers[at], numbers[at + 1]]
    if (from === undefined || bytes === undefined || bytes === 0) throw read.bad('runs')
    if (from < after || from + bytes > length) throw read.bad('runs')
    pairs.push([from, bytes])
    after = from + bytes
  }
  return pairs
}

/**
 * Restores omitted zeros: answers the bytes, and where each stretch begins in them. If nothing was
 * omitted, these are the bytes of the answer. The caller must have bounded the lengths.
 *
 * @throws `PROTOCOL_VIOLATION` for stretches beyond the bytes
 */
export function unpack(
  bytes: Uint8Array,
  stretches: readonly PackedStretch[],
): { readonly bytes: Uint8Array; readonly starts: readonly number[] } {
  let total = 0
  for (const stretch of stretches) {
    if (endOf(stretch) > bytes.length) throw read.bad('stretch')
    total += stretch.length
  }
  if (stretches.every(({ runs }) => runs === undefined)) {
    return { bytes, starts: stretches.map(({ start }) => start) }
  }
  const whole = Buffer.alloc(total)
  let end = 0
  const starts = stretches.map((stretch) => {
    const begin = end
    end += stretch.length
    place(whole.subarray(begin, end), bytes, stretch)
    return begin
  })
  return { bytes: whole, starts }
}

function place(into: Uint8Array, bytes: Uint8Array, { start, length, runs }: PackedStretch): void {
  let from = start
  for (const [at, count] of runs === undefined ? [[0, length] as const] : pairsOf(runs, length)) {
    into.set(bytes.subarray(from, from + count), at)
    from += count
  }
}
