/**
 * Writes that have their place in the order and wait for their acknowledgement.
 *
 * Invariants: one first-in-first-out queue a level; a batch's writes of one level stay together, so
 * that a release costs one comparison a batch; every write of a queue has a higher sequence number
 * than those before it.
 */

import type { WriteIntent } from '../../changes/intent.js'
import type { UpdateResult } from '../../copy/contents/types.js'
import type { Term } from '../../history/position.js'
import type { AckLevel, Durability } from '../../policy/class-options.js'
import { Fifo } from '../../util/fifo.js'
import type { Thresholds } from '../in-sync/ack-tracker.js'
import type { Standing } from '../in-sync/in-sync.js'
import type { Receipt } from './types.js'

/** A write from its submission to its answer. */
export interface Write {
  readonly intent: WriteIntent
  readonly level: number
  readonly bytes: number
  /** The caller's, to give it up. */
  readonly signal: AbortSignal | undefined
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: unknown) => void
  /** 0 while it has no place in the order. */
  seq: number
  outcome: UpdateResult
  /** Given up by its caller. */
  gone: boolean
  /** Stops listening to the caller's signal. */
  unlisten: (() => void) | undefined
}

const ackNumbers: Record<AckLevel, number> = { local: 0, standby: 2, all: 4 }
const ackNames: readonly AckLevel[] = ['local', 'standby', 'all']

/** The number of a level: how far, and whether on disk. */
export function levelOf(ack: AckLevel, durability: Durability): number {
  return ackNumbers[ack] + (durability === 'disk' ? 1 : 0)
}

/** What {@link levelOf} made a number of. */
export function ackOf(level: number): AckLevel {
  return ackNames[level >> 1] ?? 'all'
}

/** See {@link ackOf}. */
export function durabilityOf(level: number): Durability {
  return (level & 1) === 1 ? 'disk' : 'memory'
}

/** The stricter of two levels, in both respects. */
export function stricterLevel(left: number, right: number): number {
  return Math.max(left & ~1, right & ~1) | ((left | right) & 1)
}

const levelsCount = 6

/** The writes of one level in one entry. */
interface Group {
  readonly ordinal: number
  readonly term: Term
  readonly writes: readonly Write[]
}

export class AckQueues {
  readonly #queues: readonly Fifo<Group>[]
  #waiting = 0
  #heldSeq = 0

  constructor() {
    this.#queues = Array.from({ length: levelsCount }, () => new Fifo<Group>())
  }

  /** Writes that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /** The last change that was acknowledged as held by a standby too; 0 when none was. */
  get heldSeq(): number {
    return this.#heldSeq
  }

  /** Adds the writes of an entry, in order. */
  add(ordinal: number, term: Term, writes: readonly Write[]): void {
    this.#waiting += writes.length
    const first = writes[0]?.level
    if (first === undefined) return
    if (writes.every((write) => write.level === first)) {
      this.#queues[first]?.push({ ordinal, term, writes })
      return
    }
    for (let level = 0; level < levelsCount; level += 1) {
      const own = writes.filter((write) => write.level === level)
      if (own.length > 0) this.#queues[level]?.push({ ordinal, term, writes: own })
    }
  }

  /**
   * All changes up to this sequence number are acknowledged. `lastSeq` is the last one that has its
   * place.
   */
  ackedSeq(lastSeq: number): number {
    let acked = lastSeq
    for (const { first } of this.#queues) {
      const seq = first?.writes[0]?.seq
      if (seq !== undefined && seq <= acked) acked = seq - 1
    }
    return acked
  }

  /** Whether {@link release} would answer somebody. */
  canRelease(thresholds: Thresholds, standing: Standing): boolean {
    for (let level = 0; level < levelsCount; level += 1) {
      const group = this.#queues[level]?.first
      if (group !== undefined && group.ordinal <= reached(level, thresholds, standing)) return true
    }
    return false
  }

  /** Answers everybody whose entry is held where its level says. */
  release(thresholds: Thresholds, standing: Standing): void {
    for (let level = 0; level < levelsCount; level += 1) {
      const queue = this.#queues[level]
      if (queue === undefined || queue.isEmpty) continue
      this.#releaseLevel(queue, level, thresholds, standing)
    }
  }

  #releaseLevel(
    queue: Fifo<Group>,
    level: number,
    thresholds: Thresholds,
    standing: Standing,
  ): void {
    const ordinal = reached(level, thresholds, standing)
    const lowered = standing === 'degraded' && level > 1
    const ack = lowered ? 'local' : ackOf(level)
    const onDisk = reached((lowered ? 0 : level) | 1, thresholds, standing)
    for (;;) {
      const group = queue.first
      if (group === undefined || group.ordinal > ordinal) break
      queue.drop()
      this.#waiting -= group.writes.length
      const durable = group.ordinal <= onDisk
      if (ack !== 'local') this.#heldSeq = Math.max(this.#heldSeq, group.writes.at(-1)?.seq ?? 0)
      for (const write of group.writes) answer(write, group.term, ack, durable, lowered)
    }
  }

  /** Takes out everybody who waits. */
  takeAll(): Write[] {
    const groups = this.#queues.flatMap((queue) => queue.takeAll())
    this.#waiting = 0
    return groups.flatMap(({ writes }) => writes).sort((left, right) => left.seq - right.seq)
  }
}

/** The last entry that is held at this level, as things stand. */
function reached(level: number, thresholds: Thresholds, standing: Standing): number {
  const wanted = standing === 'degraded' ? level & 1 : level
  switch (wanted) {
    case 0:
      return Number.POSITIVE_INFINITY
    case 1:
      return thresholds.localDisk
    case 2:
      return thresholds.standbyMemory
    case 3:
      return thresholds.standbyDisk
    case 4:
      return thresholds.allMemory
    default:
      return thresholds.allDisk
  }
}

function answer(
  write: Write,
  term: Term,
  ack: AckLevel,
  durable: boolean,
  degraded: boolean,
): void {
  // One that was given up has its answer already; another one changes nothing.
  if (write.unlisten !== undefined) write.unlisten()
  const { outcome } = write
  const position = { term, seq: write.seq }
  if (outcome === undefined) {
    write.resolve({ position, ack, durable, degraded })
  } else if (outcome.ok) {
    write.resolve({ position, ack, durable, degraded, result: outcome.value })
  } else {
    // A throw is an outcome like any other: the change has its place, and every node threw the
    // same.
    write.reject(outcome.error)
  }
}
