/** How a follower is brought to the state of its source, and how far that is. */
import type { Extent, Term } from '../../history/position.js'

/** Source to follower: what we do. */
export interface PlanMessage {
  readonly type: 'plan'
  readonly method: RestoreMethod
  /** Shared by both sides' events of this restore. */
  readonly restoreId: string
  readonly term: Term
  /**
   * The source's copy at the cut: entries follow from there when the method is `delta` or `full`.
   */
  readonly cut: Extent
  readonly inSync: readonly string[]
  /** The highest acknowledged-up-to mark of the source's copy at the cut. */
  readonly ackedSeq: number
  /** The last change that both have; what the follower has beyond it is a divergence. */
  readonly commonSeq: number
  readonly diverged: boolean
}

/** How far a restore is. Bytes and files are those of the whole restore. */
export interface RestoreProgress {
  /**
   * What is under way: `vault` keeps what would be lost, `index` asks what differs, `files` and
   * `state` copy, `switch` puts the new copy in place of the old one, `done` is the end.
   */
  readonly phase: 'vault' | 'index' | 'files' | 'state' | 'switch' | 'done'
  /** Files that are here in full. */
  readonly files: number
  /** Files to move, as far as the index is known. */
  readonly filesTotal: number
  /** Bytes of files that are here. */
  readonly bytes: number
  /** Bytes of files to move, as far as the index is known. */
  readonly bytesTotal: number
}

/** How a joining node's copy is brought to the active's state. */
export type RestoreMethod = 'none' | 'journal' | 'delta' | 'full'
