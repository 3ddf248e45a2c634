/**
 * One direction of one connection: what was sent and not yet taken, in order.
 *
 * Invariants: items leave in the order they came; none before it is due; none while the way is
 * blocked or the receiver is not ready, but for those that arrived before it was blocked: they lie
 * in the receiver's socket. One timer at most is set, for the first item.
 */
import { Fifo } from '../../util/fifo.js'
import type { Scheduler } from './scheduler.js'

/** Bytes that a receiver's socket holds while nobody reads it; the rest stays with the sender. */
const socketBytesMax = 256 * 1024

/** Something on its way. */
export interface PipeItem {
  /** Bytes that count in the sender's queue. */
  readonly bytes: number
  /** Whether the receiver takes it now. */
  ready(): boolean
  deliver(): void
}

/** What a pipe runs through. */
export interface PipeWay {
  /** Whether nothing gets through now; {@link Pipe.wake} is called when that changes. */
  blocked(): boolean
  /**
   * Whether the receiver takes nothing at all now; {@link Pipe.wake} is called when that changes.
   */
  frozen(): boolean
  /** Milliseconds that an item of so many bytes takes. */
  delayMs(bytes: number): number
}

export class Pipe {
  readonly #way: PipeWay
  readonly #scheduler: Scheduler
  readonly #onTaken: () => void
  readonly #items = new Fifo<{ item: PipeItem; dueMs: number }>()
  #bytes = 0
  /**
   * Items, from the first on, that lie in the receiver's socket although the way was blocked since.
   */
  #arrived = 0
  #cancel: (() => void) | undefined
  #pumping = false
  #heldUp = false

  /** @param onTaken - called when items were taken, so that the sender may go on */
  constructor(way: PipeWay, scheduler: Scheduler, onTaken: () => void) {
    this.#way = way
    this.#scheduler = scheduler
    this.#onTaken = onTaken
  }

  /** Bytes on their way. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether anything is on its way. */
  get busy(): boolean {
    return !this.#items.isEmpty
  }

  push(item: PipeItem): void {
    // A later item may be due before an earlier one: it waits, since only the first one is looked
    // at.
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
   * The way may be free again, or the receiver ready: goes on, but not within this call. What was
   * held by a blocked way starts again now, as retransmitted bytes do.
   */
  wake(): void {
    if (this.#heldUp && !this.#way.blocked()) this.#restart()
    this.#arm()
  }

  /**
   * The way is about to be blocked: what has arrived by now is delivered all the same, whenever the
   * receiver takes it.
   *
   * @param inFlight - whether what is on its way now has passed the place of the fault already
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

  /** The way is another one: what is on it takes no longer than what is sent now. */
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
