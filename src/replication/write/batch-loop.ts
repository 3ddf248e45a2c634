/**
 * Decides when queued writes are sequenced: as soon as possible, in batches of whatever has queued
 * up meanwhile.
 *
 * Invariant: no write is sequenced while the loop is frozen, a term is being opened, the copy is
 * congested, new paths are being checked on the disk, flow control delays writers, or this node may
 * not act as active.
 */

import { asFailure } from '../../copy/journal/errors.js'
import type { HotspareError } from '../../errors.js'
import type { FlowControl } from '../in-sync/flow-control.js'
import { FlushPacing } from './flush-pacing.js'
import type { NewPaths } from './path-check.js'
import type { WriteQueue } from './queue.js'
import type { Sequencer } from './sequencer.js'
import type { WriterCopy, WriterLimits } from './types.js'

/** Entries appended in a row before other work of the event loop runs. */
const entriesPerTurnMax = 4

export interface BatchLoopOptions {
  readonly copy: WriterCopy
  readonly limits: WriterLimits
  readonly queue: WriteQueue
  readonly newPaths: NewPaths
  readonly flow: FlowControl
  readonly sequencer: Sequencer
  /** Whether this node may act as active now; if not, the host schedules the loop again later. */
  mayAct(): boolean
  /** A round ended, with or without batches. Answers whether writes were acknowledged at once. */
  roundEnded(): boolean
  failed(error: HotspareError): void
}

export class BatchLoop {
  readonly #options: BatchLoopOptions
  readonly #pacing = new FlushPacing(() => this.#flush())
  #isFrozen = false
  /** The number of terms that are being opened. */
  #opening = 0
  #isCongested = false
  #isClosed = false

  constructor(options: BatchLoopOptions) {
    this.#options = options
  }

  get isFrozen(): boolean {
    return this.#isFrozen
  }

  /** Whether no write may be sequenced now, whatever the queue contains. */
  get isPaused(): boolean {
    return this.#isFrozen || this.#opening > 0 || this.#isCongested
  }

  /** Schedules a round, unless the loop is paused. */
  schedule(): void {
    if (!this.#isClosed && !this.isPaused) this.#pacing.schedule()
  }

  freeze(): void {
    this.#isFrozen = true
  }

  unfreeze(): void {
    this.#isFrozen = false
  }

  /** Pauses the loop while a term is opened. */
  async pausedWhile(opening: () => Promise<void>): Promise<void> {
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
    const { copy, queue, newPaths, flow, sequencer, mayAct, roundEnded } = this.#options
    if (this.#isClosed || this.isPaused || !mayAct()) return
    for (let entries = 0; !queue.isEmpty; entries += 1) {
      if (copy.congested) {
        void this.#waitForCopy()
        break
      }
      if (newPaths.startPathCheck() || this.#shouldGather()) break
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
    if (roundEnded()) this.#pacing.answeredAtOnce()
  }

  /**
   * Whether to wait for a larger batch while the disk is busy, because all queued writes wait for
   * the disk anyway.
   */
  #shouldGather(): boolean {
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
