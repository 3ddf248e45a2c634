/**
 * The active's side of one follower's stream: decides how the follower catches up, then sends
 * entries and takes acknowledgements.
 *
 * Invariants:
 * - entries go out in journal order without a gap; the n-th entry of the stream is the one
 *   acknowledged as n;
 * - `#runs` maps numbers of the stream to ordinals of the own copy, so that acknowledgements count
 *   for the writer;
 * - live (straight from the append) only while everything before has been sent and the channel has
 *   room.
 */

import type { BlobRef } from '../../changes/change.js'
import type { Entry } from '../../changes/entry.js'
import type { JournalReader } from '../../copy/journal/reader.js'
import { HotspareError } from '../../errors.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes, isKnownFrame } from '../frame-types.js'
import type { Follower } from '../in-sync/types.js'
import type { PlanMessage } from '../restore/plan.js'
import { answerTo } from './answer-follow.js'
import type { FollowMessage, RefuseMessage } from './messages.js'
import { readAcknowledge, streamMessageOf } from './messages.js'
import type { OutgoingContext } from './outgoing-types.js'
import { StreamWatch } from './stream-watch.js'

/** Bytes read from the journal at a time while a follower catches up. */
const catchUpBytes = 256 * 1024

/**
 * Entries remembered that were appended while the stream was not live; those after them are only
 * counted once it is.
 */
const pendingMax = 10_000

/** Entries sent one after the other, whose numbers and ordinals in the own copy run in step. */
interface Run {
  readonly number: number
  readonly ordinal: number
  count: number
}

/** An entry appended while the stream was not live. */
interface Pending {
  readonly crcAndLength: number
  readonly firstSeq: number
  readonly ordinal: number
}

