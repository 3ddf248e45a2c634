/**
 * Sends the entries of this copy to one follower until it is closed.
 *
 * ```
 *              all that there is has been sent
 *   catchingUp ───────────────────────────────▶ live        either ──close──▶ closed
 *              ◀───────────────────────────────
 *                the channel has no more room
 * ```
 *
 * - `catchingUp`: entries are read from the journal, no faster than the channel accepts them;
 * - `live`: each entry is sent when it is appended;
 * - `closed`: nothing is sent any more.
 *
 * Invariants:
 * - entries are sent in the order of the journal, without gaps or repetitions;
 * - so the number of an entry in the stream and its ordinal in this copy differ by a constant, at
 *   least from the first entry that was appended after the stream began.
 */

import type { Entry } from '../../changes/entry.js'
import { lastSeqOf } from '../../changes/entry.js'
import type { JournalReader } from '../../copy/journal/reader.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import { assertInvariant } from '../../errors.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes } from '../frame-types.js'

/** Bytes read from the journal at a time while a follower catches up. */
const catchUpBytes = 256 * 1024

export interface EntryFeedOptions {
  readonly channel: Channel
  readonly copy: LocalCopy
  /** The follower has all changes up to this one. */
  readonly afterSeq: number
  /**
   * Whether the stream begins at the cut of a plan, whose in-sync set the follower already knows.
   */
  readonly isCut: boolean
  /** The feed is live for the first time: everything in the journal was sent. */
  whenLive(): void
  /** The journal cannot be read, or the channel failed. The feed may be closed already. */
  whenFailed(error: unknown): void
}

export class EntryFeed {
  readonly #options: EntryFeedOptions
  readonly #stopListening: () => void
  #state: 'catchingUp' | 'live' | 'closed' = 'catchingUp'
  #sent = 0
  #sentSeq: number
  /** The last entry that was appended before the stream began. */
  readonly #startOrdinal: number
  /**
   * The first number whose ordinal is known, and the difference of ordinal and number; set once.
   */
  #firstCounted = Number.POSITIVE_INFINITY
  #ordinalsAhead = 0
  #liveAt = Number.POSITIVE_INFINITY

  constructor(options: EntryFeedOptions) {
    this.#options = options
    this.#sentSeq = options.afterSeq
    const { copy } = options
    this.#startOrdinal = copy.lastOrdinal
    this.#stopListening = copy.onAppend((entry, ordinal) => this.#whenAppended(entry, ordinal))
    void this.#catchUp()
  }

  /** The number of entries sent, which is the number of the last one. */
  get sent(): number {
    return this.#sent
  }

  /** The last change sent. */
  get sentSeq(): number {
    return this.#sentSeq
  }

  /** The number of entries sent when the feed was live for the first time; infinite until then. */
  get liveAt(): number {
    return this.#liveAt
  }

  /**
   * The ordinal of the entry with this number; 0 while it is not known, as for entries that were
   * appended before the stream began and sent before the feed was live.
   */
  ordinalOf(number: number): number {
    return number < this.#firstCounted ? 0 : number + this.#ordinalsAhead
  }

  close(): void {
    this.#state = 'closed'
    this.#stopListening()
  }

  #whenAppended(entry: Entry, ordinal: number): void {
    if (this.#state !== 'live') return
    try {
      this.#send(entry, ordinal)
    } catch (error) {
      this.#options.whenFailed(error)
    }
  }

  #send(entry: Entry, ordinal: number): void {
    this.#sent += 1
    this.#sentSeq = lastSeqOf(entry.header)
    if (ordinal > this.#startOrdinal) this.#matchOrdinal(ordinal)
    const hasRoom = this.#sendFrames(entry.bytes)
    if (!hasRoom && this.#state === 'live') {
      this.#state = 'catchingUp'
      void this.#catchUp()
    }
  }

  #sendFrames(bytes: Uint8Array): boolean {
    const { channel } = this.#options
    // If frames have no room for any content, `send` throws.
    const partBytes = Math.max(1, channel.payloadBytesMax)
    let rest = bytes
    while (rest.length > partBytes) {
      channel.send(frameTypes.entryPart, [rest.subarray(0, partBytes)])
      rest = rest.subarray(partBytes)
    }
    return channel.send(frameTypes.entry, [rest])
  }

  /** Records or checks that the entry sent last has this ordinal. */
  #matchOrdinal(ordinal: number): void {
    if (this.#firstCounted === Number.POSITIVE_INFINITY) {
      this.#firstCounted = this.#sent
      this.#ordinalsAhead = ordinal - this.#sent
    }
    assertInvariant(
      this.#sent + this.#ordinalsAhead === ordinal,
      `entry ${ordinal} of the journal is sent as number ${this.#sent} of a stream`,
    )
  }

  async #catchUp(): Promise<void> {
    const { channel, copy, isCut } = this.#options
    let reader: JournalReader | undefined
    try {
      await channel.drained()
      while (this.#state === 'catchingUp') {
        reader ??= copy.reader(this.#sentSeq, isCut && this.#sent === 0)
        const entries = await reader.next(catchUpBytes)
        if (this.#isClosed) return
        this.#sendRead(entries, reader.lastOrdinal)
        // `hasMore` tells whether an entry was appended since the last read.
        if (entries.length === 0 && !reader.hasMore) return this.#goLive()
        if (channel.queuedBytes > catchUpBytes) await channel.drained()
      }
    } catch (error) {
      this.#options.whenFailed(error)
    } finally {
      reader?.close()
    }
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /**
   * Sends what was read except what was sent before: a reader that starts after a sequence number
   * repeats entries that have none of their own.
   */
  #sendRead(entries: readonly Entry[], lastOrdinal: number): void {
    const sentOrdinal = this.ordinalOf(this.#sent)
    let ordinal = lastOrdinal - entries.length
    for (const entry of entries) {
      ordinal += 1
      if (sentOrdinal === 0 || ordinal > sentOrdinal) this.#send(entry, ordinal)
    }
  }

  #goLive(): void {
    this.#state = 'live'
    // Everything in the copy was sent, so the last number corresponds to its last ordinal.
    this.#matchOrdinal(this.#options.copy.lastOrdinal)
    if (this.#liveAt < Number.POSITIVE_INFINITY) return
    this.#liveAt = this.#sent
    this.#options.whenLive()
  }
}
