/**
 * Appends the entries of a stream to a journal of this node, and acknowledges them.
 *
 * Invariants:
 * - entries are appended in the order of their arrival; the n-th is acknowledged as n, and as
 *   durable only when it is;
 * - without a target nothing is appended: entries wait, and the channel is paused when too many
 *   bytes wait.
 */

import type { BatchPart, Entry } from '../../changes/entry.js'
import { lastSeqOf, partsOf, termOf } from '../../changes/entry.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Term } from '../../history/position.js'
import { sameTerm } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes } from '../frame-types.js'
import { EntryAssembly } from './entry-assembly.js'
import { EntryBacklog } from './entry-backlog.js'
import type { FollowerBlobs } from './follower-blobs.js'
import { acknowledgeParts } from './messages.js'

/** A journal that entries are appended to. */
export interface EntryTarget {
  /** The ordinal of its last entry. */
  readonly lastOrdinal: number
  /** The terms that its history has. */
  readonly terms: readonly Term[]
  append(entry: Entry, parts: readonly BatchPart[] | undefined): void
  onDurable(listener: (ordinal: number) => void): () => void
}

export interface EntryIntakeOptions {
  readonly copy: LocalCopy
  readonly channel: Channel
  readonly blobs: FollowerBlobs
  /** Whether entries are acknowledged when they arrive, and not only when they are durable. */
  readonly acknowledgesReceipt: boolean
  /** More entries became durable. */
  whenDurable(): void
  whenFailed(error: unknown): void
}

export class EntryIntake {
  readonly #options: EntryIntakeOptions
  readonly #assembly = new EntryAssembly()
  readonly #backlog: EntryBacklog
  #target: EntryTarget | undefined
  #unlisten: () => void = () => undefined
  #received = 0
  #durable = 0
  /** The number of an entry in the stream minus its ordinal in the target. */
  #numbersAhead = 0
  /** Whether the stream has sent an entry that this node did not have already. */
  #hasAppended = false
  #owesAcknowledgement = false
  #bytes = 0
  /** The last change that arrived, or the one after which the stream begins. */
  receivedSeq = 0

  constructor(options: EntryIntakeOptions) {
    this.#options = options
    const { copy, blobs, channel } = options
    this.#backlog = new EntryBacklog({
      copy,
      blobs,
      channel,
      isOpen: () => this.#target !== undefined,
      append: (entry, parts) => this.#append(entry, parts),
      onFailure: (error) => options.whenFailed(error),
    })
  }

  /** The number of entries that arrived. */
  get received(): number {
    return this.#received
  }

  /** The number of entries that arrived and are durable in the target. */
  get durable(): number {
    return this.#durable
  }

  /** Bytes of all entries that arrived. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether the channel is paused because too many bytes wait. */
  get isFull(): boolean {
    return this.#backlog.isFull
  }

  /**
   * Appends entries to this target from now on. All entries that were appended to an earlier target
   * must be durable.
   */
  appendTo(target: EntryTarget): void {
    this.#unlisten()
    this.#target = target
    this.#durable = this.#appended
    this.#numbersAhead = this.#durable - target.lastOrdinal
    this.#unlisten = target.onDurable((ordinal) => this.#whenDurable(ordinal))
    this.#acknowledgeSoon()
  }

  /** Makes entries wait until the next target. */
  pause(): void {
    this.#target = undefined
  }

  /** Appends the entries that waited for a target. */
  drain(): void {
    this.#backlog.drain()
  }

  /** Ends the intake: nothing is appended or acknowledged any more. */
  close(): void {
    this.#target = undefined
    this.#owesAcknowledgement = false
    this.#unlisten()
    this.#backlog.drop()
  }

  receive(type: number, payload: Uint8Array): void {
    const entry = this.#assembly.add(type, payload)
    if (entry === undefined) return
    this.receivedSeq = lastSeqOf(entry.header)
    this.#received += 1
    this.#bytes += entry.bytes.length
    const parts = entry.header.kind === 'changes' ? partsOf(entry) : undefined
    if (this.#backlog.mustWait(parts)) return this.#backlog.add(entry, parts)
    this.#append(entry, parts)
  }

  get #appended(): number {
    return this.#received - this.#backlog.count
  }

  #append(entry: Entry, parts: readonly BatchPart[] | undefined): void {
    const target = this.#target
    if (target === undefined) return
    const isKnown = !this.#hasAppended && isTermOf(entry, target.terms)
    if (isKnown) {
      this.#numbersAhead += 1
      this.#durable += 1
    } else {
      this.#hasAppended = true
      target.append(entry, parts)
    }
    if (parts !== undefined) this.#options.blobs.named(parts)
    if (isKnown || this.#options.acknowledgesReceipt) this.#acknowledgeSoon()
  }

  #whenDurable(ordinal: number): void {
    const durable = ordinal + this.#numbersAhead
    if (durable <= this.#durable) return
    this.#durable = durable
    this.#acknowledge()
    this.#options.whenDurable()
  }

  /** Acknowledges with one frame everything that arrives in the same turn. */
  #acknowledgeSoon(): void {
    if (this.#owesAcknowledgement) return
    this.#owesAcknowledgement = true
    queueMicrotask(() => {
      if (this.#owesAcknowledgement) this.#acknowledge()
    })
  }

  #acknowledge(): void {
    this.#owesAcknowledgement = false
    const appended = this.#appended
    const durable = Math.min(this.#durable, appended)
    this.#options.channel.send(frameTypes.acknowledge, acknowledgeParts(appended, durable))
  }
}

/**
 * Whether the entry opens a term that the target has: a stream begins by repeating entries that
 * have no sequence number of their own.
 */
function isTermOf(entry: Entry, terms: readonly Term[]): boolean {
  if (entry.header.kind !== 'term') return false
  const term = termOf(entry)
  return terms.some((known) => sameTerm(known, term))
}
