/**
 * Promise 8: catching up transfers only what changed. A copy that lacks only the end of the journal
 * is not copied again.
 */

import type { FileIndex } from '../../../../copy/files/file-index.js'
import { relate } from '../../../../history/position.js'
import type { RestoredEvent, RestoreEvent } from '../../../../node/contract/event-parts.js'
import type { NodeLogEvent } from '../../../../node/contract/events.js'
import type { Process } from '../../machine/machine.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

class CatchUp implements Checker {
  readonly name = 'catch-up'
  readonly #world: World
  readonly #report: Report
  /**
   * By restore that is running: the number of files that it may transfer, without those of changes
   * after `seq`.
   */
  readonly #bounds = new Map<string, { files: number; seq: number }>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name === 'restoreStarted') this.#started(process, event as RestoreEvent)
    if (name === 'restored') this.#restored(process, event as RestoredEvent)
  }

  #started(process: Process, { restoreId, target, source, method }: RestoreEvent): void {
    if (process.id !== target || method === 'none' || method === 'journal') return
    const own = process.copy
    const theirs = this.#world.machine(source).process?.copy
    if (own === undefined || theirs === undefined || this.#world.machine(target).damaged) return
    // When a flipped bit made its journal unreadable, the source can only use its index.
    if (this.#world.machine(source).damaged) return
    const { kind, commonSeq } = relate(own.extent, theirs.extent)
    const { unknown, differing, missing } = own.outside.report
    const outside = unknown.length + differing.length + missing.length
    const sound = own.complete && outside === 0 && own.seq > 0
    const continues = kind === 'equal' || kind === 'behind'
    if (sound && continues && theirs.firstSeq <= own.seq + 1) {
      this.#report(
        `${target} at ${own.seq} does a ${method} restore from ${source} at ${theirs.seq}, which continues it`,
      )
    }
    if (method === 'full') return
    const changed = [own, theirs].map(({ index }) => index.changedSince(commonSeq))
    const files = changed.reduce(
      (sum, each) => sum + each.files.length + each.removed.length,
      outside +
        forgotten(own.index, theirs.index, commonSeq) +
        forgotten(theirs.index, own.index, commonSeq),
    )
    // The source lists its files once its tree has everything of its journal, including what is
    // pending now.
    this.#bounds.set(restoreId, { files, seq: theirs.appliedSeq })
  }

  #restored(
    process: Process,
    { restoreId, target, method, files, bytesMoved }: RestoredEvent,
  ): void {
    if (process.id !== target) return
    const bound = this.#bounds.get(restoreId)
    this.#bounds.delete(restoreId)
    if (bound === undefined || process.copy === undefined) return
    const { seq, index } = process.copy
    const since = index.changedSince(bound.seq)
    // One transaction changes several files, and one file may be transferred once for each of two
    // changes.
    const later = Math.max(since.files.length + since.removed.length, 2 * (seq - bound.seq))
    if (files <= bound.files + later) return
    this.#report(
      `a ${method} restore of ${target} moved ${files} files (${bytesMoved} bytes), ${bound.files} had changed`,
    )
  }
}

/**
 * Files of one copy that the other one has removed without a tombstone, because it was restored
 * itself.
 */
function forgotten(copy: FileIndex, other: FileIndex, commonSeq: number): number {
  if (other.tombstoneFloor <= commonSeq) return 0
  const isGone = (path: string): boolean =>
    other.get(path) === undefined && other.tombstone(path) === undefined
  return copy.paths().filter((path) => (copy.get(path)?.version ?? 0) <= commonSeq && isGone(path))
    .length
}

export const catchUp = (world: World, report: Report): Checker => new CatchUp(world, report)
