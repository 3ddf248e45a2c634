/**
 * When queued writes get their places: as soon as they can, in batches that form by themselves.
 *
 * Invariant: none gets a place while the loop is frozen, a term is being opened, the copy has too
 * much pending, new paths are looked at, flow control holds writers, or this node may not act as
 * active.
 */

import { asFailure } from '../../copy/journal/errors.js'
import type { HotspareError } from '../../errors.js'
import type { FlowControl } from '../in-sync/flow-control.js'
import { FlushPacing } from './flush-pacing.js'
import type { NewPaths } from './path-check.js'
import type { WriteQueue } from './queue.js'
import type { Sequencer } from './sequencer.js'
import type { WriterCopy, WriterLimits } from './types.js'

/** Entries appended in one go before the event loop gets its turn. */
const entriesPerTurnMax = 4

export interface BatchLoopOptions {
  readonly copy: WriterCopy
  readonly limits: WriterLimits
  readonly queue: WriteQueue
  readonly newPaths: NewPaths
  readonly flow: FlowControl
  readonly sequencer: Sequencer
  /** Whether this node may act as active now; if not, the loop is scheduled again later. */
  mayAct(): boolean
  /** Batches were appended, or none could be. Answers whether writes were acknowledged at once. */
  placed(): boolean
  failed(error: HotspareError): void
}

export class BatchLoop {
  readonly #options: BatchLoopOptions
  readonly #pacing = new FlushPacing(() => this.#flush())
  #isFrozen = false
  /** Terms that are being opened. */
  #opening = 0
  #isCongested = false
  #isClosed = false

  constructor(options: BatchLoopOptions) {
    this.#options = options
  }

  get isFrozen(): boolean {
    return this.#isFrozen
  }

  /** Whether nothing gets a place for now, whatever the queue holds. */
  get isHeld(): boolean {
    return this.#isFrozen || this.#opening > 0 || this.#isCongested
  }

  /** Lets the loop run soon. */
  schedule(): void {
    if (!this.#isClosed && !this.isHeld) this.#pacing.schedule()
  }

  freeze(): void {
    this.#isFrozen = true
  }

  unfreeze(): void {
    this.#isFrozen = false
  }

  /** Holds the loop while a term is opened. */
  async heldFor(opening: () => Promise<void>): Promise<void> {
    this.#opening += 1
    try {
      await opening()
    } finally {
      this.#opening -= 1
    }
  }

  close(): void {
    this.#isClosed = true
  }

  #flush(): void {
    const { copy, queue, newPaths, flow, sequencer, mayAct, placed } = this.#options
    if (this.#isClosed || this.isHeld || !mayAct()) return
    for (let entries = 0; !queue.isEmpty; entries += 1) {
      if (copy.congested) {
        void this.#waitForCopy()
        break
      }
      if (newPaths.areLookedAt() || this.#gathers()) break
      if (entries === entriesPerTurnMax) {
        this.#pacing.nextTurn()
        break
      }
      const workMax = flow.allowance(queue.firstNumber)
      if (workMax === undefined) break
      sequencer.appendBatch(workMax)
      if (this.#isClosed) return
    }
    queue.announceRoom()
    if (placed()) this.#pacing.answeredAtOnce()
  }

  /** Whether writes should gather while the disk works: they would wait for it anyway. */
  #gathers(): boolean {
    const { copy, queue, limits } = this.#options
    return (
      queue.waitsForDisk &&
      copy.durableOrdinal < copy.lastOrdinal &&
      queue.length < limits.batchChangesMax &&
      queue.bytes < limits.batchBytesMax
    )
  }

  async #waitForCopy(): Promise<void> {
    this.#isCongested = true
    try {
      await this.#options.copy.decongested()
    } catch (error) {
      this.#options.failed(asFailure(error))
    }
    this.#isCongested = false
    this.schedule()
  }
}
