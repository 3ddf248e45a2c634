/**
 * Fetches the end of the journal that this copy lacks. One fetch runs at a time, for the round that
 * began it, and nothing enters the copy after `end()`, because a promise may have frozen the copy.
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
  /** The time without data after which a source that owes an answer is given up. */
  readonly deadMs: number
  dial(peer: string, signal: AbortSignal): Promise<Channel>
  /** Resolves when the streams that were given up have ended completely. */
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
   * Fetches from a peer whose copy continues this one, and ends the previous fetch. `moved`
   * receives the amount fetched over all fetches whenever it rises. What has been fetched is kept
   * for the next attempt.
   *
   * @throws `ABORTED` when the fetch is ended
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

  /** Ends the fetch of a round that is over. Resolves when no more data can arrive. */
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
    // What an old stream leaves behind is removed before anything with the same name is fetched.
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
   * Reports the progress at intervals, because a fast link has many answers and the heartbeats
   * carry the progress.
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
