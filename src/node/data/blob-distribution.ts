/** Sends large content to the in-sync followers before its entry gets a position. */

import type { BlobRef } from '../../changes/change.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { Outgoing } from '../../replication/stream/outgoing.js'

export class BlobDistribution {
  readonly #clock: Clock
  readonly #patienceMs: number
  /** When the last piece of any content was sent to a follower. */
  readonly #progressMs = new Map<string, number>()

  /** @param patienceMs - the time without progress after which a follower leaves the in-sync set */
  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock
    this.#patienceMs = patienceMs
  }

  /** Records that a piece was sent to a follower. */
  progressed(peer: string): void {
    this.#progressMs.set(peer, this.#clock.nowMs())
  }

  /** Waits until every follower has the blob, or has left the set because it made no progress. */
  async distribute(followers: readonly Outgoing[], blob: BlobRef): Promise<void> {
    await Promise.all(followers.map((outgoing) => this.#send(outgoing, blob)))
  }

  async #send(outgoing: Outgoing, blob: BlobRef): Promise<void> {
    const clock = this.#clock
    const patienceMs = this.#patienceMs
    this.progressed(outgoing.peer)
    let timer: TimerHandle
    const watch = (): void => {
      const idleMs = clock.nowMs() - (this.#progressMs.get(outgoing.peer) ?? 0)
      if (idleMs >= patienceMs) return outgoing.abandonBlob(blob.id)
      timer = clock.setTimer(patienceMs - idleMs, watch)
    }
    timer = clock.setTimer(patienceMs, watch)
    try {
      await outgoing.offerBlob(blob)
    } finally {
      clock.clearTimer(timer)
    }
  }
}
