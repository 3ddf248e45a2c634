/**
 * Takes the entries of a stream into a journal of this node, and acknowledges them.
 *
 * Invariants:
 * - entries are appended in the order of their arrival; the n-th is acknowledged as n, and as
 *   durable only when it is;
 * - without a target nothing is appended: entries wait, and the channel is paused when too many do.
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

/** A journal that takes entries. */
export interface EntryTarget {
  /** Its last entry. */
  readonly lastOrdinal: number
  /** The terms that it knows. */
  readonly terms: readonly Term[]
  append(entry: Entry, parts: readonly BatchPart[] | undefined): void
  onDurable(listener: (ordinal: number) => void): () => void
}

export interface EntryIntakeOptions {
  readonly copy: LocalCopy
  readonly channel: Channel
  readonly blobs: FollowerBlobs
  /** Whether arrival itself is worth an acknowledgement. */
  readonly acknowledgesReceipt: boolean
  /** More is durable. */
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
  /** How far the numbers of the stream are ahead of the target's ordinals. */
  #numbersAhead = 0
  /** Whether the stream went beyond what this node has already. */
  #hasAppended = false
  #owesAcknowledgement = false
  #bytes = 0
  /** The last change that came, or that the stream begins behind. */
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

  /** Entries that came. */
  get received(): number {
    return this.#received
  }

  /** Entries that came, and are durable in the target. */
  get durable(): number {
    return this.#durable
  }

  /** Bytes of all entries that came. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether the channel is not read, because too much waits. */
  get isFull(): boolean {
    return this.#backlog.isFull
  }

  /** From now on entries go there; all that were appended elsewhere before are durable. */
  appendTo(target: EntryTarget): void {
    this.#unlisten()
    this.#target = target
    this.#durable = this.#appended
    this.#numbersAhead = this.#durable - target.lastOrdinal
    this.#unlisten = target.onDurable((ordinal) => this.#whenDurable(ordinal))
    this.#acknowledgeSoon()
  }

  /** From now on entries wait. */
  hold(): void {
    this.#target = undefined
  }

  /** Lets those go on that waited for a target. */
  drain(): void {
    this.#backlog.drain()
  }

  /** Nothing is appended or acknowledged any more. */
  close(): void {
    this.#target = undefined
    this.#owesAcknowledgement = false
    this.#unlisten()
    this.#backlog.drop()
  }

  take(type: number, payload: Uint8Array): void {
    const entry = this.#assembly.take(type, payload)
    if (entry === undefined) return
    this.receivedSeq = lastSeqOf(entry.header)
    this.#received += 1
    this.#bytes += entry.bytes.length
    const parts = entry.header.kind === 'changes' ? partsOf(entry) : undefined
    if (this.#backlog.mustWait(parts)) return this.#backlog.hold(entry, parts)
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

  /** All that came in one go is acknowledged by one frame. */
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
 * Whether the entry opens a term that is known: a stream repeats what takes no sequence number
 * where it begins.
 */
function isTermOf(entry: Entry, terms: readonly Term[]): boolean {
  if (entry.header.kind !== 'term') return false
  const term = termOf(entry)
  return terms.some((known) => sameTerm(known, term))
}
