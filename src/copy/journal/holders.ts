/**
 * The readers and pins that hold the journal, and the segments that may be trimmed.
 *
 * Invariant: a segment that a reader or a pin holds is trimmed only when the journal exceeds its
 * limit several times, and the holder learns of it by `lost`.
 */
import type { JournalReader } from './reader.js'
import type { Segment } from './tail.js'
import type { BlobBytes, JournalPin } from './types.js'

/**
 * The multiple of its limit up to which readers hold the journal. Beyond it the journal is trimmed,
 * and they get `JOURNAL_TRIMMED`.
 */
const pinnedTimes = 2

/** The limits for trimming the journal. */
export interface TrimLimits {
  /** The journal is trimmed while it has more bytes, including blobs. */
  readonly bytesMax: number
  /** The last change that may be removed. */
  readonly safeSeq: number
  readonly blobs: BlobBytes
  /** The segment in which recovery begins, which stays even if it has nothing to replay. */
  readonly keep: string | undefined
}

export class Holders {
  readonly #readers = new Set<JournalReader>()
  readonly #pins = new Set<{ afterSeq: number; lost: boolean }>()

  add(reader: JournalReader): void {
    this.#readers.add(reader)
  }

  remove(reader: JournalReader): void {
    this.#readers.delete(reader)
  }

  pin(afterSeq: number): JournalPin {
    const pin = { afterSeq, lost: false, release: (): void => void this.#pins.delete(pin) }
    this.#pins.add(pin)
    return pin
  }

  /**
   * The holders that need changes up to `lastSeq`, or other entries of the segment: entries without
   * a sequence number may end it.
   */
  of(segment: Segment, lastSeq: number): { lost: boolean }[] {
    const readers = [...this.#readers].filter(
      (reader) => reader.afterSeq < lastSeq || reader.segment === segment,
    )
    return [...readers, ...[...this.#pins].filter(({ afterSeq }) => afterSeq < lastSeq)]
  }

  closeReaders(): void {
    for (const reader of [...this.#readers]) reader.close()
  }

  /**
   * The segments to remove, oldest first; never the last one.
   *
   * @param isBusy - whether a segment is being read
   */
  unheld(
    segments: readonly Segment[],
    { bytesMax, safeSeq, blobs, keep }: TrimLimits,
    isBusy: (segment: Segment) => boolean,
  ): Segment[] {
    const gone: Segment[] = []
    let left = segments.reduce((sum, segment) => sum + segment.bytes, 0)
    let bytes = left + blobs.bytes
    for (let at = 0; at < segments.length - 1 && bytes > bytesMax; at += 1) {
      const [segment, next] = [segments[at], segments[at + 1]]
      if (segment === undefined || next === undefined || next.firstSeq - 1 > safeSeq) break
      if (segment.name === keep || isBusy(segment)) break
      const lastSeq = next.firstSeq - 1
      const isOverQuota = bytes > bytesMax * pinnedTimes
      if (!isOverQuota && this.of(segment, lastSeq).length > 0) break
      gone.push(segment)
      left -= segment.bytes
      bytes = left + blobs.bytes - blobs.bytesUpTo(lastSeq)
    }
    return gone
  }
}
