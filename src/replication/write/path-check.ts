/**
 * Looks at the disk before a new file gets its place in the order. What is in the journal has to be
 * carried out; were it found only then that something stands in the way, this node could not go on
 * as the active.
 *
 * Invariant: writes never overtake one whose paths are looked at: the whole queue waits.
 *
 * Whatever comes to stand there after the look is found when the change is carried out.
 */

import { writtenPaths } from '../../changes/intent.js'
import type { HotspareError } from '../../errors.js'
import type { Write } from './ack-queues.js'
import type { WriteQueue } from './queue.js'
import type { WriterCopy } from './types.js'

/** What the look works with. */
export interface NewPathsOptions {
  readonly copy: WriterCopy
  readonly queue: WriteQueue
  /** Writes that are looked at together. */
  readonly writesMax: number
  /** The queue may go on. */
  ready(): void
}

/** A write, with those of its paths where no file stands yet. */
interface Unseen {
  readonly write: Write
  readonly paths: readonly string[]
}

export class NewPaths {
  readonly #options: NewPathsOptions
  /** The writes that need no look any more, with what is in the way. */
  readonly #seen = new WeakMap<Write, { readonly blocked: HotspareError | undefined }>()
  #isLooking = false

  constructor(options: NewPathsOptions) {
    this.#options = options
  }

  /** Whether the queue has to wait for a look, which is begun. */
  areLookedAt(): boolean {
    if (this.#isLooking) return true
    const { copy, queue } = this.#options
    if (!queue.concernsFiles || copy.files.findBlocked === undefined) return false
    const unseen = this.#unseen()
    if (unseen.length === 0) return false
    this.#isLooking = true
    const paths = [...new Set(unseen.flatMap((one) => one.paths))]
    void this.#look(unseen, copy.files.findBlocked(paths))
    return true
  }

  /** What was found in the way of a write. */
  blockedBy(write: Write): HotspareError | undefined {
    return this.#seen.get(write)?.blocked
  }

  async #look(
    unseen: readonly Unseen[],
    looking: Promise<ReadonlyMap<string, HotspareError>>,
  ): Promise<void> {
    // A disk that cannot be looked at cannot be written either, which is found then.
    const found = await looking.catch(() => new Map<string, HotspareError>())
    for (const { write, paths } of unseen) {
      const at = paths.find((path) => found.has(path))
      this.#seen.set(write, { blocked: at === undefined ? undefined : found.get(at) })
    }
    this.#isLooking = false
    this.#options.ready()
  }

  #unseen(): Unseen[] {
    const { copy, queue, writesMax } = this.#options
    const unseen: Unseen[] = []
    for (let at = 0; at < writesMax; at += 1) {
      const write = queue.at(at)
      if (write === undefined) break
      if (write.gone || write.intent.kind === 'update' || this.#seen.has(write)) continue
      const paths = writtenPaths(write.intent).filter((path) => copy.files.stat(path) === undefined)
      if (paths.length > 0) unseen.push({ write, paths })
      else this.#seen.set(write, { blocked: undefined })
    }
    return unseen
  }
}
