/** How a follower is brought to the state of its source, and the progress of that. */
import type { Extent, Term } from '../../history/position.js'

/** Source to follower: how the follower catches up. */
export interface PlanMessage {
  readonly type: 'plan'
  readonly method: RestoreMethod
  /** Identifies this restore in the events of both sides. */
  readonly restoreId: string
  readonly term: Term
  /**
   * The source's copy at the cut: the position after which entries follow when the method is
   * `delta` or `full`.
   */
  readonly cut: Extent
  readonly inSync: readonly string[]
  /** The highest acknowledged-up-to mark of the source's copy at the cut. */
  readonly ackedSeq: number
  /**
   * The last change that both copies have. When `diverged`, what the follower has beyond it is its
   * divergence.
   */
  readonly commonSeq: number
  readonly diverged: boolean
}

/** The progress of a restore. Bytes and files are those of the whole restore. */
export interface RestoreProgress {
  /**
   * The phase: `vault` copies what would be lost into the vault, `index` compares, `files` and
   * `state` transfer, `switch` replaces the old copy with the new one, `done` is the end.
   */
  readonly phase: 'vault' | 'index' | 'files' | 'state' | 'switch' | 'done'
  /** Files that arrived completely. */
  readonly files: number
  /** Files to transfer, as far as the index is known. */
  readonly filesTotal: number
  /** Bytes of files that arrived. */
  readonly bytes: number
  /** Bytes of files to transfer, as far as the index is known. */
  readonly bytesTotal: number
}

/** How a joining node's copy is brought to the active's state. */
export type RestoreMethod = 'none' | 'journal' | 'delta' | 'full'
