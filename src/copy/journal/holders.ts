/**
 * Who still wants what the journal has, and what of it may go.
 *
 * Invariant: a segment that a reader or a pin wants goes only when the journal has grown to several
 * times its limit, and whoever wanted it is told by `lost`.
 */
import type { JournalReader } from './reader.js'
import type { Segment } from './tail.js'
import type { BlobBytes, JournalPin } from './types.js'

/**
 * Readers hold the journal up to this many times its limit; beyond it, it is trimmed below them,
 * and they get `JOURNAL_TRIMMED`.
 */
const pinnedTimes = 2

/** How far the journal may be trimmed. */
export interface TrimLimits {
  /** It is, while it has more bytes, those of blobs included. */
  readonly bytesMax: number
  /** Only changes up to this one go. */
  readonly safeSeq: number
  readonly blobs: BlobBytes
  /**
   * The segment that the checkpoint names: recovery begins in it, even where it has nothing to add.
   */
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
   * Who wants changes up to `lastSeq`, or what else the segment has: entries that take no number
   * may end it.
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
   * The segments that go, the oldest first; never the last one.
   *
   * @param isBusy - whether a segment is read now
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
