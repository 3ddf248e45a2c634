/**
 * Entries that arrived and wait, in order, while the first of them cannot be appended: during a
 * switch, while a blob is fetched, or while the copy is congested.
 */

import type { BatchPart, Entry } from '../../changes/entry.js'
import { blobsOf } from '../../changes/intent.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Channel } from '../../protocol/channel.js'
import type { FollowerBlobs } from './follower-blobs.js'

/** Bytes of entries that may wait; above it the channel is paused. */
const waitingBytesMax = 4 * 1024 * 1024

export interface EntryBacklogContext {
  readonly copy: LocalCopy
  readonly blobs: FollowerBlobs
  readonly channel: Channel
  /** False while there is no journal to append to. */
  isOpen(): boolean
  append(entry: Entry, parts: readonly BatchPart[] | undefined): void
  onFailure(error: unknown): void
}

interface Waiting {
  readonly entry: Entry
  readonly parts: readonly BatchPart[] | undefined
}

export class EntryBacklog {
  readonly #context: EntryBacklogContext
  #waiting: Waiting[] = []
  #bytes = 0
  #draining = false
  #isFull = false

  constructor(context: EntryBacklogContext) {
    this.#context = context
  }

  /** Whether the channel is paused because too many bytes wait. */
  get isFull(): boolean {
    return this.#isFull
  }

  get count(): number {
    return this.#waiting.length
  }

  /** Whether an entry has to wait, by itself or behind others. */
  mustWait(parts: readonly BatchPart[] | undefined): boolean {
    const { copy, blobs, isOpen } = this.#context
    if (!isOpen() || this.#waiting.length > 0 || copy.congested) return true
    return parts?.some((part) => blobsOf(part).some((blob) => !blobs.has(blob))) ?? false
  }

  add(entry: Entry, parts: readonly BatchPart[] | undefined): void {
    this.#waiting.push({ entry, parts })
    this.#bytes += entry.bytes.length
    if (this.#bytes > waitingBytesMax) {
      this.#isFull = true
      this.#context.channel.pause()
    }
    this.drain()
  }

  /** Appends the waiting entries in order, after fetching the blobs that they name. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#drain().catch((error: unknown) => this.#context.onFailure(error))
  }

  async #drain(): Promise<void> {
    try {
      while (this.#context.isOpen()) {
        const first = this.#waiting[0]
        if (first === undefined) return
        await this.#prepare(first)
        if (this.#context.isOpen()) this.#appendFirst(first)
      }
    } finally {
      // Reset here and not after the promise settles: an entry that arrives in between would
      // otherwise wait until the next entry.
      this.#draining = false
    }
  }

  async #prepare({ parts }: Waiting): Promise<void> {
    const { copy, blobs } = this.#context
    for (const blob of parts?.flatMap(blobsOf) ?? []) await blobs.fetch(blob)
    if (copy.congested) await copy.decongested()
  }

  #appendFirst({ entry, parts }: Waiting): void {
    this.#waiting.shift()
    this.#bytes -= entry.bytes.length
    this.#context.append(entry, parts)
    if (this.#bytes > waitingBytesMax / 2) return
    this.#isFull = false
    this.#context.channel.resume()
  }

  /**
   * Drops the waiting entries. `isOpen` must be false by then, so that an entry that is being
   * prepared is not appended.
   */
  drop(): void {
    this.#waiting = []
    this.#bytes = 0
  }
}
