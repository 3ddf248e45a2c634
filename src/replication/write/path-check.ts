/**
 * Checks the disk before a new file is sequenced. A journaled change must be applied, so an
 * obstacle on the disk that is found only then would stop this node from serving as the active.
 *
 * Invariant: no write overtakes one whose paths are being checked; the whole queue waits.
 *
 * An obstacle that appears after the check is found when the change is applied.
 */

import { writtenPaths } from '../../changes/intent.js'
import type { HotspareError } from '../../errors.js'
import type { Write } from './ack-queues.js'
import type { WriteQueue } from './queue.js'
import type { WriterCopy } from './types.js'

/** What the check depends on. */
export interface NewPathsOptions {
  readonly copy: WriterCopy
  readonly queue: WriteQueue
  /** Writes that are checked together. */
  readonly writesMax: number
  /** The check ended, so the queue may continue. */
  ready(): void
}

/** A write, with those of its paths that are no known file yet. */
interface Unchecked {
  readonly write: Write
  readonly paths: readonly string[]
}

export class NewPaths {
  readonly #options: NewPathsOptions
  /** The checked writes, each with the obstacle that was found. */
  readonly #checked = new WeakMap<Write, { readonly blocked: HotspareError | undefined }>()
  #isChecking = false

  constructor(options: NewPathsOptions) {
    this.#options = options
  }

  /**
   * Starts the check of new paths if the queue has any. Answers whether the queue has to wait for
   * it.
   */
  startPathCheck(): boolean {
    if (this.#isChecking) return true
    const { copy, queue } = this.#options
    if (!queue.concernsFiles || copy.files.findBlocked === undefined) return false
    const unchecked = this.#unchecked()
    if (unchecked.length === 0) return false
    this.#isChecking = true
    const paths = [...new Set(unchecked.flatMap((one) => one.paths))]
    void this.#check(unchecked, copy.files.findBlocked(paths))
    return true
  }

  /** The obstacle that was found for a write, if any. */
  blockedBy(write: Write): HotspareError | undefined {
    return this.#checked.get(write)?.blocked
  }

  async #check(
    unchecked: readonly Unchecked[],
    checking: Promise<ReadonlyMap<string, HotspareError>>,
  ): Promise<void> {
    // A disk that cannot be checked cannot be written either; the write reports that.
    const found = await checking.catch(() => new Map<string, HotspareError>())
    for (const { write, paths } of unchecked) {
      const at = paths.find((path) => found.has(path))
      this.#checked.set(write, { blocked: at === undefined ? undefined : found.get(at) })
    }
    this.#isChecking = false
    this.#options.ready()
  }

  #unchecked(): Unchecked[] {
    const { copy, queue, writesMax } = this.#options
    const unchecked: Unchecked[] = []
    for (let at = 0; at < writesMax; at += 1) {
      const write = queue.at(at)
      if (write === undefined) break
      if (write.gone || write.intent.kind === 'update' || this.#checked.has(write)) continue
      const paths = writtenPaths(write.intent).filter((path) => copy.files.stat(path) === undefined)
      if (paths.length > 0) unchecked.push({ write, paths })
      else this.#checked.set(write, { blocked: undefined })
    }
    return unchecked
  }
}
