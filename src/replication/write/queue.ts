/**
 * Writes that are not sequenced yet, first in, first out, with their bytes counted.
 *
 * Invariant: `bytes` and `length` count the writes that can still be sequenced. A write that was
 * given up stays in the queue until it reaches the front, but is not counted.
 */
import type { HotspareError } from '../../errors.js'
import { Fifo } from '../../util/fifo.js'
import type { Write } from './ack-queues.js'
import { queueFull } from './errors.js'

/** Whoever waits until so many bytes have room. */
export interface RoomWaiter {
  readonly bytes: number
  /** Whether it was given up: then it needs no room, and holds up nobody behind it. */
  readonly isOver: boolean
  /** There is room: it pushes its write before this returns, unless it gave up. */
  enter(): void
  /** There will be none. */
  refuse(error: HotspareError): void
}

export class WriteQueue {
  readonly #writes = new Fifo<Write>()
  #bytes = 0
  #gone = 0
  /** Writes of durability `memory`, which do not wait for a disk. */
  #memory = 0
  /** Writes that are not updates. */
  #files = 0
  readonly #waiters: RoomWaiter[] = []
  /** Writes that came in before the first of the line. */
  #passed = 0
  /**
   * The recent average size of an update in a batch, by which an update's bytes are estimated here.
   */
  valueBytes = 128
  readonly #bytesMax: number
  readonly #waitersMax: number

  constructor(bytesMax: number, waitersMax: number) {
    this.#bytesMax = bytesMax
    this.#waitersMax = waitersMax
  }

  get length(): number {
    return this.#writes.length - this.#gone
  }

  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#writes.isEmpty
  }

  /**
   * The number of the first write of the queue; writes are numbered in the order in which they are
   * queued.
   */
  get firstNumber(): number {
    return this.#passed
  }

  /** The number of the next write that is queued. */
  get nextNumber(): number {
    return this.#passed + this.#writes.length
  }

  /** Whether all writes wait for the disk: none has durability `memory`. */
  get waitsForDisk(): boolean {
    return this.#memory === 0
  }

  /** Whether any of the writes may concern a file. */
  get concernsFiles(): boolean {
    return this.#files > 0
  }

  /** Whether this many more bytes fit. One write always fits an empty queue. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax || this.length === 0
  }

  push(write: Write): void {
    this.#writes.push(write)
    this.#bytes += write.bytes
    if ((write.level & 1) === 0) this.#memory += 1
    if (write.intent.kind !== 'update') this.#files += 1
  }

  /** The write at this index of the queue; undefined beyond its end. */
  at(index: number): Write | undefined {
    return this.#writes.at(index)
  }

  /** Removes the first writes. */
  shift(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const write = this.#writes.at(index)
      if (write === undefined) continue
      if (write.gone) this.#gone -= 1
      else this.#uncount(write)
    }
    this.#writes.drop(count)
    this.#passed += count
  }

  /** A write of this queue was given up. */
  giveUp(write: Write): void {
    write.gone = true
    this.#gone += 1
    this.#uncount(write)
  }

  /** Empties the queue and returns the writes that were not given up. */
  takeAll(): Write[] {
    const left: Write[] = []
    for (let index = 0; index < this.#writes.length; index += 1) {
      const write = this.#writes.at(index)
      if (write?.gone === false) left.push(write)
    }
    this.shift(this.#writes.length)
    return left
  }

  #uncount(write: Write): void {
    this.#bytes -= write.bytes
    if ((write.level & 1) === 0) this.#memory -= 1
    if (write.intent.kind !== 'update') this.#files -= 1
  }

  /** Whether so many bytes have room now, and nobody waits for it. */
  hasRoom(bytes: number): boolean {
    return this.#waiters.length === 0 && this.fits(bytes)
  }

  /** Lets it in as soon as there is room, after those who came before it. */
  waitForRoom(waiter: RoomWaiter): void {
    if (this.#waiters.length < this.#waitersMax) this.#waiters.push(waiter)
    else waiter.refuse(queueFull('queueWritesMax', this.#waitersMax))
  }

  /** Lets those in whose bytes fit now. Until they are in, nobody else has room. */
  announceRoom(): void {
    if (this.#waiters.length === 0) return
    let entered = 0
    for (const waiter of this.#waiters) {
      if (!waiter.isOver && !this.fits(waiter.bytes)) break
      waiter.enter()
      entered += 1
    }
    this.#waiters.splice(0, entered)
  }

  /** Nobody will be let in any more. */
  closeRoom(error: HotspareError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(error)
  }
}
