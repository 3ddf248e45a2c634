/**
 * The active's side of one follower's stream: answers the request to follow, sends entries and
 * receives acknowledgements.
 *
 * ```
 *   asked ──▶ planned ──▶ behind ──▶ inStep        any state ──▶ ended
 *                 │          ▲
 *                 └▶ restoring
 * ```
 *
 * - `asked`: connected. It waits for `follow`, and ends with a plan or a refusal.
 * - `planned`: the follower has its plan and is registered with the source. It waits for `ready`,
 *   while the follower vaults diverged changes and prepares a journal for the entries.
 * - `restoring`: sends entries, which the follower appends to a new journal. It waits for
 *   `restored`.
 * - `behind`: sends entries. It waits until everything that there was when the feed first went live
 *   is acknowledged as durable.
 * - `inStep`: sends entries. The in-sync set decides whether the follower counts.
 * - `ended`: the stream is closed. All that can still be reported is that the follower is gone.
 *
 * {@link EntryFeed} sends the entries in the three states before `ended`.
 *
 * Invariant: the n-th entry of the stream is the one acknowledged as n, and `received <= sent`,
 * `durable <= received`.
 */

import type { BlobRef } from '../../changes/change.js'
import { HotspareError } from '../../errors.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes, isKnownFrame } from '../frame-types.js'
import type { Follower } from '../in-sync/types.js'
import type { PlanMessage } from '../restore/plan.js'
import { answerTo } from './answer-follow.js'
import { BlobOffers } from './blob-offers.js'
import { EntryFeed } from './entry-feed.js'
import type { FollowMessage, RefuseMessage } from './messages.js'
import { readAcknowledge, streamMessageOf } from './messages.js'
import type { OutgoingContext } from './outgoing-types.js'
import { StreamWatch } from './stream-watch.js'

interface Planned {
  readonly plan: PlanMessage
  readonly follower: Follower
}

interface Fed extends Planned {
  readonly feed: EntryFeed
}

type OutgoingState =
  | { readonly name: 'asked' }
  | ({ readonly name: 'planned' } & Planned)
  | ({ readonly name: 'restoring' | 'behind' | 'inStep' } & Fed)
  | { readonly name: 'ended'; readonly follower: Follower | undefined }

export class Outgoing {
  readonly peer: string
  readonly #channel: Channel
  readonly #context: OutgoingContext
  readonly #offers = new BlobOffers()
  readonly #watch: StreamWatch
  #state: OutgoingState = { name: 'asked' }
  /** Entries acknowledged as received, and as durable. */
  #received = 0
  #durable = 0
  /**
   * An entry that was sent, and its last change. Once the follower reports that change as durable,
   * it owes the acknowledgement of the entry.
   */
  #owed: { readonly number: number; readonly seq: number } | undefined

  constructor(channel: Channel, context: OutgoingContext) {
    this.peer = channel.identity.nodeId
    this.#channel = channel
    this.#context = context
    this.#watch = new StreamWatch(context.clock, context.degradeAfterMs)
    channel.onMessage((message) => this.#guard(() => this.#receive(message)))
    channel.onFrame((type, payload) => this.#guard(() => this.#acknowledge(type, payload)))
    channel.onClose(() => this.close())
  }

  get open(): boolean {
    return this.#state.name !== 'ended'
  }

  close(): void {
    if (!this.open) return
    this.#becomeEnded()
    this.#channel.close()
    this.#follower?.lost(false)
    this.#offers.endAll()
  }

  /**
   * The peer is silent; or, when `proven`, it is gone, has stopped or follows another node, so that
   * writes need not wait for it and the stream is closed. A peer that is alive all the same notices
   * that and opens a new stream.
   */
  lost(proven: boolean): void {
    this.#follower?.lost(proven)
    if (proven) this.close()
  }

  /** Offers a blob; resolves when the follower has it durably, or when the offer is given up. */
  offerBlob(blob: BlobRef): Promise<void> {
    if (!this.open) return Promise.resolve()
    const settled = this.#offers.add(blob)
    this.#channel.sendMessage({ type: 'blob', blob })
    return settled
  }

  /** Tells the follower that no entry will name this blob, which it may have been offered. */
  withdrawBlob(id: string): void {
    if (this.open) this.#channel.sendMessage({ type: 'blobGone', id })
  }

  /**
   * The peer was sent bytes over its bulk lane. Answers whether that counts as progress, see {@link
   * Follower.progressed}.
   */
  progressed(bytes: number): boolean {
    const { name } = this.#state
    const restores = name === 'planned' || name === 'restoring'
    if (!restores) this.#offers.arrivedBytes += bytes
    const { arrivedBytes, bytes: offeredBytes } = this.#offers
    const progress = { bytes, restores, arrivedBytes, offeredBytes }
    return this.#follower?.progressed(progress) ?? false
  }

  /** Gives up waiting for a blob: the follower is too slow for it and leaves the in-sync set. */
  abandonBlob(id: string): void {
    if (this.#offers.end(id)) this.#follower?.tooSlow('it is too slow for a large file')
  }

  /** The follower reported on another connection the change up to which its disk has everything. */
  heard(durableSeq: number): void {
    const state = this.#state
    if (state.name === 'ended') return
    if (this.#owed !== undefined && this.#durable >= this.#owed.number) this.#owed = undefined
    if (this.#owed === undefined && (state.name === 'behind' || state.name === 'inStep')) {
      const { sent, sentSeq } = state.feed
      if (sent > this.#durable) this.#owed = { number: sent, seq: sentSeq }
    }
    const owes = this.#owed !== undefined && durableSeq >= this.#owed.seq
    if (this.#watch.isSilent(owes)) {
      this.#fail(new HotspareError('PEER_UNREACHABLE', this.#watch.reason))
    }
  }

  get #follower(): Follower | undefined {
    return this.#state.name === 'asked' ? undefined : this.#state.follower
  }

  #guard(work: () => void): void {
    if (!this.open) return
    try {
      work()
    } catch (error) {
      this.#fail(error as HotspareError)
    }
  }

  #fail(error: HotspareError): void {
    this.#context.report({
      name: 'refused',
      peer: this.peer,
      code: error.code ?? 'INTERNAL',
      reason: error.message,
    })
    this.#channel.destroy()
    this.close()
  }

