/** The options of a journal, and what it returns. */
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { LogStore } from '../../interfaces/storage.js'

export interface JournalOptions {
  readonly logs: LogStore
  readonly area: string
  readonly random: Random
  readonly clock: Clock
  /** The size at which a segment is closed. */
  readonly segmentBytes: number
  /** Bytes of durable entries that are kept in memory for readers. */
  readonly tailBytesMax: number
  /** Called when the storage failed. */
  readonly onFailure: (error: HotspareError) => void
}

/** Prevents the journal from being trimmed after `afterSeq`, within the quota. */
export interface JournalPin {
  /** The position after which entries are kept. */
  readonly afterSeq: number
  /** Whether the quota was exceeded and the entries were trimmed. */
  readonly lost: boolean
  release(): void
}

/** The blobs that entries of the journal name. */
export interface BlobBytes {
  readonly bytes: number
  /** Bytes of the blobs that can be removed when the journal is trimmed up to `seq`. */
  bytesUpTo(seq: number): number
}
