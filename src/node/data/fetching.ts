/**
 * Fetches the end of a journal that this copy lacks. One fetch runs at a time, for the round that
 * began it, and nothing of it comes into the copy after `end()`: a promise may have frozen that.
 */

import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { Channel } from '../../protocol/channel.js'
import { BulkClient } from '../../replication/bulk/client.js'
import type { Reached } from '../../replication/bulk/fetch-blob.js'
import { FetchProgress } from '../../replication/bulk/fetch-progress.js'
import { fetchUpTo } from '../../replication/bulk/missing-entries.js'
import { onAbort } from '../../util/abort.js'

export interface FetchingContext {
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly clock: Clock
  /** A source that owes an answer and sends nothing for so long is given up. */
  readonly deadMs: number
  dial(peer: string, signal: AbortSignal): Promise<Channel>
  /** Resolves when nothing is left to do of streams that were given up. */
  settled(): Promise<void>
}

export class Fetching {
  readonly #context: FetchingContext
  readonly #progress = new FetchProgress()
  #current: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined

  constructor(context: FetchingContext) {
    this.#context = context
  }

  /**
   * Fetches from a peer whose copy continues this one; ends what was fetched before. `moved` is
   * told how much came in, over all fetches, whenever that rises. What came stays here for the next
   * attempt. @throws `ABORTED` when it is ended
   */
  async begin(peer: string, seq: number, moved: (count: number) => void): Promise<void> {
    await this.end()
    const abort = new AbortController()
    const work = this.#fetch(peer, seq, abort.signal, moved)
    const current = { abort, ended: work.catch(() => undefined) }
    this.#current = current
    try {
      await work
    } finally {
      if (this.#current === current) this.#current = undefined
    }
  }

  /** Ends a fetch whose round is over; resolves when nothing of it can arrive any more. */
  async end(): Promise<void> {
    this.#current?.abort.abort(new HotspareError('ABORTED', 'what was fetched is not needed'))
    await this.#current?.ended
  }

  async #fetch(
    peer: string,
    seq: number,
    signal: AbortSignal,
    moved: (count: number) => void,
  ): Promise<void> {
    const { copy, vault, storage, clock, deadMs, dial, settled } = this.#context
    // What a stream leaves behind is removed before anything of the same name is brought.
    await settled()
    signal.throwIfAborted()
    const bulk = new BulkClient(await dial(peer, signal))
    bulk.endWhenSilent(clock, deadMs)
    const unlisten = onAbort(signal, () => bulk.close())
    try {
      const keepOutside = async (paths: readonly string[]): Promise<void> => {
        await vault.keepFiles('outside', paths)
      }
      const reached = this.#counted(moved)
      await fetchUpTo({ copy, storage, bulk, peer, signal, reached, keepOutside }, seq)
    } finally {
      unlisten()
      bulk.close()
    }
  }

  /**
   * Not told of each answer: on a fast link there are many, and the others hear of it with the
   * heartbeat.
   */
  #counted(moved: (count: number) => void): Reached {
    const { clock, deadMs } = this.#context
    let told = this.#progress.count
    let nextMs = Number.NEGATIVE_INFINITY
    return (thing, offset) => {
      this.#progress.reached(thing, offset)
      const { count } = this.#progress
      if (count === told || clock.nowMs() < nextMs) return
      nextMs = clock.nowMs() + deadMs / 40
      told = count
      moved(count)
    }
  }
}
