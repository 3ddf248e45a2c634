/**
 * The messages between the demo and its node processes, over the IPC channel of a forked process.
 */
import type { NodeLogEvent, NodeStatus } from 'hotspare'
import type { FoundFile } from './tree.js'

/** How a node is set up; all else is the library's default. */
export interface Plan {
  readonly id: string
  /** In takeover order. */
  readonly members: readonly { readonly id: string; readonly address: string }[]
  readonly folder: string
  /**
   * How long it waits for the other nodes after a total outage; shorter where the demo starts one
   * alone.
   */
  readonly startupWaitMs?: number
}

/** The jobs of a node process, each with its argument and its answer. */
export interface Jobs {
  start: { readonly takes: Plan; readonly gives: undefined }
  /** Copies a directory tree into the replicated files, through the API. */
  seed: { readonly takes: Seed; readonly gives: Seeded }
  /** Writes files while this node is active, from now on, until `endLoad`. */
  beginLoad: { readonly takes: { readonly callers: number }; readonly gives: undefined }
  endLoad: { readonly takes: undefined; readonly gives: undefined }
  /** Answers when so many standbys are in sync. */
  inSync: {
    readonly takes: { readonly count: number; readonly limitMs: number }
    readonly gives: undefined
  }
  status: { readonly takes: undefined; readonly gives: NodeStatus }
  switchover: { readonly takes: { readonly to: string }; readonly gives: undefined }
  stop: { readonly takes: undefined; readonly gives: undefined }
}

/** A tree to copy. */
export interface Seed {
  readonly folder: string
  readonly files: readonly FoundFile[]
}

/** The result of a seeding. */
export interface Seeded {
  readonly bytes: number
  /** The hash of each file as it was written; the original may change meanwhile. */
  readonly hashes: ReadonlyMap<string, string>
  /**
   * Files that the API refused, because some platform cannot store their names, or cannot
   * distinguish them from another name.
   */
  readonly refused: readonly string[]
}

/** A write that the library acknowledged. */
export interface Ack {
  readonly writer: string
  readonly count: number
  /** On the clock that all processes of one machine share. */
  readonly atMs: number
}

export interface Request {
  readonly id: number
  readonly job: keyof Jobs
  readonly argument: unknown
}

/** The messages of a node process: answers to requests, and reports. */
export type Message =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly reason: string }
  | { readonly kind: 'event'; readonly event: NodeLogEvent }
  | {
      readonly kind: 'seeded'
      readonly files: number
      readonly filesTotal: number
      readonly bytes: number
    }
  | { readonly kind: 'acks'; readonly acks: readonly Ack[] }
  /** A write that failed although the node did not lose its role: there should be none. */
  | { readonly kind: 'writeFailed'; readonly writer: string; readonly reason: string }

/** Milliseconds of a monotonic clock that all processes of one machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