  #receive(raw: unknown): void {
    this.#watch.received()
    const message = streamMessageOf(raw)
    if (message === undefined) return
    const { peer } = this
    const state = this.#state
    switch (message.type) {
      case 'follow':
        return state.name === 'asked' ? this.#answerFollow(message) : this.#channel.destroy()
      case 'ready':
        return state.name === 'planned' ? this.#begin(state) : this.#channel.destroy()
      case 'restored':
        return state.name === 'restoring' ? this.#becomeBehind(state) : undefined
      case 'rejoined': {
        if (!('plan' in state)) return
        const { files, bytes, ms } = message
        return this.#context.report({ name: 'rejoined', peer, plan: state.plan, files, bytes, ms })
      }
      case 'progress': {
        if (!('plan' in state)) return this.#channel.destroy()
        const { restoreId, method } = state.plan
        const { progress } = message
        return this.#context.report({ name: 'progress', peer, restoreId, method, progress })
      }
      case 'blobHere':
        if (this.#offers.end(message.id)) this.#offers.arrivedBytes = 0
        return
      default:
        return this.#channel.destroy()
    }
  }

  #answerFollow(follow: FollowMessage): void {
    const answer = answerTo(follow, this.peer, this.#context)
    if ('code' in answer) return this.#refuse(answer.code, answer.reason)
    const { plan, source } = answer
    const promotable = this.#context.promotable(this.peer)
    this.#becomePlanned(plan, source.addFollower(this.peer, { promotable }))
  }

  #refuse(code: RefuseMessage['code'], reason: string): void {
    const refuse: RefuseMessage = { type: 'refuse', code, reason }
    this.#channel.sendMessage(refuse)
    this.#context.report({ name: 'refused', peer: this.peer, code, reason })
    this.close()
  }

  #becomePlanned(plan: PlanMessage, follower: Follower): void {
    this.#state = { name: 'planned', plan, follower }
    // Entries that it acknowledges during a restore are in a journal that it cannot be promoted
    // with yet.
    if (isRestore(plan)) follower.leave('it is being restored')
    this.#context.report({ name: 'plan', peer: this.peer, plan })
    this.#channel.sendMessage(plan)
  }

  /** The follower is ready: sends it everything after its position, or after the cut. */
  #begin({ plan, follower }: Planned): void {
    const isCut = isRestore(plan)
    follower.begins(isCut)
    const feed = new EntryFeed({
      channel: this.#channel,
      copy: this.#context.copy,
      afterSeq: isCut ? plan.cut.seq : plan.commonSeq,
      isCut,
      whenLive: () => this.#whenLive(),
      whenFailed: (error) => this.#whenFeedFailed(error),
    })
    this.#state = { name: isCut ? 'restoring' : 'behind', plan, follower, feed }
  }

  #whenFeedFailed(error: unknown): void {
    if (HotspareError.is(error, 'JOURNAL_CORRUPT')) this.#context.unreadable()
    if (this.open) this.#fail(error as HotspareError)
  }

  #whenLive(): void {
    this.#channel.sendMessage({ type: 'inStep', seq: this.#context.copy.seq })
    this.#checkInStep()
  }

  #becomeBehind({ plan, follower, feed }: Fed): void {
    this.#state = { name: 'behind', plan, follower, feed }
    this.progressed(0)
    this.#checkInStep()
  }

  #acknowledge(type: number, payload: Uint8Array): void {
    this.#watch.received()
    if (!isKnownFrame(type)) return
    if (type !== frameTypes.acknowledge) return this.#channel.destroy()
    const { received, durable } = readAcknowledge(payload)
    const state = this.#state
    const sent = 'feed' in state ? state.feed.sent : 0
    if (received > sent || durable > received) return this.#channel.destroy()
    if (durable > this.#durable) this.#offers.arrivedBytes = 0
    this.#received = Math.max(received, this.#received)
    this.#durable = Math.max(durable, this.#durable)
    if ('feed' in state) this.#reportAcknowledged(state)
    this.#checkInStep()
  }

  #reportAcknowledged({ follower, feed }: Fed): void {
    const received = feed.ordinalOf(this.#received)
    if (received > 0) follower.received(received, feed.ordinalOf(this.#durable))
  }

  /**
   * Becomes in step as soon as everything that there was when the feed went live is durable there.
   */
  #checkInStep(): void {
    const state = this.#state
    if (state.name !== 'behind') return
    const { liveAt, sent } = state.feed
    // If anything was sent at all, the follower must have acknowledged at least one entry.
    if (this.#durable >= Math.max(liveAt, Math.min(1, sent))) this.#becomeInStep(state)
  }

  #becomeInStep({ plan, follower, feed }: Fed): void {
    this.#state = { name: 'inStep', plan, follower, feed }
    this.#reportAcknowledged({ plan, follower, feed })
    follower.caughtUp()
  }

  #becomeEnded(): void {
    if ('feed' in this.#state) this.#state.feed.close()
    this.#state = { name: 'ended', follower: this.#follower }
  }
}

function isRestore({ method }: PlanMessage): boolean {
  return method === 'delta' || method === 'full'
}
