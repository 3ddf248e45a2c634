/**
 * One direction of one connection: items that were sent and not yet delivered, in order.
 *
 * Invariants: items are delivered in order; none before it is due; none while the link is blocked
 * or the receiver is not ready, except those that arrived before it was blocked, which are in the
 * receiver's socket. At most one timer is set, for the first item.
 */
import { Fifo } from '../../util/fifo.js'
import type { Scheduler } from './scheduler.js'

/**
 * Bytes that a receiver's socket buffers while they are not read; the rest stays with the sender.
 */
const socketBytesMax = 256 * 1024

/** An item in transit. */
export interface PipeItem {
  /** Bytes that count in the sender's queue. */
  readonly bytes: number
  /** Whether the receiver accepts it now. */
  ready(): boolean
  deliver(): void
}

/** The link, as a pipe sees it. */
export interface PipeWay {
  /** Whether the link is blocked; {@link Pipe.wake} is called when that changes. */
  blocked(): boolean
  /** Whether the receiving process is frozen; {@link Pipe.wake} is called when that changes. */
  frozen(): boolean
  /** The delay of an item of so many bytes, in milliseconds. */
  delayMs(bytes: number): number
}

export class Pipe {
  readonly #way: PipeWay
  readonly #scheduler: Scheduler
  readonly #onTaken: () => void
  readonly #items = new Fifo<{ item: PipeItem; dueMs: number }>()
  #bytes = 0
  /**
   * How many items, from the first on, had reached the receiver's socket when the link was blocked.
   */
  #arrived = 0
  #cancel: (() => void) | undefined
  #pumping = false
  #heldUp = false

  /** @param onTaken - called when items were delivered, so that the sender may continue */
  constructor(way: PipeWay, scheduler: Scheduler, onTaken: () => void) {
    this.#way = way
    this.#scheduler = scheduler
    this.#onTaken = onTaken
  }

  /** Bytes in transit. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether anything is in transit. */
  get busy(): boolean {
    return !this.#items.isEmpty
  }

  push(item: PipeItem): void {
    // A later item may be due before an earlier one; it waits, because only the first item is
    // examined.
    const dueMs = this.#scheduler.nowMs() + this.#way.delayMs(item.bytes)
    this.#items.push({ item, dueMs })
    this.#bytes += item.bytes
    this.#arm()
  }

  /** Drops what has not arrived. */
  clearRest(): void {
    for (const { item } of this.#items.takeFrom(this.#arrived)) this.#bytes -= item.bytes
  }

  /** Drops everything. */
  clear(): void {
    this.#items.clear()
    this.#bytes = 0
    this.#arrived = 0
    this.#cancel?.()
    this.#cancel = undefined
  }

  /**
   * Call when the link may be unblocked or the receiver ready; continues in a later call. Items
   * that a blocked link held back start again now, like retransmitted bytes.
   */
  wake(): void {
    if (this.#heldUp && !this.#way.blocked()) this.#restart()
    this.#arm()
  }

  /**
   * Call before the link is blocked. Items that have arrived are delivered all the same, when the
   * receiver accepts them.
   *
   * @param inFlight - whether items in transit count as arrived
   */
  blocks(inFlight: boolean): void {
    if (this.#way.blocked()) return
    const nowMs = this.#scheduler.nowMs()
    let bytes = 0
    this.#arrived = 0
    for (let index = 0; index < this.#items.length; index++) {
      const { item, dueMs } = this.#items.at(index)!
      bytes += item.bytes
      if (bytes > socketBytesMax || (dueMs > nowMs && !inFlight)) break
      this.#arrived += 1
    }
  }

  /**
   * Call after the quality of the link changed: items in transit take no longer than new ones
   * would.
   */
  hurry(): void {
    const nowMs = this.#scheduler.nowMs()
    for (let index = 0; index < this.#items.length; index++) {
      const entry = this.#items.at(index)!
      entry.dueMs = Math.min(entry.dueMs, nowMs + this.#way.delayMs(entry.item.bytes))
    }
    this.#cancel?.()
    this.#cancel = undefined
    this.#arm()
  }

  #restart(): void {
    this.#heldUp = false
    const nowMs = this.#scheduler.nowMs()
    for (let index = this.#arrived; index < this.#items.length; index++) {
      const entry = this.#items.at(index)!
      entry.dueMs = Math.max(entry.dueMs, nowMs + this.#way.delayMs(entry.item.bytes))
    }
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    if (this.#cancel !== undefined || this.#pumping) return
    const { first } = this.#items
    if (first === undefined || this.#held() || !first.item.ready()) return
    const delayMs = Math.max(0, first.dueMs - this.#scheduler.nowMs())
    this.#cancel = this.#scheduler.after(delayMs, this.#pump)
  }

  #held(): boolean {
    const blocked = this.#way.blocked()
    if (blocked) this.#heldUp = true
    return this.#way.frozen() || (blocked && this.#arrived === 0)
  }

  readonly #pump = (): void => {
    this.#cancel = undefined
    this.#pumping = true
    const before = this.#bytes
    try {
      const nowMs = this.#scheduler.nowMs()
      for (;;) {
        const { first } = this.#items
        if (first === undefined || first.dueMs > nowMs) break
        if (this.#held() || !first.item.ready()) break
        this.#take(first.item)
      }
    } finally {
      this.#pumping = false
      this.#arm()
      if (this.#bytes < before) this.#onTaken()
    }
  }

  #take(item: PipeItem): void {
    this.#items.drop()
    this.#bytes -= item.bytes
    if (this.#arrived > 0) this.#arrived -= 1
    item.deliver()
  }
}