export class Outgoing {
  readonly peer: string
  readonly #channel: Channel
  readonly #context: OutgoingContext
  #follower: Follower | undefined
  #plan: PlanMessage | undefined
  #reader: JournalReader | undefined
  #stopListening: (() => void) | undefined
  #live = false
  #open = true
  #sent = 0
  /** Oldest first; what is acknowledged as durable is forgotten. */
  #runs: Run[] = []
  #pending: Pending[] = []
  #sentSeq = 0
  #received = 0
  #durable = 0
  #inStepAt = 0
  #restored = false
  #rejoined = false
  readonly #blobs = new Map<string, { readonly bytes: number; done(): void }>()
  /** Bytes of content that moved since anything was last acknowledged. */
  #arrivedBytes = 0
  readonly #watch: StreamWatch
  /**
   * An entry that was sent, and the change that a follower says to have once it has it: then it
   * owes its answer.
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
    return this.#open
  }

  /** Whether blobs must reach this follower before their records do. */
  get counts(): boolean {
    return this.#open && this.#follower !== undefined
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#live = false
    this.#stopListening?.()
    this.#reader?.close()
    this.#channel.close()
    this.#follower?.lost(false)
    for (const { done } of this.#blobs.values()) done()
    this.#blobs.clear()
    this.#context.report({ name: 'ended', peer: this.peer })
  }

  /**
   * The peer is silent, or, proven, gone, stopped or the follower of another node: its
   * acknowledgements are not waited for. One that was given up for gone and lives all the same
   * finds its stream ended, and comes back with a new one.
   */
  lost(proven: boolean): void {
    this.#follower?.lost(proven)
    if (proven) this.close()
  }

  /** Offers a blob; resolves when the follower has it durably, or is not followed any more. */
  offerBlob(blob: BlobRef): Promise<void> {
    if (!this.#open) return Promise.resolve()
    return new Promise((done) => {
      this.#blobs.set(blob.id, { bytes: blob.bytes, done })
      this.#channel.sendMessage({ type: 'blob', blob })
    })
  }

  /** No record will name a blob that this follower may have been offered. */
  withdrawBlob(id: string): void {
    if (this.#open) this.#channel.sendMessage({ type: 'blobGone', id })
  }

  /**
   * The peer was given so many bytes over its bulk lane. Answers whether that is progress: see
   * {@link Follower.progressed}.
   */
  progressed(bytes: number): boolean {
    const restores = this.#plan !== undefined && !this.#restored
    if (!restores) this.#arrivedBytes += bytes
    let offeredBytes = 0
    for (const blob of this.#blobs.values()) offeredBytes += blob.bytes
    const arrivedBytes = this.#arrivedBytes
    return this.#follower?.progressed({ bytes, restores, arrivedBytes, offeredBytes }) ?? false
  }

  /** Gives up waiting for a blob: the follower is too slow for it and leaves the in-sync set. */
  abandonBlob(id: string): void {
    const blob = this.#blobs.get(id)
    if (blob === undefined) return
    this.#blobs.delete(id)
    this.#follower?.tooSlow('it is too slow for a large file')
    blob.done()
  }

  /** The follower says, on another connection, up to which change its disk has all. */
  heard(durableSeq: number): void {
    if (!this.#open) return
    if (this.#owed !== undefined && this.#durable >= this.#owed.number) this.#owed = undefined
    if (this.#owed === undefined && this.#restored && this.#sent > this.#durable) {
      this.#owed = { number: this.#sent, seq: this.#sentSeq }
    }
    const owes = this.#owed !== undefined && durableSeq >= this.#owed.seq
    if (this.#watch.isSilent(owes)) {
      this.#fail(new HotspareError('PEER_UNREACHABLE', this.#watch.reason))
    }
  }

  #guard(work: () => void): void {
    if (!this.#open) return
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
    this.#watch.moved()
    const message = streamMessageOf(raw)
    if (message === undefined) return
    switch (message.type) {
      case 'follow':
        return this.#answerFollow(message)
      case 'ready':
        return this.#start()
      case 'restored':
        return this.#onRestored()
      case 'rejoined':
        return this.#onRejoined(message.files, message.bytes, message.ms)
      case 'progress': {
        const plan = this.#plan
        if (plan === undefined) return this.#channel.destroy()
        const { restoreId, method } = plan
        const { progress } = message
        const { peer } = this
        return this.#context.report({ name: 'progress', peer, restoreId, method, progress })
      }
      case 'blobHere': {
        const blob = this.#blobs.get(message.id)
        if (this.#blobs.delete(message.id)) this.#arrivedBytes = 0
        return blob?.done()
      }
      default:
        return this.#channel.destroy()
    }
  }

  #refuse(code: RefuseMessage['code'], reason: string): void {
    const refuse: RefuseMessage = { type: 'refuse', code, reason }
    this.#channel.sendMessage(refuse)
    this.#context.report({ name: 'refused', peer: this.peer, code, reason })
    this.close()
  }

  #answerFollow(follow: FollowMessage): void {
    if (this.#plan !== undefined) return this.#channel.destroy()
    const answer = answerTo(follow, this.peer, this.#context)
    if ('code' in answer) return this.#refuse(answer.code, answer.reason)
    const { plan, writer } = answer
    this.#plan = plan
    this.#follower = writer.addFollower(this.peer, {
      promotable: this.#context.promotable(this.peer),
      directAck: true,
    })
    // What it takes in meanwhile is in no journal that it could be promoted with.
    if (isRestore(plan)) this.#follower.leave('it is being restored')
    this.#context.report({ name: 'plan', peer: this.peer, plan })
    this.#channel.sendMessage(plan)
  }

  /**
   * The follower is prepared: everything after its position, or after the cut, from here on without
   * an end.
   */
  #start(): void {
    const plan = this.#plan
    if (plan === undefined || this.#stopListening !== undefined) return this.#channel.destroy()
    this.#restored = !isRestore(plan)
    this.#follower?.begins(isRestore(plan))
    this.#sentSeq = isRestore(plan) ? plan.cut.seq : plan.commonSeq
    this.#stopListening = this.#context.copy.onAppend((entry, ordinal) =>
      this.#guard(() => this.#onAppend(entry, ordinal)),
    )
    void this.#catchUp()
  }

  #onAppend(entry: Entry, ordinal: number): void {
    if (this.#live) {
      this.#send(entry, ordinal)
      return
    }
    // Acknowledgements are cumulative, so entries beyond the limit need not be tracked: a follower
    // that accepts nothing for hours costs no memory.
    if (this.#pending.length >= pendingMax) return
    this.#pending.push({ crcAndLength: keyOf(entry), firstSeq: entry.header.firstSeq, ordinal })
  }

  #send(entry: Entry, ordinal: number): void {
    this.#sent += 1
    this.#sentSeq = entry.header.firstSeq + entry.header.count - 1
    if (ordinal > 0) this.#mark(ordinal)
    const room = this.#transmit(entry.bytes)
    if (!room && this.#live) {
      this.#live = false
      void this.#catchUp()
    }
  }

  #transmit(bytes: Uint8Array): boolean {
    // A peer whose frames have no room at all gets an error, by the send.
    const partBytes = Math.max(1, this.#channel.payloadBytesMax)
    let rest = bytes
    while (rest.length > partBytes) {
      this.#channel.send(frameTypes.entryPart, [rest.subarray(0, partBytes)])
      rest = rest.subarray(partBytes)
    }
    return this.#channel.send(frameTypes.entry, [rest])
  }

  /** Remembers which ordinal has the number just sent. */
  #mark(ordinal: number): void {
    const last = this.#runs.at(-1)
    const steps = last === undefined ? 0 : this.#sent - last.number
    if (last === undefined || ordinal !== last.ordinal + steps || steps > last.count) {
      this.#runs.push({ number: this.#sent, ordinal, count: 1 })
    } else if (steps === last.count) {
      last.count += 1
    }
  }

  async #catchUp(): Promise<void> {
    try {
      await this.#channel.drained()
      while (this.#open) {
        this.#reader ??= this.#context.copy.reader(this.#sentSeq, this.#isAtCut)
        const entries = await this.#reader.next(catchUpBytes)
        if (!this.#open) return
        for (const entry of entries) this.#send(entry, this.#ordinalOf(entry))
        if (entries.length === 0 && this.#pending.length === 0) return this.#goLive()
        if (this.#channel.queuedBytes > catchUpBytes) await this.#channel.drained()
      }
    } catch (error) {
      if (HotspareError.is(error, 'JOURNAL_CORRUPT')) this.#context.unreadable()
      if (this.#open) this.#fail(error as HotspareError)
    }
  }

  /** Nothing was sent yet, and the plan says what holds at the cut. */
  get #isAtCut(): boolean {
    return this.#sent === 0 && this.#plan !== undefined && isRestore(this.#plan)
  }

  /** The ordinal of an entry that was read, when it was appended after the stream began; else 0. */
  #ordinalOf(entry: Entry): number {
    const head = this.#pending[0]
    if (head === undefined || head.firstSeq !== entry.header.firstSeq) return 0
    if (head.crcAndLength !== keyOf(entry)) return 0
    this.#pending.shift()
    return head.ordinal
  }

  #goLive(): void {
    this.#reader?.close()
    this.#reader = undefined
    this.#live = true
    const { copy } = this.#context
    // All that the copy holds has been sent, so this number stands for its last ordinal.
    this.#mark(copy.lastOrdinal)
    if (this.#inStepAt > 0) return
    this.#inStepAt = Math.max(1, this.#sent)
    this.#channel.sendMessage({ type: 'inStep', seq: copy.seq })
    this.#settleInStep()
  }

  #onRestored(): void {
    if (this.#plan === undefined || this.#restored) return
    this.#restored = true
    this.progressed(0)
    this.#settleInStep()
  }

  #onRejoined(files: number, bytes: number, ms: number): void {
    const plan = this.#plan
    if (plan === undefined || this.#rejoined) return
    this.#rejoined = true
    this.#context.report({ name: 'rejoined', peer: this.peer, plan, files, bytes, ms })
  }

  #acknowledge(type: number, payload: Uint8Array): void {
    this.#watch.moved()
    if (!isKnownFrame(type)) return
    if (type !== frameTypes.acknowledge) return this.#channel.destroy()
    const { received, durable } = readAcknowledge(payload)
    if (received > this.#sent || durable > received) return this.#channel.destroy()
    if (durable > this.#durable) this.#arrivedBytes = 0
    this.#received = Math.max(received, this.#received)
    this.#durable = Math.max(durable, this.#durable)
    this.#tellWriter()
    this.#settleInStep()
  }

  #tellWriter(): void {
    const received = this.#ordinalUpTo(this.#received)
    const durable = this.#ordinalUpTo(this.#durable)
    while ((this.#runs[1]?.number ?? Number.POSITIVE_INFINITY) <= this.#durable) this.#runs.shift()
    if (received > 0) this.#follower?.received(received, durable)
  }

  /** The ordinal of the last entry up to a number that has one; 0 when there is none. */
  #ordinalUpTo(number: number): number {
    const run = this.#runs.findLast((one) => one.number <= number)
    return run === undefined ? 0 : run.ordinal + Math.min(run.count - 1, number - run.number)
  }

  /**
   * In step once it has durably what there was when the stream went live, and its restore switched
   * over.
   */
  #settleInStep(): void {
    const plan = this.#plan
    if (plan === undefined || !this.#restored || this.#inStepAt <= 0) return
    if (this.#sent > 0 && this.#durable < this.#inStepAt) return
    this.#inStepAt = Number.POSITIVE_INFINITY
    this.#tellWriter()
    this.#follower?.caughtUp()
  }
}

function isRestore({ method }: PlanMessage): boolean {
  return method === 'delta' || method === 'full'
}

function keyOf(entry: Entry): number {
  const { bytes } = entry
  const crc =
    (bytes[4] ?? 0) | ((bytes[5] ?? 0) << 8) | ((bytes[6] ?? 0) << 16) | ((bytes[7] ?? 0) << 24)
  return (crc >>> 0) * 4096 + (entry.header.length % 4096)
}
