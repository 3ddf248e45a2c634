/** What a journal is opened with and gives out. */
import type { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { Random } from '../../interfaces/random.js'
import type { LogStore } from '../../interfaces/storage.js'

export interface JournalOptions {
  readonly logs: LogStore
  readonly area: string
  readonly random: Random
  readonly clock: Clock
  /** A segment is closed when it has this many bytes. */
  readonly segmentBytes: number
  /** Bytes of durable entries kept in memory for readers. */
  readonly tailBytesMax: number
  /** Called when the storage failed. */
  readonly onFailure: (error: HotspareError) => void
}

/** Keeps the journal from being trimmed after `afterSeq`, within the quota. */
export interface JournalPin {
  /** Entries after this one are wanted. */
  readonly afterSeq: number
  /** True when the quota was reached and the entries are gone. */
  readonly lost: boolean
  release(): void
}

/** The blobs that records of the journal name. */
export interface BlobBytes {
  readonly bytes: number
  /** Bytes of those that go when the journal is trimmed up to `seq`. */
  bytesUpTo(seq: number): number
}
