/**
 * Serves the nodes that follow this one: their streams, the requests of their restores, and the
 * large content that is sent ahead of its entry.
 *
 * Invariant: a node without a source sends no entries.
 */

import type { BlobRef } from '../../changes/change.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Term } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { Channel } from '../../protocol/channel.js'
import { BulkServer } from '../../replication/bulk/server.js'
import type { StreamSource } from '../../replication/in-sync/stream-source.js'
import { Outgoing } from '../../replication/stream/outgoing.js'
import type { OutgoingContext } from '../../replication/stream/outgoing-types.js'
import type { NodeOptions } from '../contract/options.js'
import { BlobDistribution } from './blob-distribution.js'
import type { ReplicaHooks } from './replica-types.js'

export interface FollowersContext {
  readonly options: NodeOptions
  readonly bootId: string
  readonly hooks: ReplicaHooks
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  /** The source of the streams: the writer, while this node has one. */
  source(): StreamSource | undefined
  /**
   * The present term; undefined while there is no source, and while a further term is being opened.
   */
  term(): Term | undefined
}

export class Followers {
  readonly #context: FollowersContext
  /**
   * The last stream of each follower. An ended one is kept, so that the source can be told that its
   * peer has gone.
   */
  readonly #streams = new Map<string, Outgoing>()
  /** Peers whose process has provably ended in this tenure, until they return. */
  readonly #provenGone = new Set<string>()
  readonly #blobs: BlobDistribution
  /**
   * The position up to which the journal can no longer be read; followers that lack it get a
   * restore.
   */
  #unreadableSeq = 0
  #restores = 0

  constructor(context: FollowersContext) {
    this.#context = context
    const { clock, degradeAfterMs } = context.options
    this.#blobs = new BlobDistribution(clock, degradeAfterMs)
  }

  acceptStream(channel: Channel): void {
    const peer = channel.identity.nodeId
    this.#provenGone.delete(peer)
    this.#streams.get(peer)?.close()
    this.#streams.set(peer, new Outgoing(channel, this.#outgoingContext()))
  }

  acceptBulk(channel: Channel): void {
    const { copy, storage } = this.#context
    const peer = channel.identity.nodeId
    const served = (bytes: number): void => {
      if (this.#streams.get(peer)?.progressed(bytes) === true) this.#blobs.progressed(peer)
    }
    new BulkServer(channel, { copy, storage, served })
  }

  /** Records up to which change a peer's disk has everything. */
  heard(peer: string, durableSeq: number): void {
    this.#streams.get(peer)?.heard(durableSeq)
  }

  /** Records that a peer is silent or has ended. */
  peerLost(peer: string, proven: boolean): void {
    this.#streams.get(peer)?.lost(proven)
    if (!proven) return
    this.#provenGone.add(peer)
    const { options, source } = this.#context
    const left = options.members.filter(
      ({ id, observer }) => id !== options.id && observer !== true && !this.#provenGone.has(id),
    )
    if (left.length === 0) source()?.nobodyInReach()
  }

  /** Sends large content to every in-sync follower. */
  async distribute(blob: BlobRef): Promise<void> {
    const counting = new Set(this.#context.source()?.countingMembers ?? [])
    const followers = [...this.#streams.values()].filter(
      (outgoing) => outgoing.open && counting.has(outgoing.peer),
    )
    await this.#blobs.distribute(followers, blob)
  }

  /** Drops large content that no entry will name. */
  withdraw(blobs: readonly BlobRef[]): void {
    for (const outgoing of this.#streams.values()) {
      for (const { id } of blobs) outgoing.withdrawBlob(id)
    }
  }

  /**
   * Ends all streams. A follower takes one term at a time, and asks again when the next one is
   * open.
   */
  closeStreams(): void {
    for (const outgoing of this.#streams.values()) outgoing.close()
  }

  /** Ends the tenure. */
  endTenure(): void {
    this.closeStreams()
    this.#streams.clear()
    this.#provenGone.clear()
  }

  #outgoingContext(): OutgoingContext {
    const { options, bootId, hooks, copy } = this.#context
    return {
      copy,
      clock: options.clock,
      degradeAfterMs: options.degradeAfterMs,
      serving: () => {
        const source = this.#context.source()
        const term = this.#context.term()
        return source === undefined || term === undefined ? undefined : { source, term }
      },
      refusal: (peer) => hooks.refusal(peer),
      readableAfter: () => this.#unreadableSeq,
      unreadable: () => {
        this.#unreadableSeq = copy.seq
      },
      promotable: (peer) => options.members.find(({ id }) => id === peer)?.observer !== true,
      newRestoreId: () => {
        this.#restores += 1
        return `${bootId}-${this.#restores}`
      },
      report: (event) => hooks.reports.outgoing(event),
    }
  }
}
