import type { Load } from './load.js'

/** The classes of the policy that every node of the benches has. */
export type StateClass = 'memory' | 'disk'

/** How a node of a bench is set up; all else is the library's default. */
export interface NodePlan {
  readonly id: string
  /** In takeover order. */
  readonly members: readonly { readonly id: string; readonly address: string }[]
  readonly directory: string
  /** The library's default when left out. */
  readonly startupWaitMs?: number
}

/** A change of a file, made through the library. */
export type FileChange =
  | { readonly kind: 'write'; readonly path: string; readonly bytes: number }
  | {
      readonly kind: 'patch'
      readonly path: string
      readonly offset: number
      readonly bytes: number
    }

/** The jobs that the run can send to a node's process. Times are those of {@link machineMs}. */
export type NodeJob =
  /** Constructs the node without starting it, so that loading the library is not measured. */
  | { readonly kind: 'prepare'; readonly plan: NodePlan }
  /** Answers with a {@link Started} when `start()` resolved. */
  | { readonly kind: 'start'; readonly adopt: boolean }
  /** Answers with the time at which the node had this role. */
  | { readonly kind: 'role'; readonly role: 'active' | 'standby' }
  /** Answers with the bytes that the last restore of this node transferred, from its event. */
  | { readonly kind: 'movedBytes' }
  /** Answers with the time at which this node last began to receive from another one. */
  | { readonly kind: 'peerUp' }
  /**
   * On the active: answers with the time at which so many members were in sync, itself not counted.
   */
  | { readonly kind: 'inSync'; readonly members: number }
  /** Updates of a class by concurrent callers; answers with a `LoadResult`. */
  | { readonly kind: 'load'; readonly className: StateClass; readonly load: Load }
  /** Answers with the time at which this node, once active, acknowledged its first update. */
  | { readonly kind: 'firstWrite'; readonly className: StateClass }
  /** Updates while the node is active, until `endWrites`, which answers with {@link Written}. */
  | { readonly kind: 'beginWrites'; readonly className: StateClass; readonly load: Load }
  | { readonly kind: 'endWrites' }
  /** Answers with the time at which the node had handed over. */
  | { readonly kind: 'switchover'; readonly to: string }
  /**
   * So many updates, a window of them under way at once; answers with the time of the first call.
   */
  | {
      readonly kind: 'stream'
      readonly className: StateClass
      readonly count: number
      readonly bytes: number
    }
  /**
   * Answers with the time at which this node had applied so many more updates than at the last
   * `mark`.
   */
  | { readonly kind: 'mark' }
  | { readonly kind: 'applied'; readonly count: number }
  /** Writes small files under a prefix; answers with a `LoadResult`. */
  | {
      readonly kind: 'writeFiles'
      readonly prefix: string
      readonly sizes: readonly number[]
      readonly durability: StateClass
      readonly callers: number
    }
  /** Changes files one after the other. */
  | { readonly kind: 'change'; readonly changes: readonly FileChange[] }
  /** Answers with the processor time used so far, in milliseconds. */
  | { readonly kind: 'processor' }
  | { readonly kind: 'stop' }

/** The answer to a start. */
export interface Started {
  /** When `start()` was called. */
  readonly calledMs: number
  readonly resolvedMs: number
}

/** The results of the writers of one node. */
export interface Written {
  readonly acknowledged: number
  /** Errors of calls that were made while the node was active. */
  readonly failures: readonly string[]
  /** Stretches of time in which acknowledgements followed each other within half a millisecond. */
  readonly busy: readonly (readonly [startMs: number, endMs: number])[]
  /** The longest time that one call took. */
  readonly worstMs: number
}

/** A clock that all processes of one machine share, in milliseconds. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
